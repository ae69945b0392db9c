import { saysTheSame } from './codec.js'
import { copyData, type DataCopy, renewCopy, surelyDiffer } from './copied-data.js'

/** What the data of one request's session say, as text: encoded only where they are not surely what they were. */
export class SessionText {
  #before: DataCopy | undefined
  #latest: DataCopy | undefined

  /** `data`, which were decoded from `text`; their copy, where there is one already. */
  remember<Data extends object>(
    text: string,
    data: Data,
    copy: DataCopy = copyData(text, data),
  ): Data {
    this.#latest = copy
    return data
  }

  /** Throws for data that cannot be stored. */
  of(data: object): string {
    const latest = this.#latest
    if (latest === undefined && Object.keys(data).length === 0) return '{}'
    const present = renewCopy(latest, data)
    if (present !== latest) {
      this.#before = latest
      this.#latest = present
    }
    return present.text
  }

  /** Whether `present`, the latest answer of `of`, says the same as the stored `text`, however that was spelt. */
  isStill(text: string, present: string): boolean {
    if (present === text) return true
    const before = this.#before
    const latest = this.#latest
    const isKnown = before?.text === text && latest?.text === present
    if (isKnown && surelyDiffer(before, latest)) return false
    return saysTheSame(text, present)
  }
}
