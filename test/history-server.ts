import { type Random, seededRandom } from '../src/conformance/random.js'
import { type Entry, newHistory } from './history.js'

/** What is wrong with a server, if anything. */
export type Mistake =
  | 'drops the version check'
  | 'saves what is no more'
  | 'answers before it has saved'
  | 'touches what is no more'
  | 'keeps the cookie at sign-in'
  | 'writes old data with a touch'
  | 'takes in two steps'
  | 'counts a lost reply again'
  | 'ends only what it lists'
  | 'forgets the idle timeout'
  | 'reads from a replica'
  | 'evicts'

interface Stored {
  version: number
  secret: string
  user: string | undefined
  seenAt: number
  data: {
    values: Record<string, string>
    lists: Record<string, string[]>
    counters: Record<string, number>
  }
}

/** An operation that is over: answered, surely not done, or not known. */
type Done<T> = { ok: T } | 'gone' | 'unknown'

const IDLE = 30_000

/**
 * A session server small enough to be seen to be right, over a store that takes its time; clients in two processes play
 * random operations on it and write down the history. With a mistake it does what its name says.
 */
export async function playSimulation(seed: number, mistake?: Mistake): Promise<readonly Entry[]> {
  const random = seededRandom(seed)
  let time = 1_000_000
  const history = newHistory(() => time)
  const server = newServer(random, () => time, mistake)
  const cookies = new Map<string, string>()
  let made = 0

  async function session(user: string): Promise<void> {
    const create = history.begin({ kind: 'create' })
    const { id, secret } = await server.create()
    create.ok({ session: id, newToken: secret })
    cookies.set(id, secret)
    await Promise.all(['p1', 'p2'].map((process) => client(process, id, user)))
  }

  async function client(process: string, id: string, user: string): Promise<void> {
    for (let turn = 0; turn < 14; turn += 1) {
      await pause(random)
      // Now and then nobody comes for long.
      if (random.below(60) === 0) time += IDLE + 5_000
      else time += random.below(200)
      await step(process, id, user, random.below(100))
    }
  }

  async function step(process: string, session: string, user: string, dice: number) {
    const token = cookies.get(session) ?? ''
    const from = { process, session, token }
    const value = `v${made++}`
    if (dice < 40) {
      const read = history.begin({ ...from, kind: 'read' })
      const seen = await server.read(session, token)
      if (!seen) return read.ok({ found: false })
      const { values, lists, counters } = seen.data
      return read.ok({ seen: { user: seen.user, values, lists, counters } })
    }
    if (dice < 50) {
      const set = history.begin({ ...from, kind: 'set', key: 'theme', value })
      const answer = await server.change(session, token, ({ values }) => {
        values.theme = value
      })
      return conclude(set, answer)
    }
    if (dice < 62) {
      const append = history.begin({ ...from, kind: 'append', key: 'cart', value })
      const answer = await server.change(session, token, ({ lists }) => {
        lists.cart = [...(lists.cart ?? []), value]
      })
      return conclude(append, answer)
    }
    if (dice < 76) {
      const incr = history.begin({ ...from, kind: 'incr', key: 'visits' })
      let count = 0
      const answer = await server.change(session, token, ({ counters }) => {
        count = (counters.visits ?? 0) + 1
        counters.visits = count
      })
      return conclude(incr, answer, { count })
    }
    if (dice < 82) {
      const consume = history.begin({ ...from, kind: 'consume', key: 'flash', value: 'once' })
      const answer = await server.take(session, token)
      return conclude(consume, answer, {
        got: answer !== 'gone' && answer !== 'unknown' && answer.ok,
      })
    }
    if (dice < 88) {
      const touch = history.begin({ ...from, kind: 'touch' })
      return conclude(touch, await server.touch(session, token))
    }
    if (dice < 93) {
      const login = history.begin({ ...from, kind: 'login', user: `${user}${made % 2}` })
      const answer = await server.login(session, token, `${user}${made % 2}`)
      // A record goes from no user to one, once.
      if (answer === 'gone') return login.fail()
      if (answer === 'unknown') return login.unknown()
      cookies.set(session, answer.ok)
      return login.ok({ newToken: answer.ok })
    }
    if (dice < 95) {
      const logout = history.begin({ ...from, kind: 'logout' })
      await server.remove(session)
      return logout.ok()
    }
    const whose = `${user}${dice % 2}`
    if (dice < 97) {
      const endAll = history.begin({ kind: 'endAll', process, user: whose })
      await server.endAll(whose)
      return endAll.ok()
    }
    const list = history.begin({ kind: 'list', process, user: whose })
    return list.ok({ listed: await server.list(whose) })
  }

  await Promise.all(['ada', 'bob', 'cyd'].map(session))
  return history.entries
}

