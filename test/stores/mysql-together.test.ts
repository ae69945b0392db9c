import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { SessionRecord, SessionStore, WriteResult } from '../../src/core/store.js'
import { missing, start } from '../servers/mariadb.js'
import { sharedServer } from '../servers/shared.js'
import { openGate } from './mysql/hooks.js'
import { CLIENTS, home, openStore } from './mysql/opening.js'
import { HOUR, key, NOW, record } from './sql/records.js'

describe.skipIf(missing() !== undefined)('changes of one moment', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('mariadb')).port
  })

  test.each(CLIENTS)(
    'are a few statements, and each record gets its own values: with %s',
    async (client) => {
      const { store, sent } = watched({ login: await home(port), client })
      await store.load(key('a'), NOW)
      sent.length = 0
      const names = Array.from({ length: 37 }, (_, index) => `k${index}`)
      expect(await createAll(store, names)).toEqual(Array(37).fill(true))
      // 16 + 16 + 4 + 1
      expect(sent.map((text) => text.slice(0, 6))).toEqual(Array(4).fill('INSERT'))
      sent.length = 0
      const answers = await Promise.all(
        names.map((name) => store.update(key(name), next(name), 'v', NOW)),
      )
      expect(answers).toEqual(Array(37).fill({ outcome: 'updated' }))
      expect(sent.map((text) => text.slice(0, 6))).toEqual(Array(4).fill('UPDATE'))
      for (const name of names) expect(await store.load(key(name), NOW)).toEqual(next(name))
    },
  )

  test('answer each what it would have been answered alone', async () => {
    await expectOwnAnswers(openStore({ login: await home(port) }))
  })

  test('answer so also on a server that is not strict', async () => {
    const server = await start({ settings: { 'sql-mode': '' } })
    onTestFinished(() => server.close())
    await expectOwnAnswers(openStore({ login: await home(server.port) }))
  })

  test('where one does not fit are undone, and sent alone', async () => {
    const { store, sent } = watched({ login: await home(port) })
    await createAll(store, ['a', 'b', 'c', 'd'])
    await store.update(key('b'), record({ version: 'x' }), 'v', NOW)
    sent.length = 0
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => store.update(key(name), next(name), 'v', NOW)),
    )
    expect(answers.map(({ outcome }) => outcome)).toEqual([
      ...['updated', 'conflict', 'updated', 'updated'],
    ])
    expect(sent.filter((text) => text.startsWith('UPDATE'))).toHaveLength(5)
  })

  test('with several of one session are as exact as alone', async () => {
    const store = openStore({ login: await home(port) })
    await createAll(store, ['a', 'b'])
    const rivals = Array.from({ length: 9 }, (_, index) => record({ version: `w${index}` }))
    const answers = await Promise.all([
      ...rivals.map((rival) => store.update(key('a'), rival, 'v', NOW)),
      store.update(key('b'), record({ version: 'w' }), 'v', NOW),
    ])
    expect(answers.filter(({ outcome }) => outcome === 'updated')).toHaveLength(2)
    const won = rivals[answers.findIndex(({ outcome }) => outcome === 'updated')]
    expect(await store.load(key('a'), NOW)).toEqual(won)
    const created = ['c', 'c', 'c', 'd'].map((name) => store.create(key(name), record(), NOW))
    expect((await Promise.all(created)).sort()).toEqual([false, false, true, true])
  })

  test('of which some had ended, and others were overtaken before it could be told which, are unknown', async () => {
    const login = await home(port)
    const { store, gate } = watched({ login })
    const other = openStore({ login })
    await createAll(store, ['a', 'b'])
    await store.delete(key('b'), NOW)
    gate.around = async (send) => {
      gate.around = (again) => again()
      const answer = await send()
      await other.update(key('a'), record({ version: 'of the other' }), 'v of a', NOW)
      return answer
    }
    const answers = ['a', 'b'].map((name) => store.update(key(name), next(name), 'v', NOW))
    for (const answer of answers) {
      await expect(answer).rejects.toMatchObject({ code: 'ERR_SESSION_OUTCOME_UNKNOWN' })
    }
    expect((await store.load(key('a'), NOW))?.version).toBe('of the other')
  })

  test('of sessions that fill a statement go in several', async () => {
    const { store, sent } = watched({ login: await home(port) })
    await store.load(key('a'), NOW)
    sent.length = 0
    const payload = 'x'.repeat(100_000)
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((name) => store.create(key(name), record({ payload }), NOW)))
    expect(sent).toHaveLength(2)
    for (const name of names) expect((await store.load(key(name), NOW))?.payload).toBe(payload)
  })

  test('made by two stores on the same sessions have one winner each, in every round', async () => {
    const login = await home(port)
    const stores = [openStore({ login }), openStore({ login, client: 'mariadb' })]
    const names = Array.from({ length: 12 }, (_, index) => `k${index}`)
    await createAll(stores[0] as SessionStore, names)
    const current = new Map(names.map((name) => [name, 'v']))
    for (let round = 0; round < 60; round += 1) {
      const tries = stores.flatMap((store, one) =>
        names
          .filter((_, index) => (index + round * (one + 1)) % 3 > 0)
          .map((name) => ({ name, store, version: `r${round} of ${one}` })),
      )
      const answers = await Promise.all(
        tries.map(({ name, store, version }) =>
          store.update(key(name), record({ version }), current.get(name) as string, NOW),
        ),
      )
      for (const name of names) {
        const own = answers.filter((_, index) => tries[index]?.name === name)
        const won = tries.filter(
          (one, index) => one.name === name && answers[index]?.outcome === 'updated',
        )
        expect(won).toHaveLength(own.length > 0 ? 1 : 0)
        const version = won[0]?.version ?? current.get(name)
        expect((await stores[round % 2]?.load(key(name), NOW))?.version).toBe(version)
        for (const answer of own)
          if (answer.outcome !== 'updated') expect(shown(answer)).toBe(version)
        current.set(name, version as string)
      }
    }
  }, 60_000)

  function next(name: string): SessionRecord {
    return record({
      version: `v of ${name}`,
      payload: `{"of":"${name} é 😀"}`,
      userId: name === 'k3' ? undefined : `user ${name}`,
      lastSeenAt: NOW + name.length,
      expiresAt: NOW + HOUR + name.length,
    })
  }

  async function createAll(
    store: SessionStore,
    names: readonly string[],
  ): Promise<readonly boolean[]> {
    return Promise.all(names.map((name) => store.create(key(name), record(), NOW)))
  }

  async function expectOwnAnswers(store: SessionStore): Promise<void> {
    const names = ['fits', 'other', 'gone', 'dead', 'seen later', 'ends', 'fits too']
    await createAll(store, names)
    await store.update(key('other'), record({ version: 'x' }), 'v', NOW)
    await store.delete(key('gone'), NOW)
    await store.update(key('dead'), record({ version: 'd', expiresAt: NOW - 1 }), 'v', NOW)
    await store.touch(key('seen later'), 'v', NOW + 500, NOW + HOUR + 500, NOW)
    const updated = { outcome: 'updated' }
    const gone = { outcome: 'missing' }

    const first = await swapAll(store, names, ['v', 'v', 'v', 'd', 'v', 'v', 'v'], 'w')
    const conflict = { outcome: 'conflict', record: record({ version: 'x' }) }
    expect(first).toEqual([updated, conflict, gone, gone, updated, updated, updated])
    // All that are there fit, so nothing fails: some are just not there.
    const there = names.filter((name) => name !== 'other')
    const second = await swapAll(store, there, ['w', 'v', 'd', 'w', 'w', 'w'], 'y')
    expect(second).toEqual([updated, gone, gone, updated, gone, updated])

    const left = await Promise.all(names.map((name) => store.load(key(name), NOW)))
    const plain = record({ version: 'y' })
    const moved = { ...plain, lastSeenAt: NOW + 500, expiresAt: NOW + HOUR + 500 }
    expect(left).toEqual([
      ...[plain, record({ version: 'x' }), undefined, undefined, moved, undefined, plain],
    ])
  }

  function swapAll(
    store: SessionStore,
    names: readonly string[],
    expected: readonly string[],
    version: string,
  ): Promise<WriteResult[]> {
    return Promise.all(
      names.map((name, index) => {
        const end = name === 'ends' ? { expiresAt: NOW - 5 } : {}
        return store.update(key(name), record({ version, ...end }), expected[index] ?? '', NOW)
      }),
    )
  }

  function shown(answer: WriteResult): string | undefined {
    return answer.outcome === 'conflict' ? answer.record.version : undefined
  }
})

/** A store, and what it sends. */
function watched(opening: Parameters<typeof openStore>[0]) {
  const sent: string[] = []
  const gate = openGate()
  gate.onSend = (text) => void sent.push(text)
  return { sent, gate, store: openStore({ ...opening, gate }) }
}
