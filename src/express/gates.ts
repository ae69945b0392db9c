import { ServerResponse } from 'node:http'

/** The methods of a response that can let a header leave. */
export type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders'
export type AnyMethod = (this: unknown, ...args: unknown[]) => unknown
export type Methods = Record<Method, AnyMethod>

/** What every call of those methods goes to. */
export interface Gate {
  pass(method: Method, args: unknown[]): unknown
}

const GATE: unique symbol = Symbol('staykept gate')

interface Gated extends Methods {
  [GATE]?: Gate
}

/**
 * Sends every call of those methods to `gate`, and answers the methods that stood there before.
 *
 * The functions are the same for all responses and find theirs by a symbol. Where a closure is a property of the very
 * response it closes over, V8's young collections keep that response and the next and the next: measured on Node 20,
 * twice the price of a request. Only a second gate on one response has functions of its own.
 */
export function putGates(res: object, gate: Gate): Methods {
  const target = res as Gated
  const { writeHead, write, end, flushHeaders } = target
  const gates = target[GATE] === undefined ? SHARED : createGates(() => gate)
  target[GATE] ??= gate
  // engine.io and others hand out responses that lack some of these. Spelt out: a loop costs half a microsecond.
  if (isMethod(writeHead)) target.writeHead = gates.writeHead
  if (isMethod(write)) target.write = gates.write
  if (isMethod(end)) target.end = gates.end
  if (isMethod(flushHeaders)) target.flushHeaders = gates.flushHeaders
  return { writeHead, write, end, flushHeaders }
}

/** Before V8 13, that is on Node 20 and 22. */
const ARE_PROPERTIES_DEAR: boolean = Number.parseInt(process.versions.v8 ?? '', 10) < 13

/**
 * Express gives a response another prototype. There each property that comes later makes a hidden class for this response
 * alone: 3 µs and a kilobyte, and a session puts a dozen on it. One that is taken out of their middle makes a dictionary
 * of them, which costs that once (decision 029).
 */
export function makeRoom(res: object): void {
  if (!ARE_PROPERTIES_DEAR || !(res instanceof ServerResponse)) return
  const isAsNodeMadeIt = Object.getPrototypeOf(res) === res.constructor.prototype
  if (isAsNodeMadeIt || !Object.hasOwn(res, 'finished')) return
  const { finished } = res
  if (Reflect.deleteProperty(res, 'finished')) res.finished = finished
}

/** Puts the methods back that `putGates` answered. */
export function takeGatesAway(res: object, beneath: Methods): void {
  for (const method of Object.keys(beneath) as Method[]) {
    if (isMethod(beneath[method])) (res as Methods)[method] = beneath[method]
  }
}

function createGates(gateOf: (res: unknown) => Gate): Methods {
  return {
    writeHead(...args) {
      return gateOf(this).pass('writeHead', args)
    },
    write(...args) {
      return gateOf(this).pass('write', args)
    },
    end(...args) {
      return gateOf(this).pass('end', args)
    },
    flushHeaders(...args) {
      return gateOf(this).pass('flushHeaders', args)
    },
  }
}

const SHARED: Methods = createGates((res) => (res as Required<Gated>)[GATE])

function isMethod(value: unknown): boolean {
  return typeof value === 'function'
}
