import { strict as assert } from 'node:assert'
import { type AskedStore, type Bench, withNote } from './bench.js'

/** Runs `scene` for the first command of a call, the second, and so on, until it answers that there is no such command. */
export async function eachStep(scene: (index: number) => Promise<boolean>): Promise<void> {
  let index = 0
  while (await labelledStep(scene, index)) {
    index += 1
    assert.ok(index < 100, 'One call sends more than a hundred commands')
  }
  assert.ok(
    index > 0,
    'intercept saw no command: it must be in the way of all that the store sends',
  )
}

/**
 * Starts `call`, holds it before its `index`-th command, runs `meanwhile` from another handle, lets `call` go on, and
 * waits for both. Answers whether `call` had such a command at all.
 */
export async function holdAt(
  bench: Bench,
  index: number,
  call: () => Promise<unknown>,
  meanwhile: (other: AskedStore) => Promise<unknown>,
): Promise<boolean> {
  const other = await bench.other()
  const gate = holdCommand(bench, index)
  const running = call()
  const held = await Promise.race([gate.reached.then(() => true), running.then(() => false)])
  try {
    const between = held ? meanwhile(other) : undefined
    // A store that takes a lock makes the other wait, so the hold ends when the other does not get on.
    await Promise.race([between, wait(LOCK_WAIT)])
    gate.open()
    await between
  } finally {
    gate.open()
    await running
    gate.remove()
  }
  return held
}

/** Kills a caller before its `index`-th command: none of what comes after is sent. Answers whether there was one. */
export async function killAt(
  bench: Bench,
  index: number,
  call: () => Promise<unknown>,
): Promise<boolean> {
  const gate = holdCommand(bench, index, 'kill')
  const running = call()
  const killed = await Promise.race([
    gate.reached.then(() => true),
    running.then(
      () => false,
      () => true,
    ),
  ])
  gate.open()
  await running.catch(() => undefined)
  gate.remove()
  return killed
}

function labelledStep(scene: (index: number) => Promise<boolean>, index: number): Promise<boolean> {
  return scene(index).catch((error: unknown) => {
    throw withNote(error, `at command ${index + 1}: `, '')
  })
}

interface Gate {
  /** The command is about to be sent. */
  readonly reached: Promise<void>
  open(): void
  remove(): void
}

function holdCommand(bench: Bench, index: number, then: 'send' | 'kill' = 'send'): Gate {
  const intercept = bench.engine.intercept?.bind(bench.engine)
  assert.ok(intercept)
  let seen = 0
  let killed = false
  const reached = signal()
  const opened = signal()
  const remove = intercept(async (send) => {
    if (killed) throw new Error('The process was killed here')
    const here = seen === index
    seen += 1
    if (!here) return send()
    killed = then === 'kill'
    reached.give()
    if (killed) throw new Error('The process was killed here')
    await opened.given
    return send()
  })
  return { reached: reached.given, open: opened.give, remove }
}

function signal(): { given: Promise<void>; give: () => void } {
  let give = () => {}
  const given = new Promise<void>((resolve) => {
    give = resolve
  })
  return { given, give }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

const LOCK_WAIT = 150
