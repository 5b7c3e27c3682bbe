import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { openChannels } from './websocket-channels.ts'

test('messages go out one by one, each once the one before is on the wire, and the end comes last', async () => {
  const log: string[] = []
  const written: (() => void)[] = []
  const socket = Object.assign(new EventEmitter(), {
    send: (message: Buffer, done: () => void) => {
      log.push(`${message[0]}:${message.subarray(1)}`)
      written.push(done)
    },
    close: (code: number) => log.push(`close ${code}`),
  })
  const channels = openChannels(socket as unknown as WebSocket, 'v4.channel.k8s.io')
  const settle = () => new Promise(setImmediate)
  const first = channels.send(0, Buffer.from('a'))
  const second = channels.send(3, Buffer.from('b'))
  channels.close()
  await settle()
  expect(log).toEqual(['0:a'])
  written.shift()?.()
  await first
  await settle()
  expect(log).toEqual(['0:a', '3:b'])
  written.shift()?.()
  await second
  await settle()
  expect(log).toEqual(['0:a', '3:b', 'close 1000'])
})
