import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { entries } from '../../scripts/entries.mjs'
import { root, run } from '../run.js'
import { discard, pack, type Tarball } from './tarball.js'

let tarball: Tarball
beforeAll(async () => {
  tarball = await pack()
})
afterAll(() => discard(tarball))

async function manifest(): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
}

describe('the packed file', () => {
  test('holds the compiled library, its documents and nothing else', () => {
    const others = tarball.files.filter(
      (path) =>
        !/^dist\/[\w/-]+\.(cjs|mjs|js|d\.ts|d\.cts|d\.mts)$/.test(path) &&
        !/^docs\/[\w/-]+\.(md|sql)$/.test(path) &&
        !['dist/cjs/package.json', 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'].includes(
          path,
        ),
    )
    expect(others).toEqual([])
    expect(tarball.files).toEqual(expect.arrayContaining(['README.md', 'LICENSE']))
  })

  test('has every file that its exports name', async () => {
    const paths = JSON.stringify((await manifest()).exports).matchAll(/"\.\/(dist\/[^"]+)"/g)
    for (const [, path = ''] of paths) {
      const names = path.includes('*') ? entries().map(({ name }) => name) : ['']
      for (const name of names) expect(tarball.files).toContain(path.replace('*', name))
    }
  })

  test('installs nothing else: no dependencies, no peers, no install scripts', async () => {
    const { dependencies, optionalDependencies, peerDependencies, scripts } = await manifest()
    expect({ dependencies, optionalDependencies, peerDependencies }).toEqual({})
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
      expect(scripts).not.toHaveProperty(name)
    }
  })

  test('passes publint, suggestions included', async () => {
    const file = await readFile(tarball.file)
    const { messages } = await publint({
      pack: { tarball: new Uint8Array(file).buffer },
      strict: true,
    })
    expect(messages).toEqual([])
  })

  test('is understood by every kind of TypeScript resolution (attw)', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    // It looks at no exports with a pattern unless told what stands for the star.
    const names = entries().map(({ name }) => (name === 'index' ? '.' : name))
    const args = [attw, tarball.file, '--format', 'json', '--entrypoints', ...names]
    const { code, stdout } = await run(process.execPath, args)
    expect({ problems: JSON.parse(stdout).problems ?? {}, code }).toEqual({ problems: {}, code: 0 })
  })

  test('stays small', async () => {
    // Budgets, with about a fifth of slack over what is there. Raise one only with a reason in the commit.
    expect(tarball.size).toBeLessThan(SIZE_PACKED)
    expect(await compiledSize(['core', 'express', 'index.js'])).toBeLessThan(SIZE_CORE)
  })
})

const SIZE_PACKED = 480_000
const SIZE_CORE = 275_000

/** Bytes of the JavaScript that `require('staykept')` may load, comments included. */
async function compiledSize(parts: readonly string[]): Promise<number> {
  const wanted = tarball.files.filter(
    (path) => path.endsWith('.js') && parts.some((part) => path.startsWith(`dist/cjs/${part}`)),
  )
  const sizes = await Promise.all(wanted.map(async (path) => (await stat(join(root, path))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
