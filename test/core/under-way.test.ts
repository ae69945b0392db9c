import { expect, test } from 'vitest'
import type { StoreKey } from '../../src/core/store.js'
import { UnderWay } from '../../src/core/under-way.js'

test('what is under way is found until it is removed, however much there is', () => {
  const underWay = new UnderWay<{ readonly id: StoreKey }>()
  // Some thousand on a few hundred shelves, so that many share one; and keys that are none of ours.
  const ids = ['', '-', '__proto__', ...Array.from({ length: 2000 }, (_, n) => n.toString(36))]
  const all = ids.map((id) => ({ id: id as StoreKey }))
  for (const one of all) underWay.add(one)
  for (const one of all) expect(underWay.find(one.id)).toBe(one)
  const [gone, left] = [all.filter((_, n) => n % 3 > 0), all.filter((_, n) => n % 3 === 0)]
  for (const one of gone) underWay.remove(one)
  for (const one of gone) expect(underWay.find(one.id)).toBe(undefined)
  for (const one of left) expect(underWay.find(one.id)).toBe(one)
  underWay.remove(gone[0] as (typeof all)[number])
  underWay.remove({ id: left[0]?.id as StoreKey })
  expect(underWay.find(left[0]?.id as StoreKey)).toBe(left[0])
})
