import type { EndReason, StoreEvent, StoreKey } from '../../core/store.js'

/** How one process tells the others that a session has ended: a message on a channel of this prefix. */
export interface Ends {
  readonly channel: string
  /** What a script publishes: the channel, the message. */
  told(key: StoreKey, reason: EndReason | undefined): readonly [channel: string, message: string]
  /** What a message says; `undefined` for one that is not about a session. */
  read(message: string): StoreEvent | undefined
}

export function createEnds(prefix: string): Ends {
  const channel = `${prefix}ended`
  return {
    channel,
    told: (key, reason = '' as EndReason) => [channel, `${key} ${reason}`],
    read(message) {
      const [key = '', reason = ''] = message.split(' ')
      if (!isSessionKey(key)) return undefined
      // Whether there is such a reason is for the core to say.
      return { type: 'ended', key, reason: reason === '' ? undefined : (reason as EndReason) }
    },
  }
}

/** Whether a record of a session can stand there: the other keys under the prefix have a colon, or are shorter. */
export function isSessionKey(name: string): name is StoreKey {
  return /^[\w-]{22}$/.test(name)
}
