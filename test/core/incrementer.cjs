'use strict'
// One process of several that count up in the same session. Told what to do by its first argument.

const { join } = require('node:path')

const { dist, filename, cookie, count } = JSON.parse(process.argv[2])
const { session } = require(join(dist, 'index.cjs'))
const { sqliteStore } = require(join(dist, 'sqlite.cjs'))

async function countUp() {
  const sessions = session({
    secret: 'a secret of more than thirty-two characters',
    store: sqliteStore({ filename }),
    name: 'sid',
  })
  for (let done = 0; done < count; done += 1) {
    const request = { method: 'GET', url: '/', headers: { cookie: `sid=${cookie}` }, socket: {} }
    const current = await sessions.of(request)
    await current.update((data) => {
      data.n += 1
    })
  }
  await sessions.close()
}

countUp().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
