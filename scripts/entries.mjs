import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * What can be imported, read from the folders: each file at the top of `src` and each file in `src/stores`.
 * `name` is the file name in `dist`, `module` the path under `src` without its ending.
 */
export function entries() {
  const filesIn = (folder) =>
    readdirSync(`${root}/${folder}`, { withFileTypes: true })
      .filter((item) => item.isFile() && item.name.endsWith('.ts'))
      .map((item) => item.name.slice(0, -'.ts'.length))
      .sort()
  return [
    ...filesIn('src').map((name) => ({ name, module: name })),
    ...filesIn('src/stores').map((name) => ({ name, module: `stores/${name}` })),
  ]
}
