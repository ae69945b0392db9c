import { expect, test } from 'vitest'
import { PICTURE_LIMIT } from '../../examples/shop/src/uploads.js'
import { openTestShop, type TestShop, type Visitor, visitor } from './shop.js'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
const JPEG = Buffer.from('ffd8ffe000104a46494600010100000100010000ffd9', 'hex')
const WEBP = Buffer.from('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA', 'base64')

test('a new name is shown at once, on every device', async () => {
  const shop = await openTestShop()
  const [laptop, phone] = [await signedIn(shop), await signedIn(shop)]
  const answer = await laptop.submit('/profile', { name: 'Robin <b>Hale</b>' })
  expect(answer.headers.location).toBe('/profile')
  expect((await laptop.get('/profile')).text).toContain('Your name is changed.')
  expect((await phone.get('/dashboard')).text).toContain('Hello, Robin &lt;b&gt;Hale&lt;/b&gt;')
})

test.each([
  ['nothing', ''],
  ['only spaces', '   '],
  ['81 characters', 'a'.repeat(81)],
  ['a control character', 'Rob\u0000in'],
  ['a right-to-left override', 'Rob\u202ein'],
  ['a line feed', 'Rob\nin'],
])('a name of %s is refused beside the field, and the old one stays', async (_, name) => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const answer = await robin.submit('/profile', { name })
  expect(answer.status).toBe(422)
  expect(answer.text).toContain('aria-invalid="true"')
  expect((await robin.get('/api/me')).json().name).toBe('Robin Vale')
})

test.each([
  ['image/png', PNG],
  ['image/jpeg', JPEG],
  ['image/webp', WEBP],
])('a picture of type %s is kept and served as that, whatever was claimed', async (type, bytes) => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const answer = await upload(shop, robin, { bytes, type: 'text/html', name: '../../<x>.html' })
  expect([answer.status, answer.location]).toEqual([303, '/profile'])

  const shown = await picture(shop, robin)
  expect(shown.bytes.equals(bytes)).toBe(true)
  expect(shown.headers).toMatchObject({
    'content-type': type,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'cache-control': 'private, no-store',
  })
  expect((await robin.get('/dashboard')).text).toContain('class="avatar"')
})

test.each([
  ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')],
  ['a page', Buffer.from('<!doctype html><script>alert(1)</script>')],
  ['a GIF', Buffer.from('GIF89a\u0001\u0000\u0001\u0000')],
  ['half a signature', PNG.subarray(0, 6)],
  ['an empty file', Buffer.alloc(0)],
  ['another RIFF file', Buffer.from('RIFF\u0000\u0000\u0000\u0000WAVEfmt ')],
])(
  '%s is refused beside the field, whatever it claims to be, and nothing is kept',
  async (_, bytes) => {
    const shop = await openTestShop()
    const robin = await signedIn(shop)
    const answer = await upload(shop, robin, { bytes, type: 'image/png', name: 'me.png' })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('A picture as PNG, JPEG or WebP, please.')
    expect(await addressOf(robin)).toBeUndefined()
  },
)

test('a picture of just the limit is kept, one byte more is 413', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const bytes = Buffer.concat([PNG, Buffer.alloc(PICTURE_LIMIT - PNG.length)])
  expect((await upload(shop, robin, { bytes })).status).toBe(303)
  const before = await addressOf(robin)
  const answer = await upload(shop, robin, { bytes: Buffer.concat([bytes, Buffer.alloc(1)]) })
  expect([answer.status, answer.text.includes('larger than 1 MB')]).toEqual([413, true])
  expect(await addressOf(robin)).toBe(before)
})

test('a form without a file, with two, or with another field is refused', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const csrf = await robin.token()
  const file = new Blob([PNG])
  const none = await send(shop, robin, { csrf })
  const two = await send(shop, robin, { csrf, avatar: [file, file] })
  const other = await send(shop, robin, { csrf, portrait: file })
  const many = await send(shop, robin, { csrf, a: 'a', b: 'b', c: 'c', d: 'd', avatar: file })
  expect([none.status, two.status, other.status, many.status]).toEqual([422, 400, 400, 400])
  for (const { text } of [none, two, other, many]) expect(text).toContain('</html>')
  const broken = await robin.post('/profile/avatar', {
    headers: { origin: shop.url, 'content-type': 'multipart/form-data; boundary=x' },
    body: '--x\r\nContent-Disposition: form-data; name="avatar"; filename="a"\r\n\r\nhalf',
  })
  const boundless = await robin.post('/profile/avatar', {
    headers: { origin: shop.url, 'content-type': 'multipart/form-data' },
    body: 'x',
  })
  expect([broken.status, boundless.status]).toEqual([400, 400])
  expect(await addressOf(robin)).toBeUndefined()
})

