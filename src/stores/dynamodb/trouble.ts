import { isSessionError, storeError } from '../../core/errors.js'
import type { DynamodbItem } from './client.js'
import { createTableLine } from './table.js'

/** A condition did not hold, so this attempt changed nothing. */
export interface Refused {
  /** What stood there, where the engine says so. */
  readonly item: DynamodbItem | undefined
  /** Whether the SDK had sent the same before. */
  readonly wasResent: boolean
}

export function refusalOf(error: unknown): Refused | undefined {
  const { name, Item } = (error ?? {}) as { name?: unknown; Item?: DynamodbItem }
  if (name !== 'ConditionalCheckFailedException') return undefined
  return { item: Item, wasResent: wasResent(error) }
}

/** Whether the SDK has sent a command more than once: an earlier one may have been executed and its answer lost. */
export function wasResent(answer: unknown): boolean {
  const { $metadata } = (answer ?? {}) as { $metadata?: { attempts?: number } }
  return ($metadata?.attempts ?? 1) > 1
}

/** What the SDK or DynamoDB said, as one sentence with what to do about it. Anything else is returned as it is. */
export function explain(error: unknown, table: string): unknown {
  if (isSessionError(error)) return error
  const { name, code, message } = (error ?? {}) as Partial<Record<string, unknown>>
  const kind = [name, code].map(String).find((one) => TROUBLES[one] !== undefined)
  const isKey =
    name === 'ValidationException' &&
    /schema|missing the key|mismatch for key|key condition/i.test(String(message))
  const told = isKey ? TROUBLES.KEY_SCHEMA : kind === undefined ? undefined : TROUBLES[kind]
  if (told === undefined) return error
  const [sentence, executed] = told(table)
  return storeError(`the table ${table} of DynamoDB ${sentence}`, {
    cause: error,
    executed: wasResent(error) ? 'unknown' : executed,
  })
}

type Trouble = (table: string) => readonly [sentence: string, executed: 'no' | 'unknown']

const throttled: Trouble = () => [
  'has no capacity left for this: let it be billed on demand, or raise its capacity',
  'no',
]
const credentials: Trouble = () => [
  'was asked with credentials that AWS does not take: look at the credentials and the region of the client',
  'no',
]
const unreachable: Trouble = () => [
  'cannot be reached: look at the region and the endpoint of the client. It goes on by itself',
  'no',
]
const lost: Trouble = () => ['did not answer. It goes on by itself', 'unknown']

const TROUBLES: Readonly<Record<string, Trouble>> = {
  KEY_SCHEMA: (table) => [
    `has another key: sessions need one with pk as partition key and sk as sort key, both strings. Choose another name, and make it with: ${createTableLine(table)}`,
    'no',
  ],
  ResourceNotFoundException: (table) => [
    `is not there, not ready yet or in another region: make it with: ${createTableLine(table)}`,
    'no',
  ],
  AccessDeniedException: () => [
    'may not be used with these credentials: allow dynamodb:GetItem, BatchGetItem, Query, PutItem, UpdateItem and DeleteItem on it',
    'no',
  ],
  ProvisionedThroughputExceededException: throttled,
  ThrottlingException: throttled,
  RequestLimitExceeded: throttled,
  CredentialsProviderError: credentials,
  UnrecognizedClientException: credentials,
  InvalidSignatureException: credentials,
  ExpiredTokenException: credentials,
  ECONNREFUSED: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  TimeoutError: lost,
  ECONNRESET: lost,
  EPIPE: lost,
  ETIMEDOUT: lost,
  InternalServerError: lost,
  ServiceUnavailable: lost,
}