function conclude(
  ending: ReturnType<ReturnType<typeof newHistory>['begin']>,
  answer: Done<unknown>,
  reply = {},
): void {
  if (answer === 'gone') ending.fail()
  else if (answer === 'unknown') ending.unknown()
  else ending.ok(reply)
}

function newServer(random: Random, now: () => number, mistake: Mistake | undefined) {
  const records = new Map<string, Stored>()
  let replica = new Map<string, Stored>()
  let versions = 0

  async function load(id: string, token: string): Promise<Stored | undefined> {
    await pause(random)
    const source = mistake === 'reads from a replica' && random.below(3) === 0 ? replica : records
    const record = source.get(id)
    if (!record || record.secret !== token) return undefined
    return isExpired(record) ? undefined : structuredClone(record)
  }

  function isExpired(record: Stored): boolean {
    return now() >= record.seenAt + IDLE && mistake !== 'forgets the idle timeout'
  }

  /** One atomic step. */
  function swap(id: string, loaded: Stored, next: Stored): boolean {
    const stored = records.get(id)
    if (mistake === 'evicts' && random.below(40) === 0) records.delete(id)
    if ((!stored || isExpired(stored)) && mistake !== 'saves what is no more') return false
    const same = stored?.version === loaded.version
    if (stored && !same && mistake !== 'drops the version check') return false
    replica = new Map(records)
    versions += 1
    records.set(id, { ...next, version: versions, seenAt: now() })
    return true
  }

  async function commit(
    id: string,
    token: string,
    change: (next: Stored) => boolean,
  ): Promise<Done<boolean>> {
    for (;;) {
      const loaded = await load(id, token)
      if (!loaded) return 'gone'
      const next = structuredClone(loaded)
      const changed = change(next)
      if (!changed) return { ok: false }
      await pause(random)
      if (mistake === 'answers before it has saved') {
        void pause(random)
          .then(() => pause(random))
          .then(() => swap(id, loaded, next))
        return { ok: changed }
      }
      if (!swap(id, loaded, next)) continue
      if (random.below(25) > 0) return { ok: changed }
      if (mistake !== 'counts a lost reply again') return 'unknown'
    }
  }

  return {
    async create() {
      await pause(random)
      const id = random.text(4)
      const secret = random.text(6)
      const data = { values: {}, lists: {}, counters: {} }
      records.set(id, { version: 0, secret, user: undefined, seenAt: now(), data })
      return { id, secret }
    },
    read: load,
    change: (id: string, token: string, change: (data: Stored['data']) => void) =>
      commit(id, token, (next) => {
        change(next.data)
        return true
      }),
    async take(id: string, token: string): Promise<Done<boolean>> {
      const spend = (next: Stored) => {
        if (next.data.values.flash === 'spent') return false
        next.data.values.flash = 'spent'
        return true
      }
      if (mistake !== 'takes in two steps') return commit(id, token, spend)
      const loaded = await load(id, token)
      const fresh = loaded?.data.values.flash === undefined
      const answer = await commit(id, token, spend)
      return typeof answer === 'object' ? { ok: fresh } : answer
    },
    async touch(id: string, token: string): Promise<Done<boolean>> {
      const loaded = await load(id, token)
      if (!loaded) return 'gone'
      await pause(random)
      const stored = records.get(id)
      if (mistake === 'touches what is no more' && !stored) records.set(id, loaded)
      if (mistake === 'writes old data with a touch' && stored) {
        records.set(id, { ...stored, data: loaded.data })
      }
      if (!stored || isExpired(stored) || stored.secret !== token) return 'gone'
      const current = records.get(id)
      if (current) current.seenAt = Math.max(current.seenAt, now())
      return { ok: true }
    },
    async login(id: string, token: string, user: string): Promise<Done<string>> {
      const secret = mistake === 'keeps the cookie at sign-in' ? token : random.text(6)
      const answer = await commit(id, token, (next) => {
        if (next.user !== undefined && mistake !== 'keeps the cookie at sign-in') return false
        next.user = user
        next.secret = secret
        return true
      })
      if (typeof answer !== 'object') return answer
      return answer.ok ? { ok: secret } : 'gone'
    },
    async remove(id: string) {
      await pause(random)
      records.delete(id)
    },
    async endAll(user: string) {
      await pause(random)
      const mine = [...records].filter(([, record]) => record.user === user)
      const known = mistake === 'ends only what it lists' ? mine.slice(1) : mine
      for (const [id] of known) records.delete(id)
    },
    async list(user: string) {
      await pause(random)
      const alive = [...records].filter(
        ([, { user: whose, seenAt }]) => whose === user && now() < seenAt + IDLE,
      )
      const mine = mistake === 'ends only what it lists' ? alive.slice(1) : alive
      return mine.map(([id]) => id)
    },
  }
}

async function pause(random: Random): Promise<void> {
  for (let turn = random.below(4); turn > 0; turn -= 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export const IDLE_OF_SIMULATION: number = IDLE
