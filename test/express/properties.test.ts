import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import express from 'express'
// @ts-expect-error: its types are those of the current version.
import express4 from 'express-4'
import { session } from 'staykept'
import { expect, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { SECRET } from '../worlds.js'

setFlagsFromString('--allow-natives-syntax')
/** Whether V8 keeps the properties of an object by a hidden class. */
const isFast = new Function('object', 'return %HasFastProperties(object)') as (
  object: object,
) => boolean
setFlagsFromString('--no-allow-natives-syntax')

const isOldV8 = Number.parseInt(process.versions.v8, 10) < 13

test.each<[string, typeof express]>([
  ['5', express],
  ['4', express4],
])(
  'a response of Express %s becomes a dictionary where a hidden class would cost more, and only with a session',
  async (_, create) => {
    const app = create()
    app.use(session({ secret: SECRET }))
    app.get('/untouched', (_req, res) => res.send(say(res)))
    app.get('/read', (req, res) => {
      void req.session
      res.send(say(res))
    })
    const { url } = await serve(app)
    expect((await createClient(url).get('/untouched')).text).toBe('fast, finished: false')
    const expected = `${isOldV8 ? 'dictionary' : 'fast'}, finished: false`
    expect((await createClient(url).get('/read')).text).toBe(expected)
  },
)

test('a response of node:http stays as it is', async () => {
  const sessions = session({ secret: SECRET })
  const { url } = await serve(
    createServer((req: IncomingMessage, res) => {
      sessions(req, res, () => {
        void req.session
        res.end(say(res))
      })
    }),
  )
  expect((await createClient(url).get('/')).text).toBe('fast, finished: false')
})

function say(res: ServerResponse): string {
  return `${isFast(res) ? 'fast' : 'dictionary'}, finished: ${res.finished}`
}
