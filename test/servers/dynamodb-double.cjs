'use strict'
// dynalite, with what it lacks of DynamoDB: the item that a failed condition stood against (dynalite issue 182) and the
// time to live of a table. Tests may cut a reply after it was executed, and have executions counted.
//
//   node dynamodb-double.cjs <port> [before-2023]
//
// Before 2023 DynamoDB did not tell the item; some emulators still do not.

const { Readable } = require('node:stream')
const db = require('dynalite/db')
const dynalite = require('dynalite')

const [port, year] = process.argv.slice(2)
const wishes = { cut: '', times: 1, refuse: {} }
const executed = {}
const asked = {}
const timeToLive = new Map()

const checkConditional = db.checkConditional
if (year !== 'before-2023') {
  for (const command of ['putItem', 'updateItem', 'deleteItem']) {
    const { types } = require(`dynalite/validations/${command}`)
    types.ReturnValuesOnConditionCheckFailure = { type: 'String', enum: ['ALL_OLD', 'NONE'] }
  }
  db.checkConditional = (data, item) => {
    const error = checkConditional(data, item)
    if (error && item && data.ReturnValuesOnConditionCheckFailure === 'ALL_OLD')
      error.body.Item = item
    return error
  }
}

/** Which method of a store a changing command belongs to; none for entries and marks of a user. */
function kindOf(command, { Item, Key, ConditionExpression = '' }) {
  if ((Item ?? Key)?.sk?.S !== 'session') return undefined
  if (command === 'PutItem')
    return ConditionExpression.startsWith('attribute_not') ? 'create' : 'update'
  return { UpdateItem: 'touch', DeleteItem: 'delete' }[command]
}

function answer(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0' })
  res.end(JSON.stringify(body))
}

const server = dynalite({ createTableMs: 0, deleteTableMs: 0 })
// Node closes a connection that was idle for 5 s, perhaps just as a client that makes one attempt sends on it.
server.keepAliveTimeout = 0
const [handle] = server.listeners('request')
server.removeAllListeners('request')
server.on('request', (req, res) => {
  const command = String(req.headers['x-amz-target']).split('.')[1]
  const chunks = []
  const replay = () => {
    const body = Readable.from([Buffer.concat(chunks)])
    const { headers, method, url } = req
    handle(Object.assign(body, { headers, method, url }), res)
  }
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => {
    const text = Buffer.concat(chunks).toString()
    if (req.url === '/wish') {
      Object.assign(wishes, JSON.parse(text))
      return answer(res, 200, { executed, asked })
    }
    if (req.method === 'GET') return replay()
    asked[command] = (asked[command] ?? 0) + 1
    const data = JSON.parse(text)
    const refusal = wishes.refuse[command]
    if (refusal)
      return answer(res, refusal.status, { __type: refusal.type, message: refusal.message })
    const { TableName, TimeToLiveSpecification } = data
    if (command === 'UpdateTimeToLive') {
      timeToLive.set(TableName, TimeToLiveSpecification)
      return answer(res, 200, { TimeToLiveSpecification })
    }
    if (command === 'DescribeTimeToLive' && timeToLive.get(TableName)?.Enabled) {
      const { AttributeName } = timeToLive.get(TableName)
      return answer(res, 200, {
        TimeToLiveDescription: { TimeToLiveStatus: 'ENABLED', AttributeName },
      })
    }
    const kind = kindOf(command, data)
    const end = res.end
    res.end = (...args) => {
      const isExecuted = res.statusCode === 200 && kind !== undefined
      if (isExecuted) executed[kind] = (executed[kind] ?? 0) + 1
      if (isExecuted && wishes.cut === kind && wishes.times > 0) {
        wishes.times -= 1
        return req.socket.destroy()
      }
      return end.apply(res, args)
    }
    replay()
  })
})
server.listen(Number(port), '127.0.0.1', () => console.log('ready'))
