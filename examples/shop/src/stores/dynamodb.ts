import { dynamodbStore } from 'staykept/dynamodb'
import type { SessionPlace } from './place.js'
import { refuseOtherParams, urlError } from './url.js'

const FORM = 'dynamodb://sessions?region=eu-central-1'

/**
 * A table; its region unless AWS_REGION says it, and an `endpoint` where it is not with AWS. The SDK finds the keys as it
 * always does: in the environment, a profile, or the role of the machine.
 */
export function dynamodb(text: string, usualRegion: string | undefined): SessionPlace {
  const [, table, query] = /^dynamodb:\/\/([\w.-]{3,255})\/?(?:\?([^#]*))?$/.exec(text) ?? []
  if (table === undefined) {
    throw urlError(
      FORM,
      text.includes('@')
        ? 'has keys in it, which the SDK takes from the environment, a profile or a role'
        : 'names no table of 3 to 255 letters, digits, _, - and .',
    )
  }
  const params = new URLSearchParams(query)
  refuseOtherParams({ params }, ['region', 'endpoint'], FORM)
  const region = params.get('region') || usualRegion
  const endpoint = params.get('endpoint')
  if (!region) throw urlError(FORM, 'names no region, and AWS_REGION does not either')
  if (endpoint !== null && !/^https?:\/\/[^\s/@]+\/?$/.test(endpoint)) {
    throw urlError(`${FORM}&endpoint=http://localhost:8000`, 'has an endpoint that is no address')
  }
  const at = endpoint === null ? '' : ` at ${endpoint}`
  return {
    name: `DynamoDB, table ${table} in ${region}${at}`,
    async open() {
      const { DynamoDB } = await import('@aws-sdk/client-dynamodb')
      const client = new DynamoDB({
        region,
        ...(endpoint !== null && { endpoint }),
        // Without them, a request that hangs would keep its place among the connections for good.
        requestHandler: {
          connectionTimeout: 1000,
          requestTimeout: 2000,
          throwOnRequestTimeout: true,
        },
      })
      return {
        store: dynamodbStore({ client, table }),
        async close() {
          client.destroy()
        },
      }
    },
  }
}
