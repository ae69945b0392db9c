import { expect, test } from 'vitest'
import { DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { device, fillAddress, fillCart, goToReview, signIn, tabTo } from './browsing.js'
import { openChromium } from './chromium.js'
import { openTestShop } from './shop.js'

test.for([
  ['with', true],
  ['without', false],
] as const)(
  '%s JavaScript: from a cart to an order, with mistakes, reloads and steps back',
  async ([, javaScriptEnabled], context) => {
    const shop = await openTestShop()
    const page = await device(await openChromium(context), shop.url, { javaScriptEnabled })
    await fillCart(page, 'desk-mug')
    await page.getByRole('link', { name: 'Check out' }).click()
    await page.getByText('Sign in, and you go straight on').waitFor()
    await signIn(page)

    await page.getByRole('heading', { name: 'Where to?' }).waitFor()
    await page.getByLabel('Street').fill('14 Harbour Row')
    await page.getByRole('button', { name: 'Go on to delivery' }).click()
    await page.getByText('The town or city.').waitFor()
    expect(await page.getByLabel('Street').inputValue()).toBe('14 Harbour Row')
    expect(await page.getByLabel('Town').getAttribute('aria-invalid')).toBe('true')
    await page.goto('/checkout')
    expect(await page.getByLabel('Street').inputValue()).toBe('14 Harbour Row')
    await fillAddress(page)

    await page.getByRole('heading', { name: 'How should it travel?' }).waitFor()
    await page.getByRole('button', { name: 'Go on to the review' }).click()
    await page.getByText('Choose how it should reach you.').waitFor()
    await page.getByLabel('By courier').check()
    await page.getByRole('button', { name: 'Back to the address' }).click()
    expect(await page.getByLabel('Town').inputValue()).toBe('Dublin')
    await page.reload()
    await page.getByRole('button', { name: 'Go on to delivery' }).click()
    expect(await page.getByLabel('By courier').isChecked()).toBe(true)
    await page.getByRole('button', { name: 'Go on to the review' }).click()

    await page.getByText('€42.50').waitFor()
    await page.reload()
    await page.goBack()
    expect(await page.getByLabel('By courier').isChecked()).toBe(true)
    await page.goForward()
    await page.getByRole('button', { name: 'Place the order' }).click()
    await page.getByText('Thank you. Order').waitFor()
    const { pathname } = new URL(page.url())

    await page.goBack()
    await page.getByRole('heading', { name: 'Your cart is empty' }).waitFor()
    await page.goto('/orders')
    expect(await page.getByText('Thank you.').count()).toBe(0)
    expect(await page.locator('.order').count()).toBe(1)
    await page.locator('.order').click()
    expect(new URL(page.url()).pathname).toBe(pathname)
  },
)

test('three tabs that place the order at once place it once', async (context) => {
  const shop = await openTestShop()
  const first = await device(await openChromium(context), shop.url)
  await goToReview(first)
  const tabs = [first, await first.context().newPage(), await first.context().newPage()]
  await Promise.all(tabs.map((tab) => tab.goto('/checkout/review')))

  await Promise.all(
    tabs.map(async (tab) => {
      await tab.getByRole('button', { name: 'Place the order' }).dblclick({ noWaitAfter: true })
      await tab.waitForURL('**/orders/*')
    }),
  )

  expect(new Set(tabs.map((tab) => tab.url())).size).toBe(1)
  await first.goto('/orders')
  expect(await first.locator('.order').count()).toBe(1)
})

test('an order is what its tab showed, whatever another tab did meanwhile', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await goToReview(page)
  const other = await page.context().newPage()
  await other.goto('/cart')
  await other.getByLabel('How many Desk mug').fill('2')
  await other.getByText('€56.00').first().waitFor()

  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('Something changed since you looked.').waitFor()
  await page.getByText('€56.00').first().waitFor()
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('2 × €28.00').waitFor()
})

test('what was typed and not sent outlives a reload, and nobody else finds it', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await fillCart(page, 'desk-mug')
  await page.goto('/sign-in')
  await signIn(page)
  await page.goto('/checkout')
  await page.getByLabel('Street').fill('14 Harbour Row')
  await page.getByLabel('Country').selectOption('IE')
  await page.reload()
  expect(await page.getByLabel('Street').inputValue()).toBe('14 Harbour Row')
  expect(await page.getByLabel('Country').inputValue()).toBe('IE')

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You are signed out').waitFor()
  await fillCart(page, 'desk-mug')
  await page.goto('/sign-in')
  await signIn(page, DEMO_ADMIN.email, DEMO_ADMIN.password)
  await page.goto('/checkout')
  expect(await page.getByLabel('Street').inputValue()).toBe('')
})

test('the whole checkout can be done with the keyboard alone', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  const { keyboard } = page
  await fillCart(page, 'desk-mug')
  await page.goto('/sign-in?return=/checkout')
  await signIn(page)
  await page.getByRole('heading', { name: 'Where to?' }).waitFor()

  await tabTo(page, 'Name')
  for (const text of ['', '14 Harbour Row', '', 'D02 X285', 'Dublin']) {
    await keyboard.type(text)
    await keyboard.press('Tab')
  }
  await keyboard.type('Irel')
  await keyboard.press('Tab')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'How should it travel?' }).waitFor()
  await tabTo(page, 'By post')
  await keyboard.press('Space')
  await keyboard.press('ArrowDown')
  await page.getByText('€42.50').waitFor()
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'All as it should be?' }).waitFor()
  await tabTo(page, 'Place the order')
  await keyboard.press('Enter')
  await page.getByText('Thank you. Order').waitFor()
})
