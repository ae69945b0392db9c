import { expect, test } from 'vitest'
import { ADDRESS, buyer, ordersIn, review, shownIn, values } from './buying.js'
import { openTestShop } from './shop.js'

test('an empty address names each field that is missing, beside it', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const answer = await robin.submit('/checkout/address', {})
  expect(answer.status).toBe(422)
  const wrong = [...answer.text.matchAll(/aria-describedby="(\w+)-help" aria-invalid="true"/g)]
  expect(wrong.map(([, name]) => name)).toEqual(['name', 'street', 'postcode', 'city'])
  expect(answer.text).toContain('id="country-help"')
  expect(answer.text).not.toContain('id="extra-help"')
})

/** As it stands in the body: `x` is the name of the field. */
const BAD: Record<string, string> = {
  'is huge': `x=${'a'.repeat(15_000)}`,
  'is larger than any form': `x=${'a'.repeat(30_000)}`,
  'comes twice': 'x=one&x=two',
  'is an object': 'x[y]=1',
  'has a null character': 'x=D02%00X2',
  'has control characters': 'x=D02%1b%5b2J',
  'has a line feed': 'x=D02%0d%0aX-A:%20b',
  'turns the writing direction': 'x=D02%e2%80%aeb',
  'is spaces': 'x=+++%09',
}

test.each(Object.keys(ADDRESS))('a %s that is wrong in any way is not kept', async (name) => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const { [name as 'name']: _, ...others } = ADDRESS
  const csrf = await robin.token()
  for (const [what, pattern] of Object.entries(BAD)) {
    const isBlank = ['comes twice', 'is an object', 'is spaces'].includes(what)
    const answer = await robin.post('/checkout/address', {
      headers: { origin: shop.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: `${new URLSearchParams({ ...others, csrf })}&${pattern.replaceAll(/(^|&)x/g, `$1${name}`)}`,
    })
    // The one field that may be empty is then simply empty.
    const expected =
      what === 'is larger than any form' ? 413 : isBlank && name === 'extra' ? 303 : 422
    expect(answer.status, what).toBe(expected)
    const kept = values((await robin.get('/checkout/address')).text)
    if (expected !== 413) expect(kept[name], what).toBe('')
  }
  expect(ordersIn(shop)).toEqual([])
})

test.each(['', 'drone', '__proto__', 'toString', 'post\u0000', 'p'.repeat(9000)])(
  'delivery %j is no choice, and the one made before stays',
  async (delivery) => {
    const shop = await openTestShop()
    const robin = await buyer(shop, { 'moon-jar': 1 })
    const before = await review(robin)
    const answer = await robin.submit('/checkout/delivery', { delivery })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('Choose how it should reach you.')
    expect(shownIn(await robin.get('/checkout/review'))).toEqual(before)
  },
)

test('what was typed is shown again as text, never as markup', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const name = '"><script>alert(1)</script>'
  const again = await robin.submit('/checkout/address', { ...ADDRESS, name, postcode: '!' })
  expect(again.status).toBe(422)
  expect(again.text).toContain('value="&#34;&gt;&lt;script&gt;')
  expect(values(again.text)).toMatchObject({ street: ADDRESS.street, postcode: '!' })
  await robin.submit('/checkout/address', { ...ADDRESS, name })
  await robin.submit('/checkout/delivery', { delivery: 'post' })
  const form = shownIn(await robin.get('/checkout/review'))
  await robin.submit('/checkout/review', form)
  expect((await robin.get(`/orders/${form.order}`)).text).not.toContain('<script>alert')
})
