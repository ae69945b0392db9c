import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'

/** A page in a context of its own: cookies of its own, as on a device of its own. */
export async function device(
  chromium: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await chromium.newContext({ baseURL, ...options })
  onTestFinished(() => context.close())
  context.setDefaultTimeout(10_000)
  return context.newPage()
}

export async function signIn(
  page: Page,
  email = DEMO.email,
  password = DEMO.password,
): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
}

export async function fillCart(page: Page, product: string): Promise<void> {
  await page.goto(`/products/${product}`)
  await page.getByRole('button', { name: 'Add to cart' }).click()
  await page.getByText('is in your cart.').waitFor()
}

/** On the first step of the checkout. */
export async function fillAddress(page: Page): Promise<void> {
  await page.getByLabel('Name').fill('Robin Vale')
  await page.getByLabel('Street').fill('14 Harbour Row')
  await page.getByLabel('Postcode').fill('D02 X285')
  await page.getByLabel('Town').fill('Dublin')
  await page.getByLabel('Country').selectOption('IE')
  await page.getByRole('button', { name: 'Go on to delivery' }).click()
  await page.getByRole('heading', { name: 'How should it travel?' }).waitFor()
}

export async function goToReview(
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
export async function tabTo(page: Page, name: string): Promise<void> {
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
