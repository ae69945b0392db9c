import { findProduct, type Product } from './products.js'

/** How many of each product, by slug. Only this is kept in the session: names and prices are looked up when shown. */
export type Cart = Record<string, number>

export interface CartLine {
  readonly product: Product
  readonly quantity: number
  readonly total: number
}

export const MAX_PER_LINE = 500

/** The new cart. Pure, so `session.update` can run it again on newer data. */
export function withAdded(cart: Cart | undefined, slug: string, quantity: number): Cart {
  return withQuantity(cart, slug, (cart?.[slug] ?? 0) + quantity)
}

export function withQuantity(cart: Cart | undefined, slug: string, quantity: number): Cart {
  const { [slug]: _, ...others } = cart ?? {}
  return quantity > 0 ? { ...cart, [slug]: Math.min(quantity, MAX_PER_LINE) } : others
}

/** A product that is no longer sold leaves the cart by itself. */
export function cartLines(cart: Cart | undefined): CartLine[] {
  return Object.entries(cart ?? {}).flatMap(([slug, quantity]) => {
    const product = findProduct(slug)
    return product ? [{ product, quantity, total: product.price * quantity }] : []
  })
}

export function cartCount(cart: Cart | undefined): number {
  return cartLines(cart).reduce((sum, line) => sum + line.quantity, 0)
}

export function cartTotal(cart: Cart | undefined): number {
  return cartLines(cart).reduce((sum, line) => sum + line.total, 0)
}
