import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript-5'
import type { SessionStore } from '../../../src/core/store.js'
import { root } from '../../run.js'
import type { Core } from '../process.js'

/** A mistake in one file of the core: `text` stands there once, and is replaced. */
export interface Mutation {
  readonly file: string
  readonly text: string
  readonly by: string
}

/** Mistakes that a session library can make, each of which the mix must find. */
export const mutations: Readonly<Record<string, Mutation>> = {
  'the base stays what the request loaded (Q13)': {
    file: 'visit.ts',
    text: 'this.stored = stored\n    this.isCached = false\n    if (this.session === undefined || stored.text === sent) return',
    by: 'if (this.session === undefined || stored.text === sent) return',
  },
  'a sign-in is replayed as a diff (Q5)': {
    file: 'changes.ts',
    text: 'text: keepFields(replay(pending, draft.text).text, plan.keep, plan.data),',
    by: 'text: replay({ ...pending, text: keepFields(pending.text, plan.keep, plan.data) }, draft.text).text,',
  },
  'a write is not fenced (Q6)': {
    file: 'commits.ts',
    text: 'if (change.base.meta.privilege !== current.meta.privilege) throw rotated()',
    by: '',
  },
  'a reload is not fenced (Q6)': {
    file: 'data-methods.ts',
    text: 'if (current.meta.privilege !== stored.meta.privilege) throw rotated()',
    by: '',
  },
  'a change travels in one write with a sign-in': {
    file: 'commits.ts',
    text: 'if (isTurn && batch.length > 0) break',
    by: '',
  },
  'a change whose outcome is unknown is sent again (Q14)': {
    file: 'commits.ts',
    text: 'for (const entry of asked) fail(lane, entry, error)',
    by: 'for (const entry of asked) if (entry.tries !== 1) fail(lane, entry, error)',
  },
  'a failed load counts as anonymous': {
    file: 'open-visit.ts',
    text: "if (visit.engine.options.onStoreError !== 'anonymous') throw error\n  visit.kind = 'degraded'",
    by: '',
  },
  'a request joins a load that is under way (Q3)': {
    file: 'loads.ts',
    text: `lane.waiting ??= Promise.resolve(lane.running.then(next, next))
      return within(milliseconds, lane.waiting,`,
    by: 'return within(milliseconds, lane.running,',
  },
  'the answer does not wait for the store': {
    file: 'commit-visit.ts',
    text: 'const committed = chain(persisted, () => visit.order)',
    by: 'Promise.resolve(persisted).catch(() => {})\n    const committed = visit.order',
  },
  'regenerate leaves the old session': {
    file: 'changes.ts',
    text: "return { meta: stub, text: '{}', ends: plan.reason }",
    by: 'return { meta, text }',
  },
  'an unconfirmed sign-out is forgotten (Q22)': {
    file: 'endings.ts',
    text: 'engine.tombstones.add(stored.id, reason)',
    by: '',
  },
  'a sign-in does not look for a revocation (Q19)': {
    file: 'sign-in.ts',
    text: 'await checkRevocation(',
    by: 'void (',
  },
}

/** The same, of the near cache: found where every process has one. */
export const nearCacheMutations: Readonly<Record<string, Mutation>> = {
  'the near cache keeps what was read before a change (Q24)': {
    file: 'near-cache.ts',
    text: 'if (record !== undefined && ticket.isGood) keep',
    by: 'if (record !== undefined) keep',
  },
  'a write leaves what the near cache had': {
    file: 'near-cache.ts',
    text: 'if (entry === undefined || (version !== undefined && entry.record.version === version)) return',
    by: 'if (version === undefined || entry === undefined || entry.record.version === version) return',
  },
}

/** A copy of the core with a mistake in it. */
export async function mutatedCore({ file, text, by }: Mutation): Promise<Core> {
  const source = join(root, 'src/core')
  const target = mkdtempSync(join(tmpdir(), 'staykept-mutant-'))
  try {
    mkdirSync(join(target, 'core'))
    writeFileSync(join(target, 'package.json'), '{ "type": "module" }')
    for (const name of readdirSync(source)) {
      const original = readFileSync(join(source, name), 'utf8')
      const found = name === file ? original.split(text).length - 1 : 1
      if (found !== 1) throw new Error(`${file} has ${found} places like this: ${text}`)
      const script = toScript(name === file ? original.replace(text, () => by) : original)
      writeFileSync(join(target, 'core', name.replace(/\.ts$/, '.js')), script)
    }
    const load = (name: string): Promise<unknown> =>
      import(/* @vite-ignore */ pathToFileURL(join(target, 'core', name)).href)
    const { createSessions } = (await load('sessions.js')) as Pick<Core, 'createSessions'>
    const { openVisit } = (await load('open-visit.js')) as Pick<Core, 'openVisit'>
    const { commitVisit } = (await load('commit-visit.js')) as Pick<Core, 'commitVisit'>
    return { createSessions, openVisit, commitVisit }
  } finally {
    rmSync(target, { recursive: true })
  }
}

const scripts = new Map<string, string>()

function toScript(text: string): string {
  const known = scripts.get(text)
  if (known !== undefined) return known
  const { outputText } = transpileModule(text, {
    compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 },
  })
  scripts.set(text, outputText)
  return outputText
}

/** A store that creates on update what is not there any more. */
export function revivingStore(store: SessionStore): SessionStore {
  return {
    ...store,
    update(key, record, expectedVersion, now) {
      const answer = store.update(key, record, expectedVersion, now)
      if ((answer as { outcome: string }).outcome !== 'missing') return answer
      void store.create(key, record, now)
      return { outcome: 'updated' }
    },
  }
}
