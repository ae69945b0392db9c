import { createSecretKey, type KeyObject } from 'node:crypto'
import { type SessionOptions, type SessionStore, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { expectTypeOf, test } from 'vitest'

const secret = 'x'

test('options are typed, not any', () => {
  expectTypeOf<SessionOptions>().not.toBeAny()
  expectTypeOf<SessionOptions['cookie']>().not.toBeAny()
  expectTypeOf<SessionOptions['store']>().not.toBeAny()
  expectTypeOf(session).parameter(0).toEqualTypeOf<SessionOptions>()
})

test('a secret is text, bytes, a key object or a list of them', () => {
  expectTypeOf(session).toBeCallableWith({ secret })
  expectTypeOf(session).toBeCallableWith({ secret: Buffer.alloc(32) })
  expectTypeOf(session).toBeCallableWith({ secret: createSecretKey(Buffer.alloc(32)) })
  expectTypeOf(session).toBeCallableWith({ secret: ['new', 'old'] as const })
  expectTypeOf(session).toBeCallableWith({ secret: ['new', Buffer.alloc(32), {} as KeyObject] })
  // @ts-expect-error: there is no session without a secret
  session({})
  // @ts-expect-error: a number is no secret
  session({ secret: 1234 })
  // @ts-expect-error: environment variables may be missing
  session({ secret: process.env.SESSION_SECRET })
})

test('what express-session users write is accepted', () => {
  session({ secret, resave: false, saveUninitialized: false, rolling: true })
  session({ secret, name: 'sid', cookie: { maxAge: 60_000, secure: 'auto', sameSite: true } })
  session({ secret, cookie: { maxAge: null, httpOnly: true, path: '/', domain: 'example.com' } })
})

test('a cookie option that no browser takes is an error', () => {
  session({ secret, cookie: { sameSite: 'none', secure: true } })
  session({ secret, cookie: { sameSite: 'none', secure: true, partitioned: true } })
  // @ts-expect-error: browsers drop SameSite=None without Secure
  session({ secret, cookie: { sameSite: 'none', secure: false } })
  // @ts-expect-error: on an insecure request it would not be Secure
  session({ secret, cookie: { sameSite: 'none', secure: 'auto' } })
  // @ts-expect-error: browsers drop Partitioned without Secure
  session({ secret, cookie: { partitioned: true, secure: false } })
  // @ts-expect-error: milliseconds, not words
  session({ secret, cookie: { maxAge: '1h' } })
  // @ts-expect-error: no such value
  session({ secret, cookie: { sameSite: 'Lax ' } })
  // @ts-expect-error: no such option
  session({ secret, cookie: { httponly: true } })
})

test('a store is an instance of a store', () => {
  session({ secret, store: memoryStore() })
  expectTypeOf(memoryStore()).toExtend<SessionStore>()
  // @ts-expect-error: the function that makes a store is not a store
  session({ secret, store: memoryStore })
  // @ts-expect-error: a class is not an instance
  session({ secret, store: StoreClass })
  // @ts-expect-error: an express-session store speaks another language
  session({ secret, store: { get() {}, set() {}, destroy() {} } })
})

test('misspelt and impossible options are errors', () => {
  // @ts-expect-error: no such option
  session({ secret, cookies: {} })
  // @ts-expect-error: no such policy
  session({ secret, onStoreError: 'ignore' })
  // @ts-expect-error: milliseconds, not words
  session({ secret, absoluteTimeout: '12h' })
  // @ts-expect-error: a clock is an object
  session({ secret, clock: Date.now })
})

declare class StoreClass implements SessionStore {
  readonly name: string
  load: SessionStore['load']
  create: SessionStore['create']
  update: SessionStore['update']
  touch: SessionStore['touch']
  delete: SessionStore['delete']
}
