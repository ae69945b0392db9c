'use strict'

const { MongoClient } = require('mongodb')

exports.open = (load, { url, database }) => {
  const client = new MongoClient(url)
  const store = load('mongodb').mongodbStore({ db: client.db(database) })
  return { store, close: () => client.close() }
}
