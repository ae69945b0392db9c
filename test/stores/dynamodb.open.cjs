'use strict'

const { DynamoDB } = require('@aws-sdk/client-dynamodb')

exports.open = (load, { config, table }) => {
  const client = new DynamoDB(config)
  return { store: load('dynamodb').dynamodbStore({ client, table }), close: () => client.destroy() }
}
