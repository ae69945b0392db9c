import { randomUUID } from 'node:crypto'
import { MongoClient } from 'mongodb'
import { mongodbStore } from 'staykept/mongodb'
import { ask, urlOf } from '../servers/mongodb.js'
import { sharedServer } from '../servers/shared.js'
import type { StoreRig } from './rig.js'

/** A real server where MONGODB_URL names one, else the double of test/servers. */
export const rig: StoreRig = {
  name: 'mongodb',
  async prepare() {
    const url = process.env.MONGODB_URL ?? urlOf((await sharedServer('mongodb')).port)
    const database = `staykept_${randomUUID()}`
    const remove = async (): Promise<void> => {
      await ask(url, { dropDatabase: 1 }, database)
    }
    return { settings: { url, database }, remove }
  },
  open({ url, database }) {
    const client = new MongoClient(url)
    return { store: mongodbStore({ db: client.db(database) }), close: () => client.close() }
  },
  opener: 'mongodb.open.cjs',
}
