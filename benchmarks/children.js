/** Processes of the benchmark that answer one question at a time. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Starts `file`. Rejects with what it says where it cannot begin. */
export async function startChild(file, args, env = {}) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
  })
  const first = await answer(child)
  if (first.failed !== undefined) throw new Error(first.failed)
  return {
    ...first,
    ask(question) {
      child.send(question)
      return answer(child)
    },
    async stop() {
      if (child.exitCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.disconnect()
      await gone
    },
  }
}

function answer(child) {
  return new Promise((resolve, reject) => {
    const told = (message) => {
      child.off('exit', ended)
      resolve(message)
    }
    const ended = (code) => {
      child.off('message', told)
      reject(new Error(`${child.spawnargs.slice(1).join(' ')} ended with ${code}`))
    }
    child.once('message', told)
    child.once('exit', ended)
  })
}

/** For the child: says that it is ready, or what hinders it, and answers until its parent is gone. */
export async function serveParent(begin) {
  process.on('disconnect', () => process.exit())
  let answers
  try {
    const { ready, ...rest } = await begin()
    answers = rest
    process.send({ ...ready })
  } catch (error) {
    process.send({ failed: error.message.split('\n')[0] }, () => process.exit(1))
    return
  }
  process.on('message', async ({ about, ...question }) => {
    process.send((await answers[about](question)) ?? {})
  })
}
