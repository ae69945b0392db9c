import { createHash } from 'node:crypto'
import type { SessionFields } from 'staykept'
import { type Cart, cartLines } from './cart.js'
import { field, hasControls, type Problems } from './forms.js'
import type { Address, OrderDraft } from './orders.js'

/** A checkout under way, in the session. What it costs is not in here: that is looked up each time it is shown. */
export interface Checkout {
  /** Of the order that this will be: chosen before there is one, so placing it a second time changes nothing. */
  readonly orderId: string
  /** As far as it was typed. */
  readonly address: Partial<Address>
  readonly delivery?: DeliveryId | undefined
}

export const STEPS = ['address', 'delivery', 'review'] as const
export type Step = (typeof STEPS)[number]

export const DELIVERIES = {
  post: { name: 'By post', line: 'Three to five working days, wrapped in straw.', price: 690 },
  courier: { name: 'By courier', line: 'The next working day, to your hands.', price: 1450 },
  collect: { name: 'Collected', line: 'From our workshop, whenever its door is open.', price: 0 },
} as const
export type DeliveryId = keyof typeof DELIVERIES

export const COUNTRIES: Readonly<Record<string, string>> = {
  AT: 'Austria',
  BE: 'Belgium',
  FR: 'France',
  DE: 'Germany',
  IE: 'Ireland',
  IT: 'Italy',
  LU: 'Luxembourg',
  NL: 'Netherlands',
  PT: 'Portugal',
  ES: 'Spain',
}

const RULES: Readonly<Record<keyof Address, { max: number; missing: string; wrong: string }>> = {
  name: {
    max: 80,
    missing: 'Whose name is on the door?',
    wrong: 'Up to 80 ordinary characters, please.',
  },
  street: {
    max: 120,
    missing: 'The street and the number.',
    wrong: 'Up to 120 ordinary characters, please.',
  },
  extra: { max: 120, missing: '', wrong: 'Up to 120 ordinary characters, please.' },
  postcode: {
    max: 12,
    missing: 'The postcode.',
    wrong: 'Such as D02 X285.',
  },
  city: {
    max: 80,
    missing: 'The town or city.',
    wrong: 'Up to 80 ordinary characters, please.',
  },
  country: { max: 2, missing: 'The country.', wrong: 'One of the countries in the list.' },
}
const FIELDS = Object.keys(RULES) as (keyof Address)[]

/** What was typed, for the form to show again, and of that what is good enough to keep. */
export function readAddress(body: unknown): {
  typed: Partial<Address>
  kept: Partial<Address>
  problems: Problems
} {
  const typed = Object.fromEntries(FIELDS.map((name) => [name, field(body, name)]))
  const problems = addressProblems(typed)
  const kept = FIELDS.filter((name) => typed[name] !== '' && !problems[name])
  return { typed, kept: Object.fromEntries(kept.map((name) => [name, typed[name]])), problems }
}

function addressProblems(address: Partial<Address>): Problems {
  return Object.fromEntries(
    FIELDS.flatMap((name) => {
      const value = address[name] ?? ''
      const { missing, wrong } = RULES[name]
      if (value === '') return missing === '' ? [] : [[name, missing]]
      return isGood(name, value) ? [] : [[name, wrong]]
    }),
  )
}

function isGood(name: keyof Address, value: string): boolean {
  if (value.length > RULES[name].max || hasControls(value)) return false
  if (name === 'postcode') return /^[\p{L}\d][\p{L}\d -]+$/u.test(value)
  return name !== 'country' || Object.hasOwn(COUNTRIES, value)
}

function deliveryOf(id: DeliveryId): OrderDraft['delivery'] {
  const { name, price } = DELIVERIES[id]
  return { name, price }
}

export function isDelivery(id: string): id is DeliveryId {
  return Object.hasOwn(DELIVERIES, id)
}

/** How far this visitor may go: the first step with something missing, or none where there is nothing to order. */
export function openStep({ cart, checkout }: SessionFields): Step | undefined {
  if (cartLines(cart).length === 0) return undefined
  if (!checkout || Object.keys(addressProblems(checkout.address)).length > 0) return 'address'
  return checkout.delivery === undefined ? 'delivery' : 'review'
}

/** The order as it would be placed now; `undefined` while a step is missing. All prices are the shop's. */
export function draftOrder({ cart, checkout }: SessionFields): OrderDraft | undefined {
  if (openStep({ cart, checkout }) !== 'review' || !checkout?.delivery) return undefined
  const delivery = deliveryOf(checkout.delivery)
  const lines = cartLines(cart)
  return {
    id: checkout.orderId,
    lines: lines.map(({ product, quantity }) => ({
      slug: product.slug,
      name: product.name,
      price: product.price,
      quantity,
    })),
    address: { extra: '', ...(checkout.address as Omit<Address, 'extra'>) },
    delivery,
    total: lines.reduce((sum, line) => sum + line.total, delivery.price),
  }
}

/** Travels with the review: what is ordered must be what was shown, whatever other tabs did meanwhile. */
export function fingerprint(draft: OrderDraft): string {
  return createHash('sha256').update(JSON.stringify(draft)).digest('base64url')
}

/** What is left in the cart after an order. Added meanwhile, in another tab: stays. */
export function withoutOrdered(cart: Cart | undefined, { lines }: OrderDraft): Cart {
  const ordered = new Map(lines.map(({ slug, quantity }) => [slug, quantity]))
  return Object.fromEntries(
    Object.entries(cart ?? {})
      .map(([slug, quantity]) => [slug, quantity - (ordered.get(slug) ?? 0)] as const)
      .filter(([, quantity]) => quantity > 0),
  )
}
