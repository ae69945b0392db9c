import { encodeData, saysTheSame } from './codec.js'
import { renewSnapshot, type Snapshot, surelyDiffer, takeSnapshot } from './snapshot.js'

/** What the data of one request's session say, as text: encoded only where they are not surely what they were. */
export class SessionText {
  #before: Snapshot | undefined
  #latest: Snapshot | undefined

  /** `data`, which were decoded from `text`. */
  remember<Data extends object>(text: string, data: Data): Data {
    this.#latest = takeSnapshot(text, data)
    return data
  }

  /** Throws for data that cannot be stored. */
  of(data: object): string {
    const latest = this.#latest
    if (latest === undefined && Object.keys(data).length === 0) return encodeData(data)
    const present = renewSnapshot(latest, data)
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
