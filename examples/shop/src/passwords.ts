import * as crypto from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'

/** OWASP Password Storage: argon2id with 19 MiB, two passes, one lane. */
const COST: Cost = { memory: 19_456, passes: 2, lanes: 1 }

/**
 * Each hash takes 19 MiB and a core, and one core is left to everybody else. A flood of sign-ins waits in line, and a
 * long line is turned away.
 */
const PARALLEL = Math.max(1, availableParallelism() - 1)
const MAX_WAITING = 64

interface Cost {
  readonly memory: number
  readonly passes: number
  readonly lanes: number
}

type Derive = (password: string, salt: Buffer, cost: Cost) => Promise<Buffer>

/** A PHC string: the algorithm, its cost and the salt stand beside the hash, so the cost can rise later. */
export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.randomBytes(16)
  return encode(COST, salt, await inTurn(() => derive(password, salt, COST)))
}

/** Compares in constant time. Without a stored hash it takes as long and says no: a name does not show by its timing. */
export async function verifyPassword(
  stored: string | undefined,
  password: string,
): Promise<boolean> {
  const { cost, salt, hash } = decode(stored ?? NOBODY)
  const actual = await inTurn(() => derive(password, salt, cost))
  return crypto.timingSafeEqual(actual, hash) && stored !== undefined
}

/** Whether a stored hash was made at a cost that is no longer ours. */
export function needsRehash(stored: string): boolean {
  const { cost } = decode(stored)
  return cost.memory !== COST.memory || cost.passes !== COST.passes || cost.lanes !== COST.lanes
}

const derive: Derive = await pickDerive()

const NOBODY = encode(COST, crypto.randomBytes(16), crypto.randomBytes(32))

/** Node has argon2 itself from 24.7 on. */
async function pickDerive(): Promise<Derive> {
  if ('argon2' in crypto) {
    const argon2 = promisify(crypto.argon2 as NativeArgon2)
    return (password, salt, { memory, passes, lanes }) =>
      argon2('argon2id', {
        message: Buffer.from(password.normalize('NFC')),
        nonce: salt,
        parallelism: lanes,
        tagLength: 32,
        memory,
        passes,
      })
  }
  const { hashRaw } = await import('@node-rs/argon2')
  return (password, salt, { memory, passes, lanes }) =>
    hashRaw(password.normalize('NFC'), {
      algorithm: 2,
      salt,
      parallelism: lanes,
      outputLen: 32,
      memoryCost: memory,
      timeCost: passes,
    })
}

type NativeArgon2 = (
  algorithm: 'argon2id',
  parameters: Record<string, unknown>,
  callback: (error: Error | null, key: Buffer) => void,
) => void

function encode({ memory, passes, lanes }: Cost, salt: Buffer, hash: Buffer): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`
}

function decode(phc: string): { cost: Cost; salt: Buffer; hash: Buffer } {
  const found =
    /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc)
  if (found === null) throw new Error('An account has a password hash that is not argon2id.')
  const [, memory, passes, lanes, salt = '', hash = ''] = found
  return {
    cost: { memory: Number(memory), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

let running = 0
const waiting: (() => void)[] = []

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= PARALLEL) {
    if (waiting.length >= MAX_WAITING) {
      throw Object.assign(new Error('Too many sign-ins at once.'), {
        status: 503,
        headers: { 'Retry-After': '5' },
      })
    }
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else {
    running += 1
  }
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
}
