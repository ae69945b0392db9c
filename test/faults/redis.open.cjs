'use strict'
// A Redis of one server, or a cluster, at addresses of its own; with `storeOptions` for the store.

const { createClient, createCluster } = require('redis')

exports.open = (load, { port, cluster, prefix = 'faults:', storeOptions }) => {
  const address = (one) => ({ url: `redis://127.0.0.1:${one}` })
  const client = cluster
    ? createCluster({ rootNodes: cluster.map(address) })
    : createClient(address(port))
  client.connect().catch(() => {})
  return {
    store: load('redis').redisStore({ client, prefix, ...storeOptions }),
    close: () => client.destroy(),
  }
}
