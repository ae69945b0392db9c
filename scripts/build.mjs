/**
 * Builds `dist`: one implementation, compiled to CommonJS by plain `tsc`, and thin wrappers around it for `import`,
 * `require` and both kinds of types. decisions/ has the reasons (dual packaging).
 *
 *     node scripts/build.mjs              build
 *     node scripts/build.mjs --if-stale   build unless dist is newer than its sources
 */
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { entries, root } from './entries.mjs'

const require = createRequire(import.meta.url)
const dist = join(root, 'dist')
const started = Date.now()

if (process.argv.includes('--if-stale') && isFresh()) process.exit(0)

// Built aside and put into place in one step, so that nobody loads half a build.
const building = join(root, `node_modules/.staykept-build-${process.pid}`)
try {
  if (compile(join(building, 'cjs'))) {
    for (const file of declarations(join(building, 'cjs'))) plainExports(file)
    for (const entry of entries()) wrap(entry)
    swap()
  } else {
    process.exitCode = 1
  }
} finally {
  rmSync(building, { recursive: true, force: true })
}

function isFresh() {
  const built = statSync(join(dist, 'index.cjs'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = ['src', 'scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json']
  return sources.every((path) => newest(join(root, path)) <= built)
}

/** Folders count too: their time moves when a file is removed. */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function compile(outDir) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  const project = join(root, 'tsconfig.build.json')
  const result = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', outDir], {
    stdio: 'inherit',
  })
  if (result.status !== 0) return false
  // The package is "type": "module"; this folder is not.
  writeFileSync(join(outDir, 'package.json'), '{ "type": "commonjs" }\n')
  return true
}

function wrap({ name, module }) {
  const compiled = `./cjs/${module}.js`
  const values = Object.keys(require(join(building, compiled))).sort()
  const list = values.join(', ')
  if (name === 'index') {
    write('index.cjs', callable(compiled))
    write(
      'index.mjs',
      `import m from '${compiled}'\nexport const { ${list} } = m\nexport default m.session\n`,
    )
    write(
      'index.d.mts',
      `export * from '${compiled}'\nexport { session as default } from '${compiled}'\n`,
    )
    write('index.d.cts', callableTypes(compiled))
    return
  }
  if (values.includes('default')) {
    wrapWithDefault(name, compiled, values)
    return
  }
  write(`${name}.cjs`, `module.exports = require('${compiled}')\n`)
  write(`${name}.mjs`, `import m from '${compiled}'\nexport const { ${list} } = m\n`)
  write(`${name}.d.mts`, `export * from '${compiled}'\n`)
  write(`${name}.d.cts`, `export * from '${compiled}'\n`)
}

/** `export *` leaves a default out, and `module.exports = require(…)` does not show one to whoever reads types. */
function wrapWithDefault(name, compiled, values) {
  const named = values.filter((value) => value !== 'default').join(', ')
  const lines = values.map((value) => `exports.${value} = m.${value}\n`)
  const esModule = "Object.defineProperty(exports, '__esModule', { value: true })\n"
  write(`${name}.cjs`, `const m = require('${compiled}')\n${esModule}${lines.join('')}`)
  const start = `import m from '${compiled}'\n`
  write(`${name}.mjs`, `${start}export const { ${named} } = m\nexport default m.default\n`)
  const types = `export * from '${compiled}'\nexport { default } from '${compiled}'\n`
  write(`${name}.d.mts`, types)
  write(`${name}.d.cts`, types)
}

/** `require('staykept')` is the function `session`, with every other name on it. */
function callable(compiled) {
  return [
    `const m = require('${compiled}')`,
    'module.exports = Object.assign(m.session, m, { default: m.session })',
    '',
  ].join('\n')
}

/**
 * `export *` in the ESM types and `export import` here keep `declare module 'staykept' { interface SessionData … }`
 * merging into the one interface; a type alias or a re-export by name would break it (TS2671, TS2451).
 */
function callableTypes(compiled) {
  const names = exportedNames(join(building, 'cjs/index.d.ts')).filter((name) => name !== 'session')
  return [
    `import * as m from '${compiled}'`,
    commentOf('session'),
    'declare function session(...args: Parameters<typeof m.session>): ReturnType<typeof m.session>',
    'declare namespace session {',
    ...names.map((name) => `  export import ${name} = m.${name}`),
    '  const _default: typeof session',
    '  export { _default as default, _default as session }',
    '}',
    'export = session',
    '',
  ].join('\n')
}

/** The doc comment of a function, wherever it is declared: editors show it at `require` as at `import`. */
function commentOf(name) {
  const before = new RegExp(
    `(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\nexport declare function ${name}\\(`,
  )
  for (const file of declarations(join(building, 'cjs'))) {
    const found = before.exec(readFileSync(file, 'utf8'))
    if (found) return found[1]
  }
  return ''
}

function declarations(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.d.ts'))
    .map((path) => join(folder, path))
}

/** `export import` cannot name what was exported by `export type { … }` (TS1379); in declarations both mean the same. */
function plainExports(file) {
  const text = readFileSync(file, 'utf8')
  const plain = text.replaceAll(/^export (?:type )?\{[^}]*\}/gm, (list) =>
    list.replace(/^export type/, 'export').replaceAll(/([{,]\s*)type /g, '$1'),
  )
  if (plain !== text) writeFileSync(file, plain)
}

/** Every name, of a value or a type, that a declaration file exports. */
function exportedNames(file) {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '')
  const names = new Set()
  for (const [, name] of text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:function|const|class|interface|type) (\w+)/gm,
  )) {
    names.add(name)
  }
  for (const [, list] of text.matchAll(/^export \{([^}]*)\}/gm)) {
    for (const item of list.split(',')) {
      const name = item.trim().split(/\s+/).at(-1)
      if (name && name !== 'default') names.add(name)
    }
  }
  for (const [, path] of text.matchAll(/^export \* from ['"](.+)\.js['"]/gm)) {
    for (const name of exportedNames(join(dirname(file), `${path}.d.ts`))) names.add(name)
  }
  return [...names].sort()
}

function write(name, text) {
  mkdirSync(building, { recursive: true })
  writeFileSync(join(building, name), text)
}

function swap() {
  // Another process may have built the same meanwhile.
  const other = statSync(join(dist, 'index.cjs'), { throwIfNoEntry: false })
  if (other && other.mtimeMs > started && isFresh()) return
  const old = `${building}-old`
  try {
    renameSync(dist, old)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  renameSync(building, dist)
  rmSync(old, { recursive: true, force: true })
}
