// Speaks as much of MongoDB's protocol as staykept/mongodb asks for, over real sockets and with the real driver. It is no
// MongoDB: queries and expressions are those of mingo. Each command is one step. Keeps everything in memory.
//
//   node mongodb-double.mjs <port> [replica-set|standalone]
//
// Like a replica set it answers a write that is sent again as it answered the first time; a standalone server cannot.

import net from 'node:net'
import { Aggregator, Query } from 'mingo'
import { BSON } from 'mongodb'

const port = Number(process.argv[2])
const isReplicaSet = process.argv[3] !== 'standalone'
const address = `127.0.0.1:${port}`

/** Collections by namespace, documents by id. */
const collections = new Map()
const indexesOf = new Map()
/** Open cursors: what is left of each. */
const cursors = new Map()
/** Answers by session and transaction number. */
const answered = new Map()

/** What tests have asked for: commands to refuse, replies to cut, and how often each kind of change was executed. */
const wishes = { refuse: {}, cut: '', executed: {}, seen: [] }

class ServerError extends Error {
  constructor(code, codeName, message) {
    super(message)
    this.code = code
    this.codeName = codeName
  }
}

const duplicate = (id) =>
  new ServerError(11000, 'DuplicateKey', `E11000 duplicate key error: ${id}`)

const commands = {
  hello: () => ({
    isWritablePrimary: true,
    helloOk: true,
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    localTime: new Date(),
    connectionId: 1,
    minWireVersion: 0,
    // Of MongoDB 7.0.
    maxWireVersion: 21,
    readOnly: false,
    ...(isReplicaSet && {
      logicalSessionTimeoutMinutes: 30,
      setName: 'double',
      setVersion: 1,
      hosts: [address],
      primary: address,
      me: address,
      secondary: false,
    }),
  }),
  ping: () => ({}),
  endSessions: () => ({}),
  abortTransaction: () => ({}),

  find(command, namespace) {
    const found = matching(namespace, command.filter).map((document) =>
      projected(document, command.projection),
    )
    const most = command.limit ? Math.abs(command.limit) : found.length
    return { cursor: batch(found.slice(0, most), namespace, command.batchSize ?? 101, 'first') }
  },
  getMore(command, namespace) {
    const id = String(command.getMore)
    const rest = cursors.get(id)
    if (!rest) throw new ServerError(43, 'CursorNotFound', `cursor id ${id} not found`)
    cursors.delete(id)
    return { cursor: batch(rest, namespace, command.batchSize ?? 1000, 'next') }
  },
  killCursors(command) {
    for (const id of command.cursors) cursors.delete(String(id))
    return { cursorsKilled: command.cursors }
  },

  update(command, namespace) {
    let n = 0
    let nModified = 0
    const upserted = []
    for (const [index, { q, u, upsert, multi }] of command.updates.entries()) {
      const found = matching(namespace, q).slice(0, multi ? Number.POSITIVE_INFINITY : 1)
      for (const document of found) nModified += put(namespace, changed(document, u)) ? 1 : 0
      n += found.length
      if (found.length === 0 && upsert) {
        const { _id } = q
        if (documents(namespace).has(_id))
          return { n, nModified, writeErrors: [{ index, ...failure(duplicate(_id)) }] }
        put(namespace, changed({ _id }, u))
        upserted.push({ index, _id })
        n += 1
      }
    }
    return { n, nModified, ...(upserted.length > 0 && { upserted }) }
  },
  delete(command, namespace) {
    let n = 0
    for (const { q, limit } of command.deletes) {
      for (const { _id } of matching(namespace, q).slice(0, limit || undefined)) {
        documents(namespace).delete(_id)
        n += 1
      }
    }
    return { n }
  },
  findAndModify(command, namespace) {
    if (!command.remove) throw new ServerError(9, 'FailedToParse', 'the double only removes')
    const [found] = matching(namespace, command.query)
    if (!found) return { value: null, lastErrorObject: { n: 0 } }
    documents(namespace).delete(found._id)
    return { value: projected(found, command.fields), lastErrorObject: { n: 1 } }
  },

  createIndexes(command, namespace) {
    const there = indexesOf.get(namespace) ?? []
    for (const index of command.indexes) {
      if (!there.some(({ name }) => name === index.name)) there.push({ v: 2, ...index })
    }
    indexesOf.set(namespace, there)
    return { numIndexesAfter: there.length }
  },
  listIndexes(_command, namespace) {
    const there = indexesOf.get(namespace)
    if (!there) throw new ServerError(26, 'NamespaceNotFound', `ns does not exist: ${namespace}`)
    return { cursor: batch(there, namespace, 101, 'first') }
  },
  dropDatabase(command) {
    for (const map of [collections, indexesOf]) {
      for (const name of map.keys()) if (name.startsWith(`${command.$db}.`)) map.delete(name)
    }
    return {}
  },

  /** Of the double alone: sets wishes, and answers what is counted. */
  wish(command) {
    Object.assign(wishes, command.set)
    const { executed, seen } = wishes
    return { executed, seen }
  },
  /** Of the double alone: what MongoDB's own thread does once a minute. */
  removeExpired(command) {
    let removed = 0
    for (const [namespace, indexes] of indexesOf) {
      for (const { key, expireAfterSeconds } of indexes) {
        if (expireAfterSeconds === undefined) continue
        const [field] = Object.keys(key)
        const before = command.at.getTime() - expireAfterSeconds * 1000
        for (const [id, document] of documents(namespace)) {
          if (document[field] instanceof Date && document[field].getTime() < before) {
            removed += documents(namespace).delete(id) ? 1 : 0
          }
        }
      }
    }
    return { removed }
  },
}
commands.isMaster = commands.hello
commands.ismaster = commands.hello

