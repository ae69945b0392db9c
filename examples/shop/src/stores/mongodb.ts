import { mongodbStore } from 'staykept/mongodb'
import { endsSoon, type SessionPlace } from './place.js'
import { accepted, hostNames, readStoreUrl, urlError } from './url.js'

/** The parameters are those of the driver: `?replicaSet=rs0&tls=true&tlsCAFile=/path/to/ca.pem`. */
export function mongodb(text: string): SessionPlace {
  return place(text, 'mongodb://user:password@localhost:27017/database')
}

/** One name in the DNS that stands for all hosts, as Atlas gives it. */
export function mongodbSrv(text: string): SessionPlace {
  return place(text, 'mongodb+srv://user:password@cluster.example/database')
}

function place(text: string, form: string): SessionPlace {
  const { scheme, hosts, path: database } = readStoreUrl(text, form)
  if (database === '') throw urlError(form, 'names no database')
  const at = scheme === 'mongodb' ? hostNames(hosts, 27_017) : hosts[0].host
  return {
    name: `MongoDB at ${at}, database ${database}`,
    async open() {
      const { MongoClient } = await import('mongodb')
      // No request waits longer than a second: before that is over, the driver can say what is wrong.
      const limits = { serverSelectionTimeoutMS: 800, connectTimeoutMS: 2000 }
      const client = accepted(form, () => new MongoClient(text, limits))
      return {
        store: mongodbStore({ db: client.db(database) }),
        close: () => endsSoon(client.close()),
      }
    },
  }
}
