import { configError } from '../config-error.js'

/** The parts of an address, decoded. */
export interface StoreUrl {
  readonly scheme: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly hosts: readonly [Host, ...Host[]]
  /** What stands after the first slash, without it. */
  readonly path: string
  readonly params: URLSearchParams
  /** All of it, for a client that reads it by itself. May hold a password: never to be shown. */
  readonly text: string
}

export interface Host {
  readonly host: string
  readonly port: number | undefined
}

const PARTS =
  /^([a-z][a-z+]*):\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^@/?#]+)(?:\/([^@?#]*))?(?:\?([^@#]*))?$/

/** By hand, because `URL` takes one host only. `form` is how the address should have been written. */
export function readStoreUrl(text: string, form: string): StoreUrl {
  const [, scheme, username, password, hosts, path = '', query] = PARTS.exec(text) ?? []
  if (scheme === undefined || hosts === undefined) {
    throw urlError(
      form,
      /@[^/?]/.test(text)
        ? 'cannot be read; in a user name and a password write % @ : / ? # as %25 %40 %3A %2F %3F %23'
        : 'names no host',
    )
  }
  try {
    return {
      scheme,
      username: username ? decodeURIComponent(username) : undefined,
      password: password ? decodeURIComponent(password) : undefined,
      hosts: hosts.split(',').map((host) => readHost(host, form)) as [Host, ...Host[]],
      path: decodeURIComponent(path),
      params: new URLSearchParams(query),
      text,
    }
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw urlError(form, 'has a % that encodes no character; write a plain % as %25')
  }
}

/** Says what is wrong, and never the value: it may hold a password. */
export function urlError(form: string, trouble: string): Error {
  return configError(`SESSION_STORE ${trouble}: it should look like ${form}`)
}

/** A parameter that nobody reads must not pass: a misspelt one about certificates would be taken for none. */
export function refuseOtherParams(
  { params }: Pick<StoreUrl, 'params'>,
  known: readonly string[],
  form: string,
): void {
  for (const name of params.keys()) {
    if (known.includes(name)) continue
    throw urlError(form, `has a parameter other than ${known.join(' and ')}`)
  }
}

/** What a client library says of an address may quote it: it is not passed on. */
export function accepted<T>(form: string, make: () => T): T {
  try {
    return make()
  } catch {
    throw urlError(form, 'has parameters that its client does not take')
  }
}

export function hostNames(hosts: readonly Host[], usualPort: number): string {
  return hosts.map(({ host, port }) => nameOf(host, port ?? usualPort)).join(', ')
}

function nameOf(host: string, port: number): string {
  // PostgreSQL also listens on a socket in a folder.
  if (host.startsWith('/')) return host
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function readHost(text: string, form: string): Host {
  const [, host, port] = /^(\[[\da-f:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i.exec(text) ?? []
  if (host === undefined) throw urlError(form, 'names a host that is none')
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535)) {
    throw urlError(form, 'has a port that is not between 1 and 65535')
  }
  return {
    host: decodeURIComponent(host.replace(/^\[(.*)\]$/, '$1')),
    port: port === undefined ? undefined : Number(port),
  }
}
