import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { movableClock } from '../../src/testing.js'
import { openChromium } from './chromium.js'
import { openTestShop, scratch } from './shop.js'

const PICTURE = {
  name: 'me.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    'base64',
  ),
}

test.for([true, false])(
  'with JavaScript %s: a picture is uploaded, seen, and taken away',
  async (javaScriptEnabled, context) => {
    const shop = await openTestShop()
    const page = await device(await openChromium(context), shop.url, { javaScriptEnabled })
    await signIn(page)
    await page.getByRole('link', { name: 'Change them' }).click()
    await page.getByLabel('Choose one').setInputFiles({ ...PICTURE, buffer: Buffer.from('hello') })
    await page.getByRole('button', { name: 'Upload the picture' }).click()
    await page.getByText('A picture as PNG, JPEG or WebP, please.').waitFor()

    await page.getByLabel('Choose one').setInputFiles(PICTURE)
    await page.getByRole('button', { name: 'Upload the picture' }).click()
    await page.getByText('That is a good picture.').waitFor()
    const image = page.getByRole('img', { name: 'Your picture' })
    const width = () => page.evaluate('document.querySelector("img.avatar").naturalWidth')
    await expect.poll(width).toBe(1)

    await page.getByRole('button', { name: 'Remove the picture' }).click()
    await page.getByText('Your picture is gone.').waitFor()
    expect(await image.count()).toBe(0)
  },
)

test('after a while the password is asked for, then changed, and the other device is out', async (context) => {
  const clock = movableClock()
  const shop = await openTestShop({}, scratch(), clock)
  const chromium = await openChromium(context)
  const [laptop, phone] = [await device(chromium, shop.url), await device(chromium, shop.url)]
  await signIn(laptop)
  await signIn(phone)
  clock.advance(11 * 60_000)

  await laptop.goto('/profile')
  await laptop.getByRole('link', { name: 'Change the password' }).click()
  await laptop.getByRole('heading', { name: 'Is it you?' }).waitFor()
  await laptop.getByLabel('Password').fill('not my password')
  await laptop.getByRole('button', { name: 'It is me' }).click()
  await laptop.getByText('That is not your password.').waitFor()
  await laptop.getByLabel('Password').fill(DEMO.password)
  await laptop.getByRole('button', { name: 'It is me' }).click()

  await laptop.getByLabel('The password you have').fill(DEMO.password)
  await laptop.getByLabel('The new one').fill('short')
  await laptop.getByRole('button', { name: 'Change the password' }).click()
  await laptop.getByText('10 more to go').waitFor()
  await laptop.getByLabel('The password you have').fill(DEMO.password)
  await laptop.getByLabel('The new one').fill('nine purple ladders')
  await laptop.getByRole('button', { name: 'Change the password' }).click()
  await laptop.getByText('All other devices are signed out.').waitFor()

  await phone.getByText('Your devices were signed out, this one among them.').waitFor()
  await laptop.reload()
  await laptop.getByRole('heading', { name: 'Your profile' }).waitFor()
})

test('an admin finds a customer, makes an admin of them, and signs them out', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const [robin, morgan] = [await device(chromium, shop.url), await device(chromium, shop.url)]
  await signIn(robin)
  await signIn(morgan, DEMO_ADMIN)
  await morgan.getByRole('link', { name: 'Look after them' }).click()
  await morgan.getByLabel('Name or e-mail').fill('robin')
  await morgan.getByRole('button', { name: 'Search' }).click()
  await morgan.getByText('One device, just now').waitFor()
  await morgan.getByRole('link', { name: DEMO.name }).click()
  await morgan.getByRole('button', { name: 'Sign out everywhere' }).click()
  await morgan.getByText('one device is signed out').waitFor()
  await robin.waitForURL('**/sign-in?ended=revokeByUser&*')

  await morgan.getByRole('button', { name: 'Make an admin' }).click()
  await morgan.getByText('is an admin from the next sign-in on').waitFor()
  await signIn(robin)
  await robin.getByRole('link', { name: 'Look after them' }).click()
  await robin.getByRole('heading', { name: 'Accounts' }).waitFor()
})

test('who is remembered is still there when the browser was closed, and only then', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  for (const remember of [true, false]) {
    const page = await device(chromium, shop.url)
    await signIn(page, { ...DEMO, remember })
    const [cookie] = await page.context().cookies()
    // -1: until the browser closes.
    const days = cookie!.expires === -1 ? -1 : (cookie!.expires - Date.now() / 1000) / 86_400
    expect(Math.round(days)).toBe(remember ? 30 : -1)
  }
})

/** A page in a context of its own: cookies of its own, as on a device of its own. */
async function device(
  chromium: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await chromium.newContext({ baseURL, ...options })
  context.setDefaultTimeout(10_000)
  return context.newPage()
}

async function signIn(
  page: Page,
  who: { email: string; password: string; remember?: boolean } = DEMO,
): Promise<void> {
  await page.goto('/sign-in')
  await page.getByLabel('E-mail').fill(who.email)
  await page.getByLabel('Password').fill(who.password)
  if (who.remember) await page.getByLabel('Remember me').check()
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL('**/dashboard')
}
