import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from 'staykept'
import { onTestFinished } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { openShop, type Shop } from '../../examples/shop/src/app.js'
import { readConfig } from '../../examples/shop/src/config.js'
import { type Answer, type Client, createClient, serve } from '../http.js'

export interface TestShop extends Shop {
  readonly url: string
  readonly dataDir: string
}

/** A shop on a free port with empty databases. Closed when the test ends. */
export async function openTestShop(
  env: Record<string, string> = {},
  dataDir: string = scratch(),
  clock?: Clock,
): Promise<TestShop> {
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...env })
  const shop = await openShop(config, clock)
  const { url, close } = await serve(shop.app)
  onTestFinished(async () => {
    await close()
    await shop.close()
  })
  return { ...shop, url, dataDir }
}

/** A folder that goes when the test ends. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stillware-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Visitor extends Client {
  /** Sends a form as a browser would: with its origin and, where the shop's pages have one, the token. */
  submit(
    path: string,
    fields?: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<Answer>
  /** The token of the forms in this session; empty for who is not signed in. */
  token(): Promise<string>
  signIn(email?: string, password?: string): Promise<Answer>
  add(product: string, quantity?: number): Promise<Answer>
  cart(): Promise<Record<string, number>>
}

export function visitor({ url }: { url: string }, client: Client = createClient(url)): Visitor {
  async function token(): Promise<string> {
    const { text } = await client.get('/products/moon-jar')
    return /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  }

  async function submit(
    path: string,
    fields: Record<string, string> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const csrf = fields.csrf ?? (await token())
    return client.post(path, {
      headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ ...fields, csrf }).toString(),
    })
  }

  return {
    ...client,
    token,
    submit,
    signIn: (email = DEMO.email, password = DEMO.password) =>
      submit('/sign-in', { email, password }),
    add: (product, quantity = 1) => submit('/cart', { product, quantity: String(quantity) }),
    async cart() {
      const { lines } = (await client.get('/api/cart')).json() as {
        lines: { product: string; quantity: number }[]
      }
      return Object.fromEntries(lines.map(({ product, quantity }) => [product, quantity]))
    },
  }
}

/** An answer without what differs each time: for comparing two. */
export function lasting({ status, headers, text }: Answer): unknown {
  const nonce = /'nonce-([^']+)'/.exec(String(headers['content-security-policy']))?.[1] ?? ''
  const { date: _, ratelimit: __, 'ratelimit-policy': ___, ...others } = headers
  return JSON.parse(JSON.stringify({ status, others, text }).replaceAll(nonce, 'NONCE'))
}

/** The public id in the cookie. */
export function sessionIdOf(visitor: Visitor): string | undefined {
  return visitor.jar.get('sid')?.split('.')[0]
}
