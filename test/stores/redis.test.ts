import { describe, test } from 'vitest'
import { testSessionStore } from '../../src/conformance.js'
import { notRun } from '../not-run.js'
import { rig, withIoredis } from './redis.rig.js'

const why = rig.missing?.()
if (why !== undefined) notRun('redisStore', why)

for (const { name, prepare, open } of [rig, withIoredis]) {
  describe.skipIf(why !== undefined)(name, () => {
    testSessionStore({
      test,
      async open() {
        const { settings } = await prepare()
        const opened: ReturnType<typeof open>[] = []
        const openOne = () => {
          const one = open(settings)
          opened.push(one)
          return one.store
        }
        const done = async () => {
          for (const { close } of opened) await close?.()
        }
        return { store: openOne(), reopen: openOne, done }
      },
    })
  })
}
