import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { dist } from '../dist.js'
import { output, root } from '../run.js'

export interface Tarball {
  /** Path of the packed file. */
  readonly file: string
  readonly files: readonly string[]
  /** Bytes of the packed file, and of what it unpacks to. */
  readonly size: number
  readonly unpackedSize: number
  readonly folder: string
}

interface PackReport {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Packs the library as `npm publish` would, into a folder of its own that `discard` removes. */
export async function pack(): Promise<Tarball> {
  await dist()
  const folder = await mkdtemp(join(tmpdir(), 'staykept-pack-'))
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [report] = JSON.parse(await output('npm', args, { cwd: root })) as [PackReport]
  return {
    file: join(folder, report.filename),
    files: report.files.map((file) => file.path),
    size: report.size,
    unpackedSize: report.unpackedSize,
    folder,
  }
}

export async function discard(tarball: Tarball | undefined): Promise<void> {
  if (tarball) await rm(tarball.folder, { recursive: true, force: true })
}

export type Files = Readonly<Record<string, string>>

/** An empty project with the packed file installed, as a user would; `files` are written into it. */
export async function project(tarball: Tarball, files: Files = {}): Promise<string> {
  const folder = await mkdtemp(join(tarball.folder, 'app-'))
  await write(folder, { 'package.json': '{ "name": "app", "private": true }', ...files })
  await output('npm', ['install', tarball.file, '--offline', '--no-audit', '--no-fund'], {
    cwd: folder,
  })
  return folder
}

export async function write(folder: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

/** Lends a project a package that is installed here, such as `@types/node`. */
export async function lend(folder: string, name: string): Promise<void> {
  const target = join(folder, 'node_modules', name)
  await mkdir(dirname(target), { recursive: true })
  await symlink(join(root, 'node_modules', name), target)
}
