import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
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
    await page.getByRole('heading', { name: 'Hello, Ada' }).waitFor()
    await page.getByRole('link', { name: /^Cart/ }).click()
    await page.getByText('€148.00 each').waitFor()

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    await page.goBack()
    expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0)
    expect(await page.context().cookies()).toEqual([])
    expect(complaints.filter((text) => !text.includes('422'))).toEqual([])
  },
)

test('one device signs out the other, which notices at its next click', async (context) => {
  const shop = await openTestShop()
  const chromium = await openChromium(context)
  const laptop = await device(chromium, shop.url)
  const phone = await device(chromium, shop.url, {
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

  for (const path of ['/', '/products/evening-light', '/cart', '/nowhere', '/signed-out']) {
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
  await page.goto('/admin')
  await page.locator('.person a').last().click()
  await page.getByRole('link', { name: 'All accounts' }).waitFor()
  await look()
  expect(findings).toEqual([])
}, 60_000)

test('nothing is wider than the window, from 320 to 1440 pixels', async (context) => {
  const shop = await openTestShop()
  const page = await device(await openChromium(context), shop.url)
  await goToReview(page)
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.waitForURL('**/orders/*')
  const { pathname } = new URL(page.url())
  await goToReview(page, 'moon-jar', { isSignedIn: true })
  for (const width of [320, 360, 768, 1440]) {
    await page.setViewportSize({ width, height: 800 })
    for (const path of [...PATHS, pathname]) {
      await page.goto(path)
      expect(
        await page.evaluate('document.documentElement.scrollWidth'),
        `${path} at ${width}`,
      ).toBe(width)
    }
  }
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

/** A page in a context of its own: cookies of its own, as on a device of its own. */
async function device(
  chromium: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await chromium.newContext({ baseURL, ...options })
  onTestFinished(() => context.close())
  context.setDefaultTimeout(10_000)
  return context.newPage()
}

async function signIn(page: Page, email = DEMO.email, password = DEMO.password): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
}

async function fillCart(page: Page, product: string): Promise<void> {
  await page.goto(`/products/${product}`)
  await page.getByRole('button', { name: 'Add to cart' }).click()
  await page.getByText('is in your cart.').waitFor()
}

/** On the first step of the checkout. */
async function fillAddress(page: Page): Promise<void> {
  await page.getByLabel('Name').fill('Robin Vale')
  await page.getByLabel('Street').fill('14 Harbour Row')
  await page.getByLabel('Postcode').fill('D02 X285')
  await page.getByLabel('Town').fill('Dublin')
  await page.getByLabel('Country').selectOption('IE')
  await page.getByRole('button', { name: 'Go on to delivery' }).click()
  await page.getByRole('heading', { name: 'How should it travel?' }).waitFor()
}

async function goToReview(
  page: Page,
  product = 'desk-mug',
  { isSignedIn = false } = {},
): Promise<void> {
  await fillCart(page, product)
  await page.getByRole('link', { name: 'Check out' }).click()
  if (!isSignedIn) await signIn(page)
  await fillAddress(page)
  await page.getByLabel('By courier').check()
  await page.getByRole('button', { name: 'Go on to the review' }).click()
  await page.getByRole('heading', { name: 'All as it should be?' }).waitFor()
}

/** Presses Tab until the control with this label or text has the focus, and sees that it shows. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let count = 0; count < 40; count += 1) {
    await page.keyboard.press('Tab')
    const text = await page.evaluate(
      '(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()',
    )
    if (!String(text).startsWith(name)) continue
    const outline = '(document.activeElement.closest(".choice") ?? document.activeElement)'
    expect(await page.evaluate(`getComputedStyle(${outline}).outlineStyle`)).toBe('solid')
    return
  }
  throw new Error(`Tab never reaches "${name}"`)
}

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

async function focused(page: Page): Promise<unknown> {
  return page.evaluate('document.activeElement.textContent')
}
