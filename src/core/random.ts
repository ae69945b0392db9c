import { randomFillSync } from 'node:crypto'

/** The random values of a session. All come from the system's CSPRNG (ASVS 11.5.1); if that fails, so does the caller. */
export interface Random {
  /** A session id: 128 bits, 22 characters of base64url. */
  id(): string
  /** The secret of a cookie: 256 bits, 43 characters. */
  secret(): string
  /** A version or privilege mark: 96 bits, 16 characters. Compared for equality, never ordered. */
  mark(): string
}

const POOL_BYTES = 4096

/** Draws from the system in large gulps: one system call for many sessions. A value leaves no trace in the pool. */
export function pooledRandom(fill: (pool: Buffer) => unknown = randomFillSync): Random {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  let used = POOL_BYTES

  function take(bytes: number): string {
    if (used + bytes > POOL_BYTES) {
      fill(pool)
      used = 0
    }
    const start = used
    used += bytes
    const text = pool.toString('base64url', start, used)
    // Not `fill`, which costs as much as all the rest.
    for (let at = start; at < used; at++) pool[at] = 0
    return text
  }

  return { id: () => take(16), secret: () => take(32), mark: () => take(12) }
}
