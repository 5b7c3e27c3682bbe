// Watches over WebSocket, by a real client over TLS.
import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ApiError } from '#api/errors'
import { ConfigMap } from '#api/kinds/core/config-map'
import { systemClock } from '#base/clock'
import { createCa, issueCertificate } from '#platform/x509'
import { admin, openTestCore, type TestCore } from '../api-core.testing.ts'
import { parseRequestInfo } from '../pipeline/request-info.ts'
import { type ApiListener, listenApi } from '../server/listen.ts'
import { statusReply } from '../server/reply.ts'

const path = '/api/v1/namespaces/default/configmaps'
const nowMs = systemClock.now()
const ca = createCa({ commonName: 'test', days: 1, nowMs })
let api: TestCore
let listener: ApiListener
const opened: WebSocket[] = []

beforeEach(async () => {
  api = await openTestCore()
  listener = await listenApi({
    handle: async (request) => {
      request.info = parseRequestInfo(request.method, request.path, request.query)
      request.user = admin
      try {
        return await api.core.dispatch(request)
      } catch (error) {
        if (error instanceof ApiError) return statusReply(error)
        throw error
      }
    },
    tls: {
      ...issueCertificate({ ca, commonName: 'api', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs }),
      clientCaPem: ca.certificatePem,
    },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
  })
})

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.terminate()
  await listener.close(100)
  await api.close()
})

interface Heard {
  readonly socket: WebSocket
  readonly messages: { readonly bytes: Buffer; readonly binary: boolean }[]
}

function dial(query: string, options: { headers?: Record<string, string>; protocols?: string[] } = {}): Heard {
  const url = `wss://127.0.0.1:${listener.port}${path}?${query}`
  const socket = new WebSocket(url, options.protocols ?? [], { ca: ca.certificatePem, headers: options.headers ?? {} })
  const messages: Heard['messages'] = []
  socket.on('message', (bytes: Buffer, binary) => messages.push({ bytes, binary }))
  opened.push(socket)
  return { socket, messages }
}

async function create(name: string): Promise<void> {
  await api.ok('POST', path, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } })
}

test('each event is a message of text, and the end of the watch closes the connection', async () => {
  const { socket, messages } = dial('watch=true')
  await once(socket, 'open')
  await create('one')
  await api.ok('DELETE', `${path}/one`)
  await expect.poll(() => messages.length).toBe(2)
  expect(messages.map(({ bytes, binary }) => [JSON.parse(bytes.toString()).type, binary])).toEqual([
    ['ADDED', false],
    ['DELETED', false],
  ])
  const closed = once(socket, 'close')
  await api.core.close()
  expect((await closed)[0]).toBe(1_000)
})

test('in protobuf each event is a message of bytes, without the length that stands before it elsewhere', async () => {
  const { socket, messages } = dial('watch=true', { headers: { accept: 'application/vnd.kubernetes.protobuf;stream=watch' } })
  await once(socket, 'open')
  await create('one')
  await expect.poll(() => messages.length).toBe(1)
  const { bytes, binary } = messages[0]!
  // The first field of meta/v1 WatchEvent is its type.
  expect([binary, bytes.subarray(0, 7).toString('latin1')]).toEqual([true, '\n\u0005ADDED'])
})

test('the time that the client names ends it', async () => {
  const { socket } = dial('watch=true&timeoutSeconds=5')
  await once(socket, 'open')
  const closed = once(socket, 'close')
  await api.clock.advance(5_000)
  expect((await closed)[0]).toBe(1_000)
})

test('a client that closes, or goes, ends its watch', async () => {
  const { cache } = api.core.registries.of(ConfigMap)
  const { socket } = dial('watch=true')
  const other = dial('watch=true')
  await Promise.all([once(socket, 'open'), once(other.socket, 'open')])
  await expect.poll(() => cache.watcherCount).toBe(2)
  socket.send('is ignored')
  socket.close()
  await expect.poll(() => cache.watcherCount).toBe(1)
  other.socket.terminate()
  await expect.poll(() => cache.watcherCount).toBe(0)
})

test('a single protocol that the client asks for is confirmed; a token that is passed as one is none', async () => {
  const { socket } = dial('watch=true', { protocols: ['base64url.bearer.authorization.k8s.io.c2VjcmV0', 'v1.watch'] })
  await once(socket, 'open')
  expect(socket.protocol).toBe('v1.watch')
})

test('what cannot be watched is refused before the connection is taken over', async () => {
  const { socket } = dial('watch=true&labelSelector=)')
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
  expect(response.statusCode).toBe(400)
  socket.on('error', () => undefined)
})
