import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import { silentLogger } from '#platform/log'
import { deferred } from '../deferred.ts'
import { pullErrorCode } from '../pull-error.ts'
import type { RuntimeEvent } from '../runtime.ts'
import { openDockerClient, parseDockerHost } from './client.ts'
import { watchDockerEvents } from './events.ts'
import { dockerExec } from './exec.ts'
import { openDockerImages, splitReference } from './images.ts'

let dir: string
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
let upgrade: (request: IncomingMessage, socket: Socket) => void
const seen: string[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-docker-'))
  seen.length = 0
  answer = (_request, response) => json(response, 404, { message: 'page not found' })
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    if (request.url === '/version') return json(response, 200, { Version: '20.10.24', ApiVersion: '1.41', MinAPIVersion: '1.12' })
    answer(request, response)
  })
  server.on('upgrade', (request, socket) => {
    seen.push(`${request.method} ${request.url}`)
    upgrade(request, socket as Socket)
  })
  await new Promise<void>((resolve) => server.listen(join(dir, 'sock'), resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(dir, { recursive: true, force: true })
})

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

const client = () => openDockerClient({ host: `unix://${join(dir, 'sock')}`, clock: systemClock })

describe('where Docker listens', () => {
  test.each([
    ['unix:///run/docker.sock', { socketPath: '/run/docker.sock', tls: false }],
    ['tcp://10.0.0.1:2375', { host: '10.0.0.1', port: 2375, tls: false }],
    ['tcp://[::1]', { host: '::1', port: 2375, tls: false }],
    ['https://host', { host: 'host', port: 2376, tls: true }],
  ])('%s', (host, expected) => {
    expect(parseDockerHost(host)).toEqual(expected)
  })
  test.each(['', 'docker.sock', 'ssh://host', 'tcp://'])('%j is refused', (host) => {
    expect(() => parseDockerHost(host)).toThrow('is neither unix:///path nor tcp://host:port')
  })
})

describe('the client', () => {
  test('asks for the version once and speaks the newest both know', async () => {
    answer = (_request, response) => json(response, 200, [])
    const docker = client()
    await docker.call('GET', '/images/json')
    await docker.call('GET', '/images/json', { query: { all: true, absent: undefined } })
    expect(seen).toEqual(['GET /version', 'GET /v1.41/images/json', 'GET /v1.41/images/json?all=true'])
    docker.close()
  })

  test.each([
    ['1.40', '1.12', 'Docker Engine API 1.41 or newer is needed; this engine speaks 1.40'],
    ['1.99', '1.60', 'this Docker engine no longer speaks API 1.51; the oldest it does is 1.60'],
  ])('an engine from %s down to %s is refused', async (ApiVersion, MinAPIVersion, message) => {
    server.removeAllListeners('request')
    server.on('request', (_request, response) => json(response, 200, { Version: 'x', ApiVersion, MinAPIVersion }))
    await expect(client().call('GET', '/_ping')).rejects.toMatchObject({ code: 'invalid', message })
  })

  test('an engine newer than all we know is spoken to in the newest we know', async () => {
    server.removeAllListeners('request')
    server.on('request', (_request, response) => json(response, 200, { Version: 'x', ApiVersion: '1.70', MinAPIVersion: '1.44' }))
    expect(await client().version()).toEqual({ engine: 'x', api: '1.51' })
  })

  test('errors carry the engine’s words and a code of ours', async () => {
    answer = (_request, response) => json(response, 409, { message: 'Conflict. The name is in use' })
    await expect(client().call('POST', '/containers/create')).rejects.toMatchObject({
      code: 'alreadyExists',
      status: 409,
      message: 'Conflict. The name is in use',
    })
    await expect(openDockerClient({ host: `unix://${dir}/none`, clock: systemClock }).call('GET', '/_ping')).rejects.toMatchObject({
      code: 'unavailable',
    })
  })

  test('an engine that does not answer in time is a timeout', async () => {
    const clock = new FakeClock()
    const docker = openDockerClient({ host: `unix://${join(dir, 'sock')}`, clock })
    const reached = deferred<void>()
    answer = () => reached.resolve()
    const call = docker.call('GET', '/info', { timeoutMs: 5_000 })
    call.catch(() => undefined)
    await reached.promise
    await clock.advance(5_000)
    await expect(call).rejects.toMatchObject({ code: 'timeout' })
    docker.close()
  })
})

