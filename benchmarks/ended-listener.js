/** The other process: says when it heard of each ended session. */
import { session } from 'staykept'
import { serveParent } from './children.js'
import { feedAlive } from './feed-alive.js'
import { feedStores } from './feed-stores.js'

const [, , name, folder] = process.argv

await serveParent(async () => {
  const store = await feedStores[name].open(folder)
  const sessions = session({ secret: 'a secret of more than thirty-two characters', store })
  const heard = new Map()
  const isAlive = feedAlive(sessions)
  // One clock for all processes of the machine.
  sessions.on('ended', ({ id }) => heard.set(id, Number(process.hrtime.bigint())))
  await isAlive
  return { heard: () => ({ heard: [...heard] }) }
})
