import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { device, fillAddress, fillCart, goToReview, signIn } from './browsing.js'
import { openChromium } from './chromium.js'
import { openTestShop } from './shop.js'

const PATHS = [
  '/',
  '/products/moon-jar',
  '/cart',
  '/checkout/address',
  '/checkout/delivery',
  '/checkout/review',
  '/orders',
  '/dashboard',
  '/devices',
  '/profile',
  '/nowhere',
]

test('no page has a serious finding of axe, in light or dark, and none moves while it loads', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const page = await device(chromium, shop.url, { viewport: { width: 1280, height: 800 } })
  const findings: string[] = []
  const click = (name: string): Promise<void> =>
    page.getByRole('main').getByRole('button', { name }).click()
  async function look(path?: string): Promise<void> {
    if (path) await page.goto(path)
    findings.push(...(await problemsOf(page)))
  }

  const left = '/sign-in?ended=revokeByUser&return=%2Forders'
  for (const path of ['/', '/products/evening-light', '/cart', '/nowhere', '/signed-out', left]) {
    await look(path)
  }
  for (const [path, send] of [
    ['/sign-in', 'Sign in'],
    ['/register', 'Open the account'],
  ] as const) {
    await look(path)
    await click(send)
    await page.locator('.wrong').first().waitFor()
    await look()
  }
  await fillCart(page, 'evening-light')
  await look()
  await page.goto('/sign-in')
  await signIn(page)
  await page.getByRole('heading', { name: /Hello/ }).waitFor()
  const paths = ['/orders', '/devices', '/profile', '/password', '/confirm', '/admin', '/checkout']
  for (const path of paths) await look(path)
  await click('Go on to delivery')
  await page.locator('.wrong').first().waitFor()
  await look()
  await fillAddress(page)
  await look('/checkout/delivery')
  await click('Go on to the review')
  await page.locator('.wrong').waitFor()
  await look()
  await page.getByLabel('By courier').check()
  await click('Go on to the review')
  await page.getByRole('heading', { name: 'All as it should be?' }).waitFor()
  await look()
  await click('Place the order')
  await page.getByText('Thank you.').waitFor()
  await look()
  for (const path of ['/orders', '/dashboard']) await look(path)

  await page.goto('/products/evening-light')
  await page.getByLabel('How many').fill('2')
  await click('Add to cart')
  const rival = await device(chromium, shop.url)
  await goToReview(rival, 'evening-light')
  await rival.getByRole('button', { name: 'Place the order' }).click()
  await rival.getByText('Thank you.').waitFor()
  await page.goto('/checkout/address')
  await fillAddress(page)
  await page.getByLabel('Collected').check()
  await click('Go on to the review')
  await page.getByText('only 1 is left').waitFor()
  await look()
  await look('/cart')

  await page.context().clearCookies()
  await page.goto('/sign-in')
  await signIn(page, DEMO_ADMIN.email, DEMO_ADMIN.password)
  await page.getByRole('heading', { name: /Hello/ }).waitFor()
  await look('/admin')
  await look('/admin?search=nobody-at-all')
  for (const name of [DEMO.name, DEMO_ADMIN.name]) {
    await page.goto('/admin')
    await page.getByRole('link', { name }).click()
    await page.getByRole('heading', { name }).waitFor()
    await look()
  }
  expect(findings).toEqual([])
}, 60_000)

test('nothing is wider than the window, from 320 to 1440 pixels', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  async function measure(path: string): Promise<void> {
    await page.goto(path)
    for (const width of [320, 360, 768, 1440]) {
      await page.setViewportSize({ width, height: 800 })
      const wide = await page.evaluate('document.documentElement.scrollWidth')
      expect(wide, `${path} at ${width}`).toBe(width)
    }
  }
  await measure('/sign-in?ended=revokeByUser')
  await goToReview(page)
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.waitForURL('**/orders/*')
  const { pathname } = new URL(page.url())
  await goToReview(page, 'moon-jar', { isSignedIn: true })
  for (const path of [...PATHS, pathname]) await measure(path)
})

test('the longest words without a space make no page wider', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url, {
    viewport: { width: 320, height: 800 },
  })
  const wide: string[] = []
  async function measure(): Promise<void> {
    const width = await page.evaluate('document.documentElement.scrollWidth')
    if (width !== 320) wide.push(`${page.url()}: ${width}`)
  }
  await fillCart(page, 'desk-mug')
  await page.goto('/sign-in')
  await signIn(page)
  await page.goto('/profile')
  await page.getByLabel('What we call you').fill('W'.repeat(80))
  await page.getByRole('button', { name: 'Change the name' }).click()
  await page.getByRole('status').waitFor()
  await measure()
  await page.goto('/checkout')
  await page.getByLabel('Street').fill('W'.repeat(120))
  await page.getByLabel('Postcode').fill('W'.repeat(12))
  await page.getByLabel('Town').fill('W'.repeat(80))
  await page.getByLabel('Country').selectOption('LU')
  await page.getByRole('button', { name: 'Go on to delivery' }).click()
  await page.getByLabel('Collected').check()
  await page.getByRole('button', { name: 'Go on to the review' }).click()
  await page.getByRole('heading', { name: 'All as it should be?' }).waitFor()
  await measure()
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('Thank you.').waitFor()
  await measure()
  await page.goto('/dashboard')
  await measure()
  await page.context().clearCookies()
  await page.goto('/sign-in')
  await signIn(page)
  await page.getByText('Good to see you').waitFor()
  await measure()
  await page.context().clearCookies()
  await page.goto('/sign-in')
  await signIn(page, DEMO_ADMIN.email, DEMO_ADMIN.password)
  await page.goto('/admin')
  await measure()
  await page.getByRole('link', { name: 'WWW' }).click()
  await page.getByRole('heading', { name: 'WWW' }).waitFor()
  await measure()
  expect(wide).toEqual([])
})

/** What axe finds serious on the page as it stands, and how far the page moved while it loaded. */
async function problemsOf(page: Page): Promise<string[]> {
  const where = `${new URL(page.url()).pathname} "${await page.title()}"`
  await page.evaluate(axe.source)
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    // Dark differs in its colours alone.
    const options = colorScheme === 'dark' ? { runOnly: ['color-contrast'] } : {}
    const { violations } = (await page.evaluate(
      `axe.run(document, ${JSON.stringify({ ...options, resultTypes: ['violations'] })})`,
    )) as axe.AxeResults
    found.push(
      ...violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${where}, ${colorScheme}: ${id}: ${nodes[0]?.html}`),
    )
  }
  await page.emulateMedia({ colorScheme: 'light' })
  const shift = Number(await page.evaluate(LAYOUT_SHIFT))
  if (shift > 0.001) found.push(`${where} moves by ${shift}`)
  return found
}

const LAYOUT_SHIFT = `new Promise((resolve) => {
  let sum = 0
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value
  }).observe({ type: 'layout-shift', buffered: true })
  setTimeout(() => resolve(sum), 30)
})`
