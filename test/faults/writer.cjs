'use strict'
// Creates, changes, touches and ends sessions of its own until it is killed. Says what it begins and what was
// acknowledged, each at once, so that a kill loses no line.

const { randomBytes } = require('node:crypto')
const { writeSync } = require('node:fs')
const { join } = require('node:path')

const { dist, opener, place } = JSON.parse(process.argv[2])
const { store } = require(join(__dirname, opener)).open(
  (name) => require(join(dist, `${name}.cjs`)),
  place,
)
process.on('warning', () => {})

const NOW = Date.now()
const HOUR = 3_600_000
const versions = new Map()

async function write() {
  const keys = []
  for (let turn = 0; ; turn += 1) {
    if (turn % 3 === 0) keys.push(mark())
    const key = keys[(turn * 7919) % keys.length]
    const old = versions.get(key)
    const version = turn % 7 === 1 && old !== undefined ? null : mark()
    say({ begin: key, version })
    await change(key, old, version)
    say({ stored: key })
  }
}

async function change(key, old, version) {
  const userId = `user-${key}`
  if (version === null) {
    const revocation = { value: mark(), expiresAt: NOW + HOUR }
    await store.deleteByUser(userId, { except: [], mark: revocation, now: NOW })
    versions.delete(key)
    return
  }
  const payload = `{"text":"${'x'.repeat((key.charCodeAt(0) * 97) % 3000)}"}`
  const times = { lastSeenAt: NOW, expiresAt: NOW + HOUR, absoluteExpiresAt: NOW + HOUR }
  const record = { version, payload, userId, ...times }
  if (old === undefined) await store.create(key, record, NOW)
  else await store.update(key, record, old, NOW)
  versions.set(key, version)
}

function mark() {
  return randomBytes(16).toString('base64url')
}

function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

void write()
