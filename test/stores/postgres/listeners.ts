import { ask } from '../../servers/postgres.js'

/** The server processes behind the feeds of the pools that go by this `application_name`. */
export async function listenersOf(port: number, name: string): Promise<number[]> {
  const rows = await ask(
    port,
    `SELECT pid FROM pg_stat_activity WHERE application_name = $1
      AND (query = 'SELECT 1' OR query ILIKE 'listen %')`,
    [name],
  )
  return rows.map(({ pid }) => Number(pid))
}

/** Ends them, and waits until they are gone. */
export async function killListeners(port: number, name: string): Promise<void> {
  const pids = await listenersOf(port, name)
  await ask(port, 'SELECT pg_terminate_backend(pid, 1000) FROM unnest($1::int[]) AS pid', [pids])
}
