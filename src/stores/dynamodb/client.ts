/** What the store needs of `new DynamoDB({})` from `@aws-sdk/client-dynamodb`: plain input in, plain output out. */
export interface DynamodbClient {
  getItem(input: ReadInput): Promise<{ readonly Item?: DynamodbItem | undefined }>
  // biome-ignore lint/suspicious/noExplicitAny: the SDK names the tables of the answer by key
  batchGetItem(input: { RequestItems: any }): Promise<any>
  query(input: QueryInput): Promise<QueryOutput>
  putItem(input: WriteInput & { Item: DynamodbItem }): Promise<WriteOutput>
  updateItem(input: WriteInput & ByKey & { UpdateExpression: string }): Promise<WriteOutput>
  deleteItem(input: WriteInput & ByKey): Promise<WriteOutput>
  /** For the warning where nothing is removed. */
  describeTimeToLive?(input: { TableName: string }): Promise<TimeToLiveOutput>
}

// biome-ignore lint/suspicious/noExplicitAny: of an attribute the store knows { S } and { N }
export type DynamodbItem = Record<string, any>

interface InTable {
  TableName: string
}

interface ByKey {
  Key: DynamodbItem
}

type ReadInput = InTable & ByKey & { ConsistentRead: boolean }

interface QueryInput extends InTable {
  ConsistentRead: boolean
  KeyConditionExpression: string
  ExpressionAttributeValues: DynamodbItem
  ExclusiveStartKey?: DynamodbItem
}

interface QueryOutput {
  readonly Items?: DynamodbItem[] | undefined
  readonly LastEvaluatedKey?: DynamodbItem | undefined
}

interface WriteInput extends InTable {
  ConditionExpression?: string
  ExpressionAttributeValues?: DynamodbItem
  ReturnValues?: 'ALL_OLD'
  ReturnValuesOnConditionCheckFailure?: 'ALL_OLD'
}

export interface WriteOutput {
  readonly Attributes?: DynamodbItem | undefined
  readonly $metadata: { readonly attempts?: number | undefined }
}

interface TimeToLiveOutput {
  readonly TimeToLiveDescription?:
    | {
        readonly TimeToLiveStatus?: string | undefined
        readonly AttributeName?: string | undefined
      }
    | undefined
}

/** Throws a `TypeError` for anything but a client with a method for each command. */
export function assertClient(client: unknown): void {
  const found = whatIsWrong(client)
  if (found === undefined) return
  throw new TypeError(
    `dynamodbStore: client must be new DynamoDB({ … }) from @aws-sdk/client-dynamodb, not ${found}`,
  )
}

function whatIsWrong(client: unknown): string | undefined {
  if (typeof client === 'function') return 'a class: make an instance with new'
  if (typeof client !== 'object' || client === null) return String(client)
  const handle = client as Partial<Record<string, unknown>>
  if (typeof handle.then === 'function') return 'a promise: await it first'
  if (typeof handle.makeRequest === 'function') return 'a client of the AWS SDK version 2'
  if (METHODS.every((name) => typeof handle[name] === 'function')) return undefined
  if (typeof handle.send !== 'function') {
    return `an object without ${METHODS.join(', ')} (${handle.constructor?.name ?? 'Object'})`
  }
  const name = handle.constructor?.name ?? 'a client'
  return /Document/.test(name)
    ? `${name}, which converts what it is given: pass the client that it was made from`
    : `${name}: DynamoDB takes the same options and is the same client, with a method for each command`
}

const METHODS: readonly (keyof DynamodbClient)[] = [
  'getItem',
  'batchGetItem',
  'query',
  'putItem',
  'updateItem',
  'deleteItem',
]

/**
 * The clock of DynamoDB: the SDK compares its own with the Date of each answer. Undefined where a client knows of none.
 */
export function clockOf(client: DynamodbClient): number | undefined {
  const offset = (client as { config?: { systemClockOffset?: unknown } }).config?.systemClockOffset
  return typeof offset === 'number' ? Date.now() + offset : undefined
}
