import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from './run.js'

export interface Source {
  /** Path under `src` without its ending: `core/store`. */
  readonly path: string
  readonly text: string
  readonly lines: number
  /** What it imports, types included: paths under `src` without ending, or names of packages. */
  readonly imports: readonly string[]
}

/** Every file of `src`, with its imports found by reading, not by a compiler. */
export function sources(): Source[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(root, 'src', file), 'utf8')
      const path = file.slice(0, -'.ts'.length)
      return {
        path,
        text,
        lines: text.trimEnd().split('\n').length,
        imports: importsOf(text).map((name) => resolve(path, name)),
      }
    })
}

/** The text without its comments; a `//` inside of a string goes too, which no caller minds. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
}

export function importsOf(text: string): string[] {
  const code = withoutComments(text)
  const statements = code.matchAll(/^(?:import|export)\s(?:[^'"`;=]*?\sfrom\s*)?['"]([^'"]+)['"]/gm)
  const calls = code.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g)
  return [...statements, ...calls].map((match) => match[1] ?? '')
}

function resolve(from: string, name: string): string {
  if (!name.startsWith('.')) return name
  return posix.join(posix.dirname(from), name).replace(/\.js$/, '')
}
