import { startChild } from './children.js'

/** One process for each variant. What cannot pass the checks is in `failed`, with what it does wrong, and is not timed. */
export async function startVariants(file, names, env) {
  const started = new Map()
  const failed = new Map()
  for (const name of names) {
    try {
      started.set(name, await startChild(file, [name], env))
    } catch (error) {
      failed.set(name, error.message)
      console.error(`${name}: ${error.message}`)
    }
  }
  return {
    started,
    failed,
    async stop() {
      for (const child of started.values()) await child.stop()
    },
  }
}
