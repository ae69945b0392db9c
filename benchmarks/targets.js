const NEAR = 'staykept, redis, near cache'
const SNAPSHOT = `${NEAR}, snapshot`

/**
 * What is to be reached, and what this run reached. `layer`: how many times more CPU the rival costs. `stack`: how many
 * times its requests. `latency`: how often a request waits for the store. `added`: how much longer it takes than without sessions. `counts`: commands that the server counts.
 */
const targets = [
  { table: 'layer', ours: 'staykept, memory', workload: 'read a key', atLeast: 5 },
  { table: 'layer', ours: 'staykept, sqlite', workload: 'read a key', atLeast: 6 },
  { table: 'layer', ours: 'staykept, sqlite', workload: 'change a key', atLeast: 3 },
  { table: 'layer', ours: 'staykept, redis', workload: 'read a key', atLeast: 4 },
  { table: 'layer', ours: 'staykept, redis', workload: 'change a key', atLeast: 2 },
  { table: 'layer', ours: 'staykept, redis', workload: 'sign in', atLeast: 3 },
  { table: 'layer', ours: 'staykept, redis', workload: 'read a key of 10 KB', atLeast: 3 },
  { table: 'layer', ours: NEAR, workload: 'read a key', atLeast: 8 },
  { table: 'layer', ours: SNAPSHOT, workload: 'read a key', atLeast: 15 },
  { table: 'layer', ours: SNAPSHOT, workload: 'read a key of 10 KB', atLeast: 90 },
  { table: 'layer', ours: 'staykept, postgres', workload: 'read a key', atLeast: 2 },
  { table: 'layer', ours: 'staykept, postgres', workload: 'change a key', atLeast: 1.5 },
  { table: 'layer', ours: 'staykept, mysql', workload: 'read a key', atLeast: 2 },
  { table: 'layer', ours: 'staykept, mysql', workload: 'change a key', atLeast: 1.5 },
  { table: 'stack', ours: 'staykept, redis', workload: 'read a key', atLeast: 1.5 },
  { table: 'stack', ours: 'staykept, redis', workload: 'change a key', atLeast: 1.5 },
  { table: 'stack', ours: 'staykept, redis', workload: 'sign in', atLeast: 1.8 },
  { table: 'stack', ours: 'staykept, redis', workload: 'read a key of 10 KB', atLeast: 1.8 },
  ...[NEAR, SNAPSHOT].flatMap((ours) => [
    { table: 'counts', ours, workload: 'read a key', atMost: 0 },
    { table: 'added', ours, workload: 'read a key', atMost: 0.3 },
  ]),
  ...['redis', 'postgres', 'mysql'].flatMap((store) => [
    { table: 'latency', ours: `staykept, ${store}`, workload: 'read a key', atMost: 1 },
    { table: 'counts', ours: `staykept, ${store}`, workload: 'read a key', atMost: 1 },
    { table: 'counts', ours: `staykept, ${store}`, workload: 'no cookie, looked at', atMost: 0 },
    {
      table: 'counts',
      ours: `staykept, ${store}`,
      workload: 'forged cookie, looked at',
      atMost: 0,
    },
  ]),
  { table: 'counts', ours: 'staykept, redis', workload: 'change a key', atMost: 2 },
  { table: 'counts', ours: 'staykept, redis', workload: 'sign in', atMost: 5 },
  { table: 'latency', ours: 'staykept, redis', workload: 'sign in', atMost: 3 },
]

const units = {
  layer: 'times cheaper',
  stack: 'times the requests',
  latency: 'waits for the store',
  added: 'ms more than without',
  counts: 'commands',
}

/** The rows of a table; targets of what was not run are left out. */
export function judged(found) {
  const rows = targets.flatMap(({ table, ours, workload, atLeast, atMost }) =>
    found
      .filter((one) => one.table === table && one.ours === ours && one.workload === workload)
      .map(({ rival, detail, value }) => {
        const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
        const isReached = atLeast === undefined ? value <= atMost : value >= atLeast
        return [
          `${ours}: ${workload}`,
          rival ?? detail ?? '',
          `${bound} ${units[table]}`,
          String(+value.toFixed(2)),
          isReached ? 'yes' : '**no**',
        ]
      }),
  )
  return [['', '', 'target', 'this run', 'reached'], ...rows]
}
