import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { openNetnsDialer } from './netns-dialer.ts'

let server: Server | undefined
afterEach(() => {
  server?.close()
  server = undefined
})

async function listen(host: string): Promise<number> {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.write('hello ')
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server!.listen(0, host, resolve))
  return (server.address() as { port: number }).port
}

describe('dialling', () => {
  test.each([
    ['the node itself', undefined],
    // The process's own namespace by its path: entering it needs no second one, but goes through a helper all the same.
    ['a namespace by its path', `/proc/${process.pid}/ns/net`],
  ])('in %s: bytes both ways, each end by itself', async (_name, netns) => {
    // Entering a namespace is for root; elsewhere only the first case can be had.
    if (netns !== undefined && process.getuid?.() !== 0) return
    const port = await listen('127.0.0.1')
    const dialer = openNetnsDialer(systemClock)
    for (let round = 0; round < 3; round++) {
      const socket = await dialer.dial(netns, port)
      socket.end('and bye')
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk as Buffer)
      expect(Buffer.concat(chunks).toString()).toBe('hello and bye')
    }
    dialer.close()
  })

  test('a server on ::1 alone is found', async () => {
    const port = await listen('::1')
    const dialer = openNetnsDialer(systemClock)
    const socket = await dialer.dial(undefined, port)
    expect(socket.remoteAddress).toBe('::1')
    socket.destroy()
    dialer.close()
  })

  test('where nobody listens, the refusal names both attempts', async () => {
    const port = await listen('127.0.0.1')
    await new Promise((resolve) => server!.close(resolve))
    const dialer = openNetnsDialer(systemClock)
    await expect(dialer.dial(undefined, port)).rejects.toMatchObject({
      code: 'unavailable',
      message: `failed to connect to localhost:${port} inside namespace "host", IPv4: dial tcp4 127.0.0.1:${port}: connect: connection refused IPv6 dial tcp6 [::1]:${port}: connect: connection refused`,
    })
    dialer.close()
  })

  test('a namespace that is not there is an error', async () => {
    const dialer = openNetnsDialer(systemClock)
    await expect(dialer.dial('/proc/self/no-such-namespace', 80)).rejects.toMatchObject({ code: 'notRunning' })
    dialer.close()
  })
})
