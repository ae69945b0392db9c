import type { StoreConcern } from '../../core/store.js'
import type { DynamodbClient } from './client.js'

/** Says whether the table removes what has expired; asks at most once a minute, and says nothing where it may not ask. */
export function timeToLiveOf(client: DynamodbClient, table: string): () => Promise<StoreConcern[]> {
  let askedAt = Number.NEGATIVE_INFINITY
  let concerns: StoreConcern[] = []

  async function look(): Promise<StoreConcern[]> {
    const answer = await client.describeTimeToLive?.({ TableName: table })
    const { TimeToLiveStatus: status, AttributeName: name } = answer?.TimeToLiveDescription ?? {}
    const isOn = name === 'removeAt' && status?.startsWith('ENABL')
    return status === undefined || isOn ? [] : [{ code: 'WARN_SESSION_NEVER_REMOVED', message }]
  }

  const message = `the table ${table} of DynamoDB has no time to live on removeAt, so what has expired stays in it: aws dynamodb update-time-to-live --table-name ${table} --time-to-live-specification Enabled=true,AttributeName=removeAt`

  return async function concernsOfTable() {
    if (performance.now() - askedAt > BETWEEN_LOOKS) {
      askedAt = performance.now()
      concerns = await look().catch(() => [])
    }
    return concerns
  }
}

const BETWEEN_LOOKS = 60_000
