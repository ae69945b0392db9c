import type { Session } from 'staykept'
import { expectTypeOf, test } from 'vitest'

declare module 'staykept' {
  interface SessionData {
    counted?: number
  }
}

declare const session: Session

test('update answers what its function returns, and takes no function that answers later', () => {
  const counted = session.update((data) => {
    data.counted = (data.counted ?? 0) + 1
    return data.counted
  })
  expectTypeOf(counted).toEqualTypeOf<Promise<number>>()
  const nothing = session.update((data) => {
    data.counted = 1
  })
  expectTypeOf(nothing).toEqualTypeOf<Promise<void>>()
  // @ts-expect-error: it would not be done when update stores the data
  void session.update(async (data) => {
    data.counted = 1
  })
})