test('an upload without the token of this sign-in, or from nobody, keeps nothing', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  for (const csrf of ['', 'wrong', [await robin.token(), 'twice']]) {
    const answer = await send(shop, robin, { csrf, avatar: new Blob([PNG]) })
    expect(answer.status).toBe(403)
  }
  const nobody = await send(shop, visitor(shop), { avatar: new Blob([PNG]) })
  expect([nobody.status, nobody.location]).toEqual([303, '/sign-in'])
  expect(await addressOf(robin)).toBeUndefined()
})

test('of twenty uploads at once exactly one is kept, whole', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const csrf = await robin.token()
  const pictures = Array.from({ length: 20 }, (_, i) =>
    Buffer.concat([PNG, Buffer.alloc(50_000, i)]),
  )
  const answers = await Promise.all(
    pictures.map((bytes) => send(shop, robin, { csrf, avatar: new Blob([new Uint8Array(bytes)]) })),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(303))
  const { bytes } = await picture(shop, robin)
  expect(pictures.filter((one) => one.equals(bytes))).toHaveLength(1)
})

test('a picture can be taken away, and its address is then nothing', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  await upload(shop, robin, { bytes: PNG })
  const address = (await addressOf(robin))!
  await robin.submit('/profile/avatar/remove')
  expect(await addressOf(robin)).toBeUndefined()
  expect((await robin.get(address)).status).toBe(404)
})

test("somebody else's picture cannot be seen by its address", async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  await upload(shop, robin, { bytes: PNG })
  const address = (await addressOf(robin))!
  const eve = visitor(shop)
  const account = { name: 'Eve', email: 'eve@example.com', password: 'eleven loud whistles' }
  await eve.submit('/register', account)
  await eve.signIn(account.email, account.password)
  expect((await eve.get(address)).status).toBe(404)
  expect((await visitor(shop).get(address)).status).toBe(303)
  expect((await robin.get(address)).status).toBe(200)
})

async function signedIn(shop: TestShop): Promise<Visitor> {
  const one = visitor(shop)
  await one.signIn()
  return one
}

interface Uploaded {
  readonly status: number
  readonly location: string | null
  readonly text: string
}

/** Sends the form of the profile page, as a browser would. */
async function upload(
  shop: TestShop,
  from: Visitor,
  { bytes, type = 'image/png', name = 'me.png' }: { bytes: Buffer; type?: string; name?: string },
): Promise<Uploaded> {
  const avatar = new File([new Uint8Array(bytes)], name, { type })
  return send(shop, from, { csrf: await from.token(), avatar })
}

type Part = string | Blob

async function send(
  shop: TestShop,
  { jar }: Visitor,
  fields: Record<string, Part | Part[]>,
): Promise<Uploaded> {
  const body = new FormData()
  for (const [name, parts] of Object.entries(fields)) {
    for (const part of [parts].flat()) {
      if (typeof part === 'string') body.append(name, part)
      else body.append(name, part, (part as { name?: string }).name ?? 'me.png')
    }
  }
  const answer = await fetch(`${shop.url}/profile/avatar`, {
    method: 'POST',
    headers: { cookie: jar.header(), origin: shop.url },
    body,
    redirect: 'manual',
  })
  const { status, headers } = answer
  return { status, location: headers.get('location'), text: await answer.text() }
}

async function addressOf(one: Visitor): Promise<string | undefined> {
  const { text } = await one.get('/profile')
  return /src="(\/profile\/avatar\/[^"]+)"/.exec(text)?.[1]
}

async function picture(
  shop: TestShop,
  one: Visitor,
): Promise<{ bytes: Buffer; headers: Record<string, string> }> {
  const answer = await fetch(`${shop.url}${await addressOf(one)}`, {
    headers: { cookie: one.jar.header() },
  })
  return {
    bytes: Buffer.from(await answer.arrayBuffer()),
    headers: Object.fromEntries(answer.headers),
  }
}
