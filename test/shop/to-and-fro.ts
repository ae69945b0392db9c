import { expect } from 'vitest'
import { createClient } from '../http.js'
import { type Running, startServer } from './server.js'
import { scratch, type Visitor, visitor } from './shop.js'

/** Two shops on one store, and visitors who meet now the one, now the other. Answers what the two printed. */
export async function goToAndFro(env: Record<string, string>): Promise<string> {
  const dataDir = scratch()
  const [one, two] = await Promise.all([startServer(dataDir, env), startServer(dataDir, env)])
  for (const { url } of [one, two]) {
    expect((await createClient(url).get('/readyz')).json()).toMatchObject({ sessions: true })
  }

  const laptop = visitor(one)
  await laptop.add('moon-jar')
  expect((await laptop.signIn()).status).toBe(303)
  expect(await at(two, laptop).cart()).toEqual({ 'moon-jar': 1 })
  await Promise.all([laptop.add('desk-mug'), at(two, laptop).add('salt-pot')])
  expect(await laptop.cart()).toEqual({ 'moon-jar': 1, 'desk-mug': 1, 'salt-pot': 1 })

  const phone = visitor(two)
  await phone.signIn()
  for (const server of [one, two]) expect(await devicesOf(at(server, laptop))).toBe(2)
  await at(two, laptop).submit('/devices/sign-out-others')
  for (const server of [one, two]) expect(await isSignedIn(at(server, phone))).toBe(false)
  expect(await devicesOf(laptop)).toBe(1)

  const stolen = laptop.jar.clone()
  expect(await isSignedIn(visitor(two, createClient(two.url, stolen)))).toBe(true)
  expect((await laptop.submit('/sign-out')).status).toBe(303)
  for (const { url } of [one, two]) {
    expect(await isSignedIn(visitor({ url }, createClient(url, stolen)))).toBe(false)
  }

  for (const { child } of [one, two]) child.kill('SIGTERM')
  expect(await Promise.all([one.ended, two.ended])).toEqual([0, 0])
  return one.printed() + two.printed()
}

/** The same visitor at another server. */
export function at({ url }: Running, { jar }: Visitor): Visitor {
  return visitor({ url }, createClient(url, jar))
}

export async function isSignedIn(one: Visitor): Promise<boolean> {
  return (await one.get('/dashboard')).status === 200
}

async function devicesOf(one: Visitor): Promise<number> {
  const { devices } = (await one.get('/api/devices')).json() as { devices: unknown[] }
  return devices.length
}
