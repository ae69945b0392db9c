/** What `createTable` and `updateTimeToLive` of the SDK take. */
export interface DynamodbTable {
  readonly create: {
    TableName: string
    BillingMode: 'PAY_PER_REQUEST'
    AttributeDefinitions: { AttributeName: string; AttributeType: 'S' }[]
    KeySchema: { AttributeName: string; KeyType: 'HASH' | 'RANGE' }[]
  }
  readonly timeToLive: {
    TableName: string
    TimeToLiveSpecification: { AttributeName: string; Enabled: boolean }
  }
}

/**
 * The table that `dynamodbStore` needs, for your deployment or a script:
 * `await client.createTable(dynamodbTable('sessions').create)`, then `await client.updateTimeToLive(….timeToLive)`.
 */
export function dynamodbTable(table: string): DynamodbTable {
  return {
    create: {
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
    },
    timeToLive: {
      TableName: table,
      TimeToLiveSpecification: { AttributeName: 'removeAt', Enabled: true },
    },
  }
}

/** The same as a line for a shell. */
export function createTableLine(table: string): string {
  return `aws dynamodb create-table --table-name ${table} --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=pk,AttributeType=S AttributeName=sk,AttributeType=S --key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE`
}
