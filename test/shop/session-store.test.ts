import { expect, test } from 'vitest'
import { readConfig } from '../../examples/shop/src/config.js'
import { scratch } from './shop.js'

const PASSWORD = 'hunter2'

test.each([
  ['redis://localhost', 'Redis at localhost:6379, database 0'],
  [`redis://shop:${PASSWORD}@[::1]:6380/2`, 'Redis at [::1]:6380, database 2'],
  [`rediss://:${PASSWORD}@db.example:6380`, 'Redis at db.example:6380 over TLS, database 0'],
  [
    'rediss://db.example?tlsInsecure=true',
    'Redis at db.example:6379 over TLS, certificate unchecked, database 0',
  ],
  [`redis+cluster://shop:${PASSWORD}@one:7000,two`, 'Redis Cluster at one:7000, two:6379'],
  ['rediss+cluster://one', 'Redis Cluster at one:6379 over TLS'],
  [
    `redis+sentinel://shop:${PASSWORD}@one,two:26380/mymaster`,
    'Redis, primary mymaster of the sentinels at one:26379, two:26380',
  ],
  [
    `postgres://shop:${PASSWORD}@db.example/shop?sslmode=verify-full`,
    'PostgreSQL at db.example:5432, database shop',
  ],
  ['postgresql://%2Frun%2Fpg/shop%20two', 'PostgreSQL at /run/pg, database shop two'],
  [`mysql://shop:${PASSWORD}@db.example:3307/shop`, 'MySQL at db.example:3307, database shop'],
  ['mariadb://db.example/shop', 'MariaDB at db.example:3306, database shop'],
  [
    `mongodb://shop:${PASSWORD}@one,two:27018/shop?replicaSet=rs0`,
    'MongoDB at one:27017, two:27018, database shop',
  ],
  [`mongodb+srv://shop:${PASSWORD}@c0.example/shop`, 'MongoDB at c0.example, database shop'],
  ['dynamodb://sessions?region=eu-central-1', 'DynamoDB, table sessions in eu-central-1'],
  [
    'dynamodb://my.sessions_2/?region=local&endpoint=http://localhost:8000',
    'DynamoDB, table my.sessions_2 in local at http://localhost:8000',
  ],
])('SESSION_STORE=%s is called %s', (SESSION_STORE, name) => {
  expect(readConfig({ DATA_DIR: scratch(), SESSION_STORE }).sessionStore.name).toBe(name)
})

test('the region of DynamoDB may come from where AWS puts it', () => {
  const env = { SESSION_STORE: 'dynamodb://sessions', AWS_REGION: 'eu-west-1' }
  const { sessionStore } = readConfig({ DATA_DIR: scratch(), ...env })
  expect(sessionStore.name).toBe('DynamoDB, table sessions in eu-west-1')
})

const ENCODE = /write % @ : \/ \? # as %25 %40 %3A %2F %3F %23/

test.each([
  [
    'a store that nobody knows',
    `nats://shop:${PASSWORD}@db/shop`,
    /Known are "sqlite:".*redis:\/\//,
  ],
  ['a store without a colon', 'sqlite', /Known are "sqlite:"/],
  ['a property of every object', 'constructor:', /Known are "sqlite:"/],
  ['a place for what has none', 'memory:here', /Known are "sqlite:"/],
  ['a file as an address', 'sqlite://file.db', /"sqlite:\/path\/to\/file.db"/],
  [
    'no host',
    `redis://:${PASSWORD}@/0`,
    /names no host: .* redis:\/\/user:password@localhost:6379\/0$/,
  ],
  ['nothing but a kind', 'rediss:', /names no host: .* rediss:\/\/user/],
  ['an @ in a password', `redis://:${PASSWORD}@home@db`, ENCODE],
  ['a slash in a password', `redis://:${PASSWORD}/home@db`, ENCODE],
  ['a question mark in a password', `redis://:${PASSWORD}?@db`, ENCODE],
  ['a # in a password', `redis://:${PASSWORD}#@db`, ENCODE],
  ['a percent sign in a password', `redis://:${PASSWORD}%@db`, /write a plain % as %25/],
  ['a port that is none', `redis://:${PASSWORD}@db:redis`, /names a host that is none/],
  ['a port too high', `redis://:${PASSWORD}@db:65536`, /port that is not between 1 and 65535/],
  ['a database with a name', `redis://:${PASSWORD}@db/shop`, /database that is no number/],
  ['two servers for one', `redis://:${PASSWORD}@one,two`, /several hosts, as for a cluster/],
  ['parameters without TLS', `redis://:${PASSWORD}@db?tlsInsecure=true`, /for rediss:\/\/ only/],
  ['a misspelt parameter', `rediss://:${PASSWORD}@db?tlsCaFile=x`, /other than tlsCAFile and/],
  ['a half-hearted parameter', `rediss://:${PASSWORD}@db?tlsInsecure=1`, /neither true nor false/],
  ['a certificate that is not there', `rediss://:${PASSWORD}@db?tlsCAFile=/no`, /cannot be read/],
  ['a database of a cluster', `redis+cluster://:${PASSWORD}@one,two/1`, /a cluster has but one/],
  ['no database', `postgres://:${PASSWORD}@db`, /names no database: .* postgres:\/\/user/],
  ['two hosts for pg', `postgres://:${PASSWORD}@one,two/shop`, /several hosts, and pg takes one/],
  ['no database of MySQL', `mysql://:${PASSWORD}@db/`, /names no database: .* mysql:\/\/user/],
  ['two hosts for mysql2', `mysql://:${PASSWORD}@one,two/shop`, /several hosts, and mysql2 takes/],
  ['no database of MongoDB', `mongodb://a:${PASSWORD}@one,two/?tls=true`, /names no database/],
  ['no table', 'dynamodb://?region=local', /names no table of 3 to 255 letters/],
  ['a table with a port', 'dynamodb://sessions:8000?region=local', /names no table/],
  ['keys of AWS', `dynamodb://AKIA:${PASSWORD}@sessions?region=local`, /environment, a profile/],
  ['no region', 'dynamodb://sessions', /names no region, and AWS_REGION does not either/],
  [
    'an endpoint without http',
    'dynamodb://sessions?region=local&endpoint=db',
    /endpoint that is no/,
  ],
  ['a misspelt region', 'dynamodb://sessions?regoin=local', /other than region and endpoint/],
  ['no primary', `redis+sentinel://:${PASSWORD}@one,two`, /what the sentinels call the primary/],
])('%s is refused with the mend, and not quoted', (_, SESSION_STORE, message) => {
  let refusal: unknown
  try {
    readConfig({ DATA_DIR: scratch(), SESSION_STORE })
  } catch (error) {
    refusal = error
  }
  expect(refusal).toMatchObject({ name: 'ConfigError', message: expect.stringMatching(message) })
  expect(allOf(refusal)).not.toContain(PASSWORD)
})

test.each([['a certificate that is not there', `postgres://:${PASSWORD}@db/shop?sslrootcert=/no`]])(
  '%s for a client that reads its own parameters is refused at the start',
  async (_, SESSION_STORE) => {
    const place = readConfig({ DATA_DIR: scratch(), SESSION_STORE }).sessionStore
    const refusal = await place.open(() => {}).catch((error: unknown) => error)
    expect(refusal).toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/has parameters that its client does not take: .* \w+:\/\//),
    })
    expect(allOf(refusal)).not.toContain(PASSWORD)
  },
)

function allOf(error: unknown): string {
  return JSON.stringify(error, Object.getOwnPropertyNames(error))
}
