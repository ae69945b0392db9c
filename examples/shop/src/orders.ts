import type Database from 'libsql'
import { products } from './products.js'

export interface Address {
  readonly name: string
  readonly street: string
  readonly extra: string
  readonly postcode: string
  readonly city: string
  readonly country: string
}

/** With names and prices as they were: an order does not change when the shop does. Money is in cents. */
export interface OrderDraft {
  readonly id: string
  readonly lines: readonly {
    readonly slug: string
    readonly name: string
    readonly price: number
    readonly quantity: number
  }[]
  readonly address: Address
  readonly delivery: { readonly name: string; readonly price: number }
  readonly total: number
}

export interface Order extends OrderDraft {
  readonly placedAt: number
}

export interface Orders {
  /**
   * Places an order and answers it; or the one that has this id already: from another click, another tab, or before a
   * crash. `undefined`, and nothing changed, where there is not enough in stock.
   */
  place(accountId: string, order: Order): Order | undefined
  /** An order of this account; nobody else's. */
  find(accountId: string, id: string): Order | undefined
  /** The newest hundred, the newest first. */
  list(accountId: string): Order[]
  count(accountId: string): number
  /** How many of a product there are. */
  stock(slug: string): number
}

export function openOrders(db: Database.Database): Orders {
  const insert = db.prepare<[string, string, number, string]>(
    `INSERT INTO orders (id, account, placed_at, content) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
  )
  const byId = db.prepare<[string, string]>('SELECT * FROM orders WHERE id = ? AND account = ?')
  const byAccount = db.prepare<[string]>(
    'SELECT * FROM orders WHERE account = ? ORDER BY placed_at DESC, rowid DESC LIMIT 100',
  )
  const countByAccount = db.prepare<[string]>('SELECT count(*) n FROM orders WHERE account = ?')
  const putOnShelf = db.prepare<[string, number]>(
    'INSERT INTO stock (slug, count) VALUES (?, ?) ON CONFLICT (slug) DO NOTHING',
  )
  const takeFromShelf = db.prepare<[number, string, number]>(
    'UPDATE stock SET count = count - ? WHERE slug = ? AND count >= ?',
  )
  const onShelf = db.prepare<[string]>('SELECT count FROM stock WHERE slug = ?')
  for (const { slug, fired } of products) putOnShelf.run(slug, fired)

  function find(accountId: string, id: string): Order | undefined {
    const row = byId.get(id, accountId) as Row | undefined
    return row && toOrder(row)
  }

  return {
    find,

    place(accountId, { placedAt, ...draft }) {
      db.exec('BEGIN IMMEDIATE')
      try {
        const { changes } = insert.run(draft.id, accountId, placedAt, JSON.stringify(draft))
        const isEnough =
          changes === 0 ||
          draft.lines.every(
            ({ slug, quantity }) => takeFromShelf.run(quantity, slug, quantity).changes > 0,
          )
        db.exec(isEnough ? 'COMMIT' : 'ROLLBACK')
        return isEnough ? find(accountId, draft.id) : undefined
      } catch (error) {
        if (db.inTransaction) db.exec('ROLLBACK')
        throw error
      }
    },

    list(accountId) {
      return (byAccount.all(accountId) as Row[]).map(toOrder)
    },

    count(accountId) {
      return (countByAccount.get(accountId) as { n: number }).n
    },

    stock(slug) {
      return (onShelf.get(slug) as { count: number } | undefined)?.count ?? 0
    },
  }
}

/** For people: short enough to read out over the telephone. */
export function orderNumber({ id }: OrderDraft): string {
  return id.slice(0, 8).toUpperCase()
}

interface Row {
  readonly content: string
  readonly placed_at: number
}

function toOrder({ content, placed_at }: Row): Order {
  return { ...(JSON.parse(content) as OrderDraft), placedAt: placed_at }
}
