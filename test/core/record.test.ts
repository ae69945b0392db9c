import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodePayload, readRecord, type SessionMeta } from '../../src/core/record.js'
import type { SessionRecord, StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { createJar, createProcess, type Process } from './process.js'
import { idOf, newSession, show } from './scene.js'

const ID = 'AAAAAAAAAAAAAAAAAAAAAA' as StoreKey
const META: SessionMeta = { secretHash: 's', privilege: 'p', createdAt: 1 }

function record(payload: unknown, extra: object = {}): SessionRecord {
  const times = { lastSeenAt: 1, expiresAt: 2, absoluteExpiresAt: 3 }
  return { version: 'v', payload, ...times, ...extra } as SessionRecord
}

describe('a payload', () => {
  test('gives back what went in', () => {
    const metas = fc.record(
      {
        secretHash: fc.string(),
        privilege: fc.string(),
        createdAt: fc.integer(),
        signedInAt: fc.integer(),
        user: fc.oneof(fc.string(), fc.integer(), fc.bigInt()),
        maxAge: fc.oneof(fc.integer(), fc.constant(null)),
        previous: fc.array(fc.record({ secretHash: fc.string(), at: fc.integer() })),
        device: fc.record({ userAgent: fc.string(), ip: fc.string() }),
      },
      { requiredKeys: ['secretHash', 'privilege', 'createdAt'] },
    )
    fc.assert(
      fc.property(metas, fc.string(), (meta, text) => {
        const read = readRecord(ID, record(encodePayload(meta, text)))
        if (typeof read === 'string') throw new Error(read)
        expect(read).toMatchObject({ id: ID, version: 'v', text, meta })
      }),
    )
  })

  test('is read or called corrupt, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything()), (payload) => {
        const read = readRecord(ID, record(payload))
        if (typeof read !== 'object') expect(read).toMatch(/^(corrupt|newer)$/)
      }),
    )
  })
})

const good = encodePayload(META, '{"a":1}')

const corrupt: Record<string, SessionRecord> = {
  'no payload': record(undefined),
  'a payload that is no text': record(5),
  'an empty payload': record(''),
  'a format without a number': record(good.slice(1)),
  'format 0': record(good.replace(/^1/, '0')),
  'half of the first line': record(good.slice(0, 20)),
  'no second line': record(good.slice(0, good.indexOf('\n'))),
  'meta data that are null': record('1null\n{}'),
  'meta data that are no list': record('1{"s":"s","p":"p","c":1}\n{}'),
  'no meta data': record('1[]\n{}'),
  'too few meta data': record('1["s","p",1,null,null,null,null]\n{}'),
  'no secret': record('1[null,"p",1,null,null,null,null,null]\n{}'),
  'no privilege': record('1["s",null,1,null,null,null,null,null]\n{}'),
  'a time that is a word': record('1["s","p","now",null,null,null,null,null]\n{}'),
  'a sign-in at a word': record('1["s","p",1,"now",null,null,null,null]\n{}'),
  'a user that is an object': record('1["s","p",1,null,{},null,null,null]\n{}'),
  'a bigint that is a word': record('1["s","p",1,null,["x"],null,null,null]\n{}'),
  'an idle timeout that is a word': record('1["s","p",1,null,null,"1h",null,null]\n{}'),
  'former secrets that are none': record('1["s","p",1,null,null,null,[1],null]\n{}'),
  'a device that is a word': record('1["s","p",1,null,null,null,null,"Firefox"]\n{}'),
  'no version': record(good, { version: undefined }),
  'no deadline': record(good, { expiresAt: undefined }),
}

for (const [form, broken] of Object.entries(corrupt)) {
  test(`a record with ${form} is corrupt`, () => {
    expect(readRecord(ID, broken)).toBe('corrupt')
  })
}

test('a record of a newer format is told from a corrupt one', () => {
  expect(readRecord(ID, record(good.replace(/^1/, '2')))).toBe('newer')
  expect(readRecord(ID, record('17 whatever may come'))).toBe('newer')
})

describe('a session whose record cannot be read', () => {
  const damages: Record<string, { damage(payload: string): string; reason: string }> = {
    'is corrupt in its meta data': {
      damage: (payload) => payload.replace('[', '[['),
      reason: 'corrupt',
    },
    'is corrupt in its data': { damage: (payload) => payload.slice(0, -3), reason: 'corrupt' },
    'holds data that are no object': {
      damage: (payload) => payload.replace(/\n.*/, '\n[1]'),
      reason: 'corrupt',
    },
    'is nested without end': {
      damage: (payload) =>
        payload.replace(/\n.*/, `\n{"$a":${'{"$set":['.repeat(9000)}${']}'.repeat(9000)}}`),
      reason: 'corrupt',
    },
    'has a newer format': { damage: (payload) => payload.replace(/^1/, '2'), reason: 'newer' },
  }

  for (const [how, { damage, reason }] of Object.entries(damages)) {
    test(`because it ${how} is absent, is told of, and lets its owner sign in again`, async () => {
      const { store, process, cookie } = await damaged(damage)
      const events: unknown[] = []
      process.manager.on('corrupt', (event) => events.push(event))
      const jar = createJar(cookie)
      const visitor = await process.request(jar)
      expect({ ...visitor.session }).toEqual({})
      expect(visitor.session.info.isNew).toBe(true)
      expect(events).toEqual([{ id: idOf(cookie), reason }])
      await visitor.session.signIn('u1')
      await visitor.respond()
      expect(idOf(jar.cookie as string)).not.toBe(idOf(cookie))
      expect(await show(process, jar.cookie as string)).toEqual({ userId: 'u1' })
      // A newer release can still read its own.
      expect(await store.load(idOf(cookie), Date.now())).toBeDefined()
    })
  }

  test('that became corrupt during a request counts as ended', async () => {
    const store = memoryStore()
    const process = createProcess(store)
    const cookie = await newSession(process, { a: 1 })
    const visitor = await process.request(createJar(cookie))
    visitor.session.b = 2
    await spoil(store, cookie, (payload) => payload.slice(0, -3))
    await expect(visitor.respond()).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
  })

  async function damaged(
    damage: (payload: string) => string,
  ): Promise<{ store: ReturnType<typeof memoryStore>; process: Process; cookie: string }> {
    const store = memoryStore()
    const process = createProcess(store)
    const cookie = await newSession(process, { a: 1 })
    await spoil(store, cookie, damage)
    return { store, process, cookie }
  }

  async function spoil(
    store: ReturnType<typeof memoryStore>,
    cookie: string,
    damage: (payload: string) => string,
  ): Promise<void> {
    const id = idOf(cookie)
    const found = await store.load(id, Date.now())
    if (found === undefined) throw new Error('no session to damage')
    const spoilt = { ...found, version: 'spoilt', payload: damage(found.payload) }
    await store.update(id, spoilt, found.version, Date.now())
  }
})