describe('exec', () => {
  test('a start that failed is told apart from output, and its words are not output', async () => {
    answer = (request, response) =>
      request.url?.endsWith('/json') ? json(response, 200, { Running: false, ExitCode: 126, Pid: 0 }) : json(response, 201, { Id: 'e1' })
    upgrade = (_request, socket) => {
      const text = Buffer.from('OCI runtime exec failed: exec failed: no such file or directory: unknown\r\n')
      const head = Buffer.alloc(8)
      head[0] = 1
      head.writeUInt32BE(text.length, 4)
      socket.write(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      )
      socket.end(Buffer.concat([head, text]))
    }
    const streams = await dockerExec(client(), 'c1', { command: ['x'], stdin: false, stdout: true, stderr: true, tty: false }, systemClock)
    streams.io.resume()
    await expect(streams.exit).rejects.toMatchObject({ code: 'startFailed', message: expect.stringContaining('no such file or directory') })
  })

  test('the same words from a command that ended well are output', async () => {
    answer = (request, response) =>
      request.url?.endsWith('/json') ? json(response, 200, { Running: false, ExitCode: 0, Pid: 0 }) : json(response, 201, { Id: 'e1' })
    upgrade = (_request, socket) => {
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      socket.end('OCI runtime exec failed, he said')
    }
    const streams = await dockerExec(client(), 'c1', { command: ['x'], stdin: false, stdout: true, stderr: false, tty: true }, systemClock)
    const chunks: Buffer[] = []
    for await (const chunk of streams.io) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('OCI runtime exec failed, he said')
    expect(await streams.exit).toBe(0)
  })
})

describe('images', () => {
  test.each([
    ['web', 'web', 'latest'],
    ['web:1', 'web', '1'],
    ['host:5000/team/web', 'host:5000/team/web', 'latest'],
    ['host:5000/team/web:v2', 'host:5000/team/web', 'v2'],
    ['web:1@sha256:abc', 'web', 'sha256:abc'],
  ])('%s is pulled as %s and %s', (image, name, tag) => {
    expect(splitReference(image)).toEqual({ name, tag })
  })

  test.each(['../containers/json', 'a//b', './x'])('%s never becomes a path of the API', async (image) => {
    await expect(openDockerImages(client(), systemClock).status(image)).rejects.toMatchObject({ code: 'invalid' })
    expect(seen).toEqual([])
  })

  test('the credentials go in the header, and a failure inside a good answer is a failure', async () => {
    let auth = ''
    answer = (request, response) => {
      auth = Buffer.from(String(request.headers['x-registry-auth']), 'base64url').toString()
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.write('{"status":"Pulling from web"}\n{"status":"Down')
      response.end('loading"}\n{"error":"manifest for web:1 not found: manifest unknown","errorDetail":{}}\n')
    }
    const pull = openDockerImages(client(), systemClock).pull('web:1', { username: 'u', password: 'p' })
    await expect(pull).rejects.toMatchObject({ code: 'imageNotFound', message: 'manifest for web:1 not found: manifest unknown' })
    expect(JSON.parse(auth)).toEqual({ username: 'u', password: 'p' })
  })

  test.each([
    ['unauthorized: authentication required', 'unauthorized'],
    ['pull access denied for web, repository does not exist', 'unauthorized'],
    ['manifest for web:9 not found: manifest unknown: manifest unknown', 'imageNotFound'],
    ['failed to resolve reference "h/web:9": h/web:9: not found', 'imageNotFound'],
    ['Get "https://h/v2/": dial tcp: lookup h: no such host', 'registryUnavailable'],
    ['Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', 'registryUnavailable'],
    ['no space left on device', 'imagePullFailed'],
  ])('%s: %s', (message, code) => {
    expect(pullErrorCode(message)).toBe(code)
  })
})

test('events are asked for again from the last one when the stream breaks', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const events: RuntimeEvent[] = []
  const twice = deferred<void>()
  const event = (Action: string, id: string, type: string, timeNano: number) =>
    `${JSON.stringify({ Action, timeNano, Actor: { ID: id, Attributes: { 'navarch.dev/type': type, 'io.kubernetes.pod.uid': 'u1' } } })}\n`
  answer = (_request, response) => {
    response.writeHead(200)
    if (seen.filter((s) => s.includes('/events')).length === 1)
      response.end(event('start', 'c1', 'container', 5e9) + event('die', 's1', 'sandbox', 6e9))
    else {
      response.write(event('die', 'c1', 'container', 7e9))
      twice.resolve()
    }
  }
  const watching = watchDockerEvents({ client: client(), cluster: 'c', clock, log: silentLogger }, (e) => events.push(e), stop.signal)
  let done = false
  void twice.promise.then(() => {
    done = true
  })
  while (!done || events.length < 3) {
    await clock.advance(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
  stop.abort()
  await watching
  expect(events).toEqual([
    { type: 'containerStarted', podUid: 'u1', containerId: 'c1' },
    { type: 'sandboxChanged', podUid: 'u1' },
    { type: 'containerExited', podUid: 'u1', containerId: 'c1' },
  ])
  expect(seen.at(-1)).toContain('since=6.000000000')
  expect(clock.pending).toBe(0)
})
