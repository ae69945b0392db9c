import { randomUUID } from 'node:crypto'
import { DynamoDB } from '@aws-sdk/client-dynamodb'
import { dynamodbStore, dynamodbTable } from 'staykept/dynamodb'
import { configOf } from '../servers/dynamodb.js'
import { sharedServer } from '../servers/shared.js'
import type { StoreRig } from './rig.js'

/** What DYNAMODB_ENDPOINT names, with the credentials and the region of the environment, else the double of test/servers. */
export const rig: StoreRig = {
  name: 'dynamodb',
  // Its double is slow: the promises run on it with everything else, by `npm run test:large`.
  isVariant: true,
  async prepare() {
    const endpoint = process.env.DYNAMODB_ENDPOINT
    const config = endpoint ? { endpoint } : configOf((await sharedServer('dynamodb')).port)
    const table = `staykept_${randomUUID()}`
    const client = new DynamoDB(config)
    const { create, timeToLive } = dynamodbTable(table)
    await client.createTable(create)
    while ((await client.describeTable({ TableName: table })).Table?.TableStatus !== 'ACTIVE') {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await client.updateTimeToLive(timeToLive)
    const remove = async (): Promise<void> => {
      await client.deleteTable({ TableName: table })
      client.destroy()
    }
    return { settings: { config, table }, remove }
  },
  open({ config, table }) {
    const client = new DynamoDB(config)
    return { store: dynamodbStore({ client, table }), close: () => client.destroy() }
  },
  opener: 'dynamodb.open.cjs',
}
