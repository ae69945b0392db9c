import { createHmac, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CookieSecret, createKeyring, csrfIdOf, hashSecret } from '../../src/core/identity.js'
import { pooledRandom } from '../../src/core/random.js'
import type { StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { createJar, createProcess, SECRET } from './process.js'
import { newSession, show } from './scene.js'

const random = pooledRandom()
const newId = (): StoreKey => random.id() as StoreKey
const newSecret = (): CookieSecret => random.secret() as CookieSecret

describe('a cookie value', () => {
  test('has one shape and one size', () => {
    const keyring = createKeyring([SECRET])
    for (let count = 0; count < 100; count += 1) {
      const value = keyring.sign(newId(), newSecret())
      expect(value).toMatch(/^[\w-]{22}\.[\w-]{43}\.[\w-]{22}$/)
    }
  })

  test('gives back what was signed', () => {
    const keyring = createKeyring([SECRET])
    const [id, secret] = [newId(), newSecret()]
    const credential = keyring.verify(keyring.sign(id, secret))
    expect(credential).toMatchObject({ id, secret, secretHash: hashSecret(secret), keyIndex: 0 })
  })

  test('ends with the HMAC-SHA-256 of its body, as Node makes it', () => {
    const secrets = fc.oneof(fc.string({ minLength: 1 }), fc.uint8Array({ minLength: 1 }))
    fc.assert(
      fc.property(secrets, (secret) => {
        const body = `${newId()}.${newSecret()}`
        const [id, rest] = body.split('.') as [StoreKey, CookieSecret]
        const key = createHmac('sha256', secret).update('staykept cookie tag').digest()
        const tag = createHmac('sha256', key).update(body).digest('base64url').slice(0, 22)
        expect(createKeyring([secret]).sign(id, rest)).toBe(`${body}.${tag}`)
      }),
    )
  })

  test('is refused when a single character of it is another', () => {
    const keyring = createKeyring([SECRET])
    const value = keyring.sign(newId(), newSecret())
    for (let at = 0; at < value.length; at += 1) {
      for (const other of ['A', 'B', '.', '=', 'é', '']) {
        if (value[at] === other) continue
        expect(keyring.verify(value.slice(0, at) + other + value.slice(at + 1))).toBeUndefined()
      }
    }
  })

  test('is refused when its parts come from two good ones', () => {
    const keyring = createKeyring([SECRET])
    const one = keyring.sign(newId(), newSecret()).split('.')
    const two = keyring.sign(newId(), newSecret()).split('.')
    for (const [a, b, c] of [
      [one, one, two],
      [one, two, one],
      [two, one, one],
      [one, two, two],
    ] as const) {
      expect(keyring.verify(`${a[0]}.${b[1]}.${c[2]}`)).toBeUndefined()
    }
  })

  test('is refused, whatever it is, if it was not signed', () => {
    const keyring = createKeyring([SECRET])
    fc.assert(fc.property(fc.string(), (value) => keyring.verify(value) === undefined))
    expect(keyring.verify('x'.repeat(1_000_000))).toBeUndefined()
    expect(createKeyring(['another secret']).verify(keyring.sign(newId(), newSecret()))).toBe(
      undefined,
    )
  })
})

describe('the keys', () => {
  test('all verify, and the first signs', () => {
    const old = createKeyring(['old'])
    const value = old.sign(newId(), newSecret())
    const both = createKeyring(['new', 'old'])
    expect(both.verify(value)).toMatchObject({ keyIndex: 1 })
    const { id, secret } = both.verify(value) as { id: StoreKey; secret: CookieSecret }
    expect(both.sign(id, secret)).toBe(createKeyring(['new']).sign(id, secret))
    expect(createKeyring(['new']).verify(value)).toBeUndefined()
  })

  test('are the same as text, as bytes and as a key object', () => {
    const [id, secret] = [newId(), newSecret()]
    const values = [SECRET, Buffer.from(SECRET), createSecretKey(Buffer.from(SECRET))].map((key) =>
      createKeyring([key]).sign(id, secret),
    )
    expect(new Set(values).size).toBe(1)
  })
})

test('forged cookies cost no store call', async () => {
  const faulty = faultyStore(memoryStore())
  const process = createProcess(faulty.store)
  const rejected: unknown[] = []
  process.manager.on('rejected', ({ reason }) => rejected.push(reason))
  const forged = createKeyring(['a guess']).sign(newId(), newSecret())
  for (const cookie of [forged, 'nonsense', '']) {
    expect(await show(process, cookie)).toEqual({ is: 'new' })
  }
  expect(faulty.total).toBe(0)
  expect(rejected).toEqual(['forged', 'forged', 'forged'])
})

test('a signed cookie with another secret opens nothing and changes nothing', async () => {
  const store = memoryStore()
  const process = createProcess(store)
  const cookie = await newSession(process, {}, 'u1')
  const id = cookie.slice(0, 22) as StoreKey
  const guess = process.engine.keyring.sign(id, newSecret())
  expect(await show(process, guess)).toEqual({ is: 'new' })
  expect(await show(process, cookie)).toEqual({ userId: 'u1' })
})

test('what a store keeps of a session is not its cookie', async () => {
  const store = memoryStore()
  const process = createProcess(store)
  const cookie = await newSession(process, { a: 1 }, 'u1')
  const [id, secret, tag] = cookie.split('.') as [StoreKey, CookieSecret, string]
  const kept = JSON.stringify(await store.load(id, Date.now()))
  expect(kept).not.toContain(secret)
  expect(kept).not.toContain(tag)
  const { session } = await process.request(createJar(cookie))
  expect(session.info.csrfId).toBe(csrfIdOf(hashSecret(secret)))
  expect(session.info.csrfId).not.toBe(hashSecret(secret))
  expect(kept).not.toContain(session.info.csrfId)
})
