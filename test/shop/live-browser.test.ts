import { rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { device, signIn } from './browsing.js'
import { openChromium } from './chromium.js'
import { startServer } from './server.js'
import { openTestShop, scratch, visitor } from './shop.js'

const NEW = 'seven green buttons'

test('a page of a device that is signed out leaves by itself, says so, and comes back after a sign-in', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const [laptop, phone] = [await device(chromium, shop.url), await device(chromium, shop.url)]
  await open(laptop, '/devices')
  await open(phone, '/orders')
  await laptop.reload()

  const clicked = performance.now()
  await laptop.getByRole('button', { name: /^Sign out .+, last seen/ }).click()
  await phone.waitForURL('**/sign-in?ended=revoke&return=%2Forders')
  const left = Math.round(performance.now() - clicked)
  console.log(`a page of the signed-out device was gone ${left} ms after the click`)
  expect(left).toBeLessThan(5000)
  const status = phone.getByRole('status')
  expect(await status.textContent()).toContain('You were signed out on another device')
  await signIn(phone)
  await phone.waitForURL('**/orders')
  expect(new URL(laptop.url()).pathname).toBe('/devices')
})

test('signed out by the others, by a new password, by a new role: each time the page leaves', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  const [laptop, morgan] = [visitor(shop), visitor(shop)]
  await laptop.signIn()
  await morgan.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  const id = /accounts\/([\w-]+)/.exec((await morgan.get('/admin?search=robin')).text)?.[1]

  for (const [endIt, password] of [
    [() => laptop.submit('/devices/sign-out-others'), DEMO.password],
    [() => laptop.submit('/password', { current: DEMO.password, new: NEW }), DEMO.password],
    [() => morgan.submit(`/admin/accounts/${id}/role`, { role: 'admin' }), NEW],
  ] as const) {
    await open(page, '/cart', password)
    await endIt()
    await page.waitForURL('**/sign-in?ended=revokeByUser&return=%2Fcart')
    await page.getByText('Your devices were signed out, this one among them').waitFor()
  }
})

test('the tabs of a browser share one stream; who signs out in one sees its page, and the others leave', async (context) => {
  const shop = await openTestShop()
  const first = await device(await openChromium(context), shop.url)
  const streams: string[] = []
  first.context().on('request', (request) => {
    if (request.url().includes('/events')) streams.push(request.method())
  })
  await open(first, '/orders')
  const tabs = [await first.context().newPage(), await first.context().newPage()]
  for (const tab of tabs) await tab.goto('/profile')
  await pause(300)
  expect(streams).toEqual(['GET'])
  await first.getByRole('button', { name: 'Sign out' }).click()
  await first.getByRole('heading', { name: 'You are signed out' }).waitFor()
  for (const tab of tabs) await tab.waitForURL(/\/sign-in\?ended=(signOut|unknown)/)
  await pause(500)
  expect(new URL(first.url()).pathname).toBe('/signed-out')
})

test('a page whose shop was away notices afterwards that it is signed out, and goes once', async (context) => {
  const dataDir = scratch()
  const before = await startServer(dataDir)
  const page = await device(await openChromium(context), before.url)
  await open(page, '/orders')
  before.child.kill('SIGTERM')
  await before.ended
  rmSync(`${dataDir}/sessions.db`)

  const count = navigationsOf(page)
  await startServer(dataDir, { PORT: new URL(before.url).port })
  await page.getByText('You are not signed in any more').waitFor()
  await pause(1000)
  expect(count()).toBe(1)
})

test('a page that comes back from the cache of the browser asks before it stays', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await open(page, '/orders')
  await page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
  const ticket = await page.locator('meta[name="ticket"]').getAttribute('content')
  await shop.sessions.revoke(String(ticket).split('.')[0]!)
  await pause(500)
  expect(new URL(page.url()).pathname).toBe('/orders')
  await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
  await page.waitForURL('**/sign-in?ended=unknown&return=%2Forders')
})

test('where the stream says no and the page says yes, nothing goes round in circles', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await page.route('**/events?*', (route) => route.fulfill({ status: 401 }))
  const count = navigationsOf(page)
  await open(page, '/orders')
  await pause(3000)
  expect(new URL(page.url()).pathname).toBe('/orders')
  expect(count()).toBeLessThan(8)
})

/** Signs in on the way to a page, and waits until that listens. */
async function open(page: Page, path: string, password = DEMO.password): Promise<void> {
  const listening = page.waitForResponse('**/events?*')
  await page.goto(`/sign-in?${new URLSearchParams({ return: path })}`)
  await signIn(page, DEMO.email, password)
  await page.waitForURL(`**${path}`)
  await listening
}

function navigationsOf(page: Page): () => number {
  let count = 0
  page.on('framenavigated', () => {
    count += 1
  })
  return () => count
}