function documents(namespace) {
  const found = collections.get(namespace) ?? new Map()
  collections.set(namespace, found)
  return found
}

function matching(namespace, filter = {}) {
  const all = documents(namespace)
  const one = typeof filter._id === 'string' ? all.get(filter._id) : undefined
  const candidates = typeof filter._id === 'string' ? (one ? [one] : []) : [...all.values()]
  const query = new Query(filter)
  return candidates.filter((document) => query.test(document))
}

function changed(document, pipeline) {
  if (!Array.isArray(pipeline)) throw new ServerError(9, 'FailedToParse', 'a pipeline is expected')
  const [result] = new Aggregator(pipeline).run([document])
  return result
}

function put(namespace, document) {
  const size = BSON.calculateObjectSize(document)
  if (size > 16_777_216) throw new ServerError(10334, 'BSONObjectTooLarge', `BSONObj size: ${size}`)
  const before = documents(namespace).get(document._id)
  documents(namespace).set(document._id, document)
  return !before || Buffer.compare(BSON.serialize(before), BSON.serialize(document)) !== 0
}

function projected(document, projection) {
  if (!projection || Object.keys(projection).length === 0) return document
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => name === '_id' || projection[name]),
  )
}

function batch(all, namespace, size, which) {
  const rest = all.slice(size)
  const id =
    rest.length > 0 ? BSON.Long.fromNumber(Math.trunc(Math.random() * 2 ** 50)) : BSON.Long.ZERO
  if (rest.length > 0) cursors.set(String(id), rest)
  return { id, ns: namespace, [`${which}Batch`]: all.slice(0, size) }
}

function failure({ code, codeName, message }) {
  return { code, codeName, errmsg: message }
}

/** Which method of a store a changing command belongs to. */
function kindOf(name, { updates }) {
  if (name === 'findAndModify') return 'delete'
  if (name !== 'update') return undefined
  if (updates[0].upsert) return 'create'
  return updates[0].u[0].$set.version === undefined ? 'touch' : 'update'
}

/** A command without what is in its documents. */
function outline({ filter, readConcern, writeConcern, $readPreference }) {
  return { filter, readConcern, writeConcern, $readPreference }
}

