import { DecodedData } from './decoded-data.js'
import type { StoredSession } from './record.js'
import type { SessionInfo, SessionSnapshot } from './session.js'
import { describeStored } from './session-info.js'
import type { Visit } from './visit.js'

const NO_DATA = Object.freeze({})

/** The session as it is stored, while a request looks at it. Costs nothing until it is looked at. */
export class VisitSnapshot implements SessionSnapshot {
  readonly #visit: Visit
  readonly #stored: StoredSession | undefined
  #data: object | undefined
  #info: SessionInfo | undefined

  constructor(visit: Visit) {
    this.#visit = visit
    this.#stored = visit.stored
  }

  get id(): string {
    return this.#stored?.id ?? this.#visit.id
  }

  get info(): SessionInfo {
    this.#info ??= describeStored(this.#visit, this.#stored)
    return this.#info
  }

  get data(): SessionSnapshot['data'] {
    this.#data ??= this.#read()
    return this.#data as SessionSnapshot['data']
  }

  #read(): object {
    const stored = this.#stored
    if (stored === undefined) return NO_DATA
    try {
      return (stored.decoded ?? new DecodedData(stored.text)).frozen
    } catch {
      if (this.#visit.stored === stored) this.#visit.meetCorrupt(stored)
      return NO_DATA
    }
  }
}
