import Database from 'libsql'
import { openDatabase } from '../../examples/shop/src/db.js'
import { openOrders } from '../../examples/shop/src/orders.js'
import type { Answer } from '../http.js'
import { type TestShop, type Visitor, visitor } from './shop.js'

export const ADDRESS = {
  name: 'Robin Vale',
  street: '14 Harbour Row',
  extra: '',
  postcode: 'D02 X285',
  city: 'Dublin',
  country: 'IE',
}

export async function buyer(
  shop: TestShop,
  cart: Record<string, number>,
  who: { email?: string; password?: string } = {},
): Promise<Visitor> {
  const someone = visitor(shop)
  for (const [product, quantity] of Object.entries(cart)) await someone.add(product, quantity)
  await someone.signIn(who.email, who.password)
  return someone
}

/** What the review sends: a type, not an interface, so that it fits where any fields do. */
type ReviewForm = { order: string; shown: string }

/** Goes through the first two steps; answers what the review would send. */
export async function review(someone: Visitor): Promise<ReviewForm> {
  await someone.submit('/checkout/address', ADDRESS)
  await someone.submit('/checkout/delivery', { delivery: 'courier' })
  return shownIn(await someone.get('/checkout/review'))
}

export function shownIn({ text }: Answer): ReviewForm {
  const { order = '', shown = '' } = values(text)
  return { order, shown }
}

/** What the form of a page holds, by name. */
export function values(text: string): Record<string, string> {
  const inputs = [...text.matchAll(/<input[^>]* name="(\w+)"[^>]* value="([^"]*)"/g)]
  const country = /<option value="(\w+)" selected>/.exec(text)?.[1] ?? ''
  return { country, ...Object.fromEntries(inputs.map(([, name, value]) => [name, value])) }
}

export function outcome({ status, headers }: Answer): string {
  return `${status} ${headers.location}`
}

interface OrderRow {
  readonly id: string
  readonly account: string
  readonly content: string
}

export function inDatabase<T>(
  { dataDir }: TestShop,
  look: (db: ReturnType<typeof openDatabase>) => T,
): T {
  const db = openDatabase(`${dataDir}/shop.db`)
  try {
    return look(db)
  } finally {
    db.close()
  }
}

/** Nobody can write to the sessions until what this answers is called. */
export function lockSessions({ dataDir }: TestShop): () => void {
  const db = new Database(`${dataDir}/sessions.db`)
  db.exec('BEGIN IMMEDIATE')
  return () => {
    db.exec('ROLLBACK')
    db.close()
  }
}

export function ordersIn(shop: TestShop): OrderRow[] {
  return inDatabase(shop, (db) => db.prepare('SELECT * FROM orders').all() as OrderRow[])
}

export function stockOf(shop: TestShop, slug: string): number {
  return inDatabase(shop, (db) => openOrders(db).stock(slug))
}
