import { decodeData } from './codec.js'
import { copyData, type DataCopy, thawData } from './copied-data.js'
import { freezeData } from './frozen-data.js'

/** The data of a record that many requests read: decoded once, by whoever comes first. Throws where they are corrupt. */
export class DecodedData {
  readonly #text: string
  #copy: DataCopy | undefined
  #frozen: object | undefined

  constructor(text: string) {
    this.#text = text
  }

  /** Against this a request sees what it changed. */
  get copy(): DataCopy {
    this.#copy ??= copyData(this.#text, decodeData(this.#text))
    return this.#copy
  }

  /** For one request, to change as it likes. */
  thaw(): Record<string, unknown> {
    return thawData(this.copy.data) ?? decodeData(this.#text)
  }

  /** One object for all, which nobody can change. */
  get frozen(): object {
    this.#frozen ??= freezeData(decodeData(this.#text))
    return this.#frozen
  }
}