/** What clients send beside the commands of the store. */
const UNSEEN = new Set(['hello', 'ismaster', 'isMaster', 'wish', 'endSessions', 'killCursors'])

/** The reply, or `undefined` where the connection is to break instead. */
function answer(command) {
  const name = Object.keys(command)[0]
  const run = commands[name]
  const namespace = `${command.$db}.${name === 'getMore' ? command.collection : command[name]}`
  const number = command.txnNumber === undefined ? '' : String(command.txnNumber)
  const attempt = number && isReplicaSet ? `${command.lsid.id.toString('hex')} ${number}` : ''
  if (!UNSEEN.has(name)) wishes.seen.push({ name, command: outline(command) })
  if (attempt && answered.has(attempt)) return answered.get(attempt)
  let reply
  let kind
  try {
    if (!run) throw new ServerError(59, 'CommandNotFound', `no such command: '${name}'`)
    const refusal = wishes.refuse[name]
    if (refusal) throw new ServerError(refusal.code, refusal.codeName, refusal.errmsg)
    reply = { ...run(command, namespace), ok: 1 }
    kind = kindOf(name, command)
  } catch (error) {
    if (!(error instanceof ServerError)) console.error(error)
    reply = {
      ok: 0,
      ...failure(
        error instanceof ServerError
          ? error
          : { code: 8, codeName: 'UnknownError', message: String(error) },
      ),
    }
  }
  if (wishes.unconfirmed && kind) reply.writeConcernError = wishes.unconfirmed
  if (attempt && reply.ok && !reply.writeErrors) answered.set(attempt, reply)
  if (kind !== undefined && !command[name].endsWith('_marks')) {
    wishes.executed[kind] = (wishes.executed[kind] ?? 0) + 1
    if (wishes.cut === kind) {
      wishes.cut = ''
      return undefined
    }
  }
  return reply
}

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

/** A message of the wire protocol as the command in it. */
function parse(message) {
  const code = message.readInt32LE(12)
  if (code === OP_QUERY) {
    const end = message.indexOf(0, 20)
    const command = BSON.deserialize(message.subarray(end + 9))
    return { code, command: { ...command, $db: message.toString('utf8', 20, end).split('.')[0] } }
  }
  if (code !== OP_MSG) throw new Error(`the double does not know the operation ${code}`)
  const hasChecksum = (message.readUInt32LE(16) & 1) === 1
  const end = message.length - (hasChecksum ? 4 : 0)
  const command = {}
  let at = 20
  while (at < end) {
    const isSequence = message[at] === 1
    at += 1
    const size = message.readInt32LE(at)
    const section = message.subarray(at, at + size)
    at += size
    if (!isSequence) {
      Object.assign(command, BSON.deserialize(section))
      continue
    }
    const nameEnd = section.indexOf(0, 4)
    const list = []
    for (let next = nameEnd + 1; next < size; next += section.readInt32LE(next)) {
      list.push(BSON.deserialize(section.subarray(next, next + section.readInt32LE(next))))
    }
    command[section.toString('utf8', 4, nameEnd)] = list
  }
  return { code, command }
}

function reply(to, code, document) {
  const body = Buffer.from(BSON.serialize(document))
  // OP_REPLY: flags, cursor, start, count. OP_MSG: flags, kind of section.
  const head = Buffer.alloc(code === OP_QUERY ? 36 : 21)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(to, 8)
  head.writeInt32LE(code === OP_QUERY ? OP_REPLY : OP_MSG, 12)
  if (code === OP_QUERY) head.writeInt32LE(1, 32)
  return Buffer.concat([head, body])
}

net
  .createServer((socket) => {
    let received = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= received.readInt32LE(0)) {
        const message = received.subarray(0, received.readInt32LE(0))
        received = received.subarray(message.length)
        const { code, command } = parse(message)
        const document = answer(command)
        if (document === undefined) return void socket.destroy()
        socket.write(reply(message.readInt32LE(4), code, document))
      }
    })
  })
  .listen(port, '127.0.0.1', () => console.log('ready'))
