import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { device, signIn } from './browsing.js'
import { openChromium } from './chromium.js'
import { openTestShop } from './shop.js'

const PHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1'

test.for([
  ['with', true],
  ['without', false],
] as const)(
  '%s JavaScript: fill a cart, register, sign in, find the cart, sign out',
  async ([, javaScriptEnabled], context) => {
    const shop = await openTestShop()
    const page = await device(await openChromium(context), shop.url, { javaScriptEnabled })
    const complaints: string[] = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))

    await page.goto('/')
    await page.getByRole('link', { name: 'Moon jar' }).click()
    await page.getByRole('button', { name: 'Add to cart' }).click()
    await page.getByText('Moon jar is in your cart.').waitFor()
    await page.getByRole('link', { name: 'sign in', exact: true }).click()
    await page.getByRole('link', { name: 'Open an account' }).click()

    await page.getByLabel('Name').fill('Ada')
    await page.getByLabel('E-mail').fill('ada@example.com')
    await page.getByLabel('Password').fill('too short')
    await page.getByRole('button', { name: 'Open the account' }).click()
    await page.getByText('6 more to go').waitFor()
    expect(await page.getByLabel('Name').inputValue()).toBe('Ada')
    await page.getByLabel('Password').fill('seven green buttons')
    await page.getByRole('button', { name: 'Open the account' }).click()

    await page.getByText('If this address had no account yet').waitFor()
    await signIn(page, 'ada@example.com', 'seven green buttons')
    await page.getByText('Good to see you, Ada.').waitFor()
    expect(new URL(page.url()).pathname).toBe('/cart')
    await page.getByText('€148.00 each').waitFor()

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    await page.goBack()
    expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0)
    expect(await page.context().cookies()).toEqual([])
    expect(complaints.filter((text) => !text.includes('422'))).toEqual([])
  },
)

test('without JavaScript, one device signs out the other, which notices at its next click', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const laptop = await device(chromium, shop.url, { javaScriptEnabled: false })
  const phone = await device(chromium, shop.url, {
    javaScriptEnabled: false,
    userAgent: PHONE,
    viewport: { width: 360, height: 740 },
  })
  for (const page of [laptop, phone]) {
    await page.goto('/sign-in')
    await signIn(page)
    await page.getByRole('heading', { name: `Hello, ${DEMO.name}` }).waitFor()
  }

  await laptop.goto('/devices')
  expect(await laptop.getByText('This one').count()).toBe(1)
  await laptop.getByRole('button', { name: /^Sign out Safari on iPhone/ }).click()
  await laptop.getByText('The device is signed out.').waitFor()

  await phone.getByRole('link', { name: 'Look at them' }).click()
  await phone.getByText('Sign in, and you go straight on').waitFor()
  await signIn(phone)
  await phone.getByRole('heading', { name: 'Your devices' }).waitFor()

  await phone.getByRole('button', { name: 'Sign out all others' }).click()
  await phone.getByText('The other device is signed out.').waitFor()
  await laptop.reload()
  expect(new URL(laptop.url()).pathname).toBe('/sign-in')
})

test('three tabs that add at once lose nothing', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const first = await device(chromium, shop.url)
  await first.goto('/products/moon-jar')
  await first.getByRole('button', { name: 'Add to cart' }).click()
  await first.getByText('Moon jar is in your cart.').waitFor()
  const tabs = [first, await first.context().newPage(), await first.context().newPage()]

  for (let round = 0; round < 5; round += 1) {
    await Promise.all(tabs.map((tab) => tab.goto('/products/salt-pot')))
    await Promise.all(
      tabs.map(async (tab) => {
        await tab.getByRole('button', { name: 'Add to cart' }).click()
        await tab.waitForURL('**/cart')
      }),
    )
  }

  await first.reload()
  expect(await first.getByLabel('How many Salt pot').inputValue()).toBe('15')
  expect(await first.getByRole('link', { name: /^Cart 16/ }).count()).toBe(1)
})

test('a changed quantity is stored without a click, and the total follows', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await page.goto('/products/moon-jar')
  await page.getByRole('button', { name: 'Add to cart' }).click()
  await page.getByLabel('How many Moon jar').fill('3')
  await page.getByText('€444.00').first().waitFor()
  await page.getByRole('button', { name: 'Take out Moon jar' }).click()
  await page.getByRole('heading', { name: 'Your cart is empty' }).waitFor()
})

test('the main path can be walked with the keyboard alone', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await page.goto('/products/moon-jar')
  await page.keyboard.press('Tab')
  expect(await focused(page)).toBe('Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  expect(await focused(page)).toBe('Add to cart')
  expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
  await page.keyboard.press('Enter')
  await page.getByText('Moon jar is in your cart.').waitFor()
})

async function focused(page: Page): Promise<unknown> {
  return page.evaluate('document.activeElement.textContent')
}
