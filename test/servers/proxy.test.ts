import net, { type AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startProxy, type TcpProxy } from './proxy.js'

test('a proxy passes on, delays, holds up, loses and tears what servers say', async () => {
  const proxy = await echo()
  expect(await say(proxy, 'plain')).toBe('plain')

  proxy.delay(40)
  const started = performance.now()
  expect(await say(proxy, 'slow')).toBe('slow')
  expect(performance.now() - started).toBeGreaterThan(75)
  proxy.delay(0)

  proxy.hang()
  const held = say(proxy, 'held')
  expect(
    await Promise.race([held, new Promise((resolve) => setTimeout(resolve, 50, 'hung'))]),
  ).toBe('hung')
  proxy.resume()
  expect(await held).toBe('held')

  proxy.loseNextReply()
  expect(await say(proxy, 'never heard')).toBe('cut off after nothing')
  proxy.tearNextReply()
  expect(await say(proxy, 'torn')).toBe('cut off after to')
  proxy.loseReplyTo((request) => request.includes('secret'))
  expect(await say(proxy, 'all well again')).toBe('all well again')
  expect(await say(proxy, 'a secret')).toBe('cut off after nothing')
  expect(await say(proxy, 'a secret')).toBe('a secret')
  expect(proxy.connections).toBe(8)
  expect(proxy.trips).toBe(8)
})

test('a proxy silences the connections that are open, and no other', async () => {
  const proxy = await echo()
  const heard: string[] = []
  const old = net.connect(proxy.port, '127.0.0.1')
  onTestFinished(() => void old.destroy())
  old.setEncoding('utf8').on('data', (text: string) => heard.push(text))
  old.write('before')
  await vi.waitFor(() => expect(heard).toEqual(['before']))
  proxy.silence()
  old.write('after')
  expect(await say(proxy, 'another')).toBe('another')
  expect(heard).toEqual(['before'])
})

/** A proxy before a server that says again what it hears. */
async function echo(): Promise<TcpProxy> {
  const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy = await startProxy((server.address() as AddressInfo).port)
  onTestFinished(async () => {
    await proxy.close()
    server.close()
  })
  return proxy
}

function say(proxy: TcpProxy, words: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = net.connect(proxy.port, '127.0.0.1', () => socket.write(words))
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text
      if (heard === words) socket.end(() => resolve(heard))
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(`cut off after ${heard || 'nothing'}`))
  })
}
