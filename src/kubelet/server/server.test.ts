import { request } from 'node:https'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWebSocketStream, WebSocket } from 'ws'
import { TokenReview } from '#api/kinds/authentication/token-review'
import { SubjectAccessReview } from '#api/kinds/authorization/subject-access-review'
import { Pod } from '#api/kinds/core/pod'
import { systemClock } from '#base/clock'
import { type CertifiedKey, createCa, issueCertificate } from '#platform/x509'
import { behaviourCommand, startAgent, type TestAgent } from '../test-support/agent.ts'
import { testContainer, testPod } from '../test-support/pods.ts'
import { SpdyTestClient } from './spdy-client.testing.ts'

const nowMs = systemClock.now()
const ca = createCa({ commonName: 'test-ca', days: 1, nowMs })
const otherCa = createCa({ commonName: 'other-ca', days: 1, nowMs })
const serving = issueCertificate({ ca, commonName: 'node-1', usages: ['server'], ips: ['127.0.0.1'], days: 1, nowMs })
const clientOf = (name: string, authority = ca) =>
  issueCertificate({ ca: authority, commonName: name, organizations: ['team'], usages: ['client'], days: 1, nowMs })
const admin = clientOf('admin')
const nobody = clientOf('nobody')
const foreign = clientOf('admin', otherCa)

let agent: TestAgent
let port: number

beforeEach(async () => {
  agent = await startAgent({
    tls: { cert: serving.certificatePem, key: serving.privateKeyPem, clientCa: ca.certificatePem },
    onListening: (p) => {
      port = p
    },
    withServer: true,
  })
  agent.api.answer(SubjectAccessReview, (review) => ({ ...review, status: { allowed: review.spec.user === 'admin' } }))
  agent.api.answer(TokenReview, (review) => ({
    ...review,
    status:
      review.spec.token === 'good' ? { authenticated: true, user: { username: 'admin', groups: [] } } : { authenticated: false, user: {} },
  }))
})

afterEach(async () => {
  await agent.close()
})

interface Asked {
  readonly code: number
  readonly text: string
}

function ask(path: string, options: { cert?: CertifiedKey; token?: string; method?: string; upgrade?: boolean } = {}): Promise<Asked> {
  const headers: Record<string, string> = {
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...(options.upgrade
      ? { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' }
      : {}),
  }
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers,
        ca: ca.certificatePem,
        agent: false,
        ...(options.cert === undefined ? {} : { cert: options.cert.certificatePem, key: options.cert.privateKeyPem }),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
      },
    )
    sent.on('upgrade', (_response, socket) => {
      socket.destroy()
      resolve({ code: 101, text: '' })
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function asked<T>(work: Promise<T>): Promise<T> {
  let result: { value: T } | undefined
  let failure: unknown
  work.then(
    (value) => {
      result = { value }
    },
    (error) => {
      failure = error
    },
  )
  await agent.untilReal('an answer', () => result !== undefined || failure !== undefined)
  if (result === undefined) throw failure
  return result.value
}

const everyPath = [
  '/',
  '/healthz',
  '/pods',
  '/runningpods/',
  '/configz',
  '/stats/summary',
  '/metrics',
  '/metrics/resource',
  '/metrics/cadvisor',
  '/metrics/probes',
  '/containerLogs/default/web/app',
  '/exec/default/web/app?command=true&output=1',
  '/attach/default/web/app?output=1',
  '/run/default/web/app?cmd=true',
  '/portForward/default/web?port=80',
  '/logs/',
  '/no/such/path',
]

async function runWeb(command = behaviourCommand({ do: 'run', stdout: 'hello\n' })): Promise<void> {
  agent.api.put(Pod, testPod({ containers: [testContainer('app', { command })] }))
  await agent.until('the pod runs', () => agent.api.get(Pod, 'default', 'web')?.status.phase === 'Running')
}

describe('MUSTHOLD 16: the agent’s port', () => {
  test.each(everyPath)('%s is 401 for the anonymous, also as an upgrade', async (path) => {
    expect(await asked(ask(path))).toMatchObject({ code: 401, text: 'Unauthorized' })
    expect(await asked(ask(path, { method: 'POST' }))).toMatchObject({ code: 401 })
    expect(await asked(ask(path, { upgrade: true }))).toMatchObject({ code: 401 })
    expect(await asked(ask(path, { token: 'bad' }))).toMatchObject({ code: 401 })
    expect(await asked(ask(path, { cert: foreign }))).toMatchObject({ code: 401 })
  })

  test.each(everyPath)('%s is 403 for who may not', async (path) => {
    expect(await asked(ask(path, { cert: nobody }))).toMatchObject({ code: 403 })
    expect(await asked(ask(path, { cert: nobody, upgrade: true }))).toMatchObject({ code: 403 })
  })

  test('MUSTHOLD 8: a stream opened by GET is authorized as the action it is', async () => {
    const reviews: string[] = []
    agent.api.answer(SubjectAccessReview, (review) => {
      reviews.push(`${review.spec.resourceAttributes?.verb} nodes/${review.spec.resourceAttributes?.subresource}`)
      return { ...review, status: { allowed: false } }
    })
    expect(await asked(ask('/exec/default/web/app?command=true&output=1', { cert: admin, upgrade: true }))).toMatchObject({ code: 403 })
    expect(reviews).toEqual(['create nodes/proxy'])
  })

  test('a bearer token that TokenReview knows counts, and is asked about once', async () => {
    expect(await asked(ask('/healthz', { token: 'good' }))).toEqual({ code: 200, text: 'ok' })
    expect(await asked(ask('/healthz', { token: 'good' }))).toEqual({ code: 200, text: 'ok' })
    expect(agent.api.calls.filter((c) => c.startsWith('create tokenreviews'))).toHaveLength(1)
  })
})

describe('what it serves', () => {
  test('pods with their status', async () => {
    await runWeb()
    const { text } = await asked(ask('/pods', { cert: admin }))
    const list = JSON.parse(text)
    expect(list).toMatchObject({ kind: 'PodList', items: [{ metadata: { name: 'web' }, status: { phase: 'Running' } }] })
  })

  test('logs, and why there are none', async () => {
    await runWeb()
    const logs = (query: string) => asked(ask(`/containerLogs/default/web/${query}`, { cert: admin }))
    expect(await logs('app')).toEqual({ code: 200, text: 'hello\n' })
    expect((await logs('app?timestamps=true')).text).toMatch(/^2026-01-01T12:\S+Z hello\n$/)
    expect(await logs('app?previous=true')).toEqual({ code: 400, text: 'previous terminated container "app" in pod "web" not found' })
    expect(await logs('other')).toEqual({ code: 404, text: 'container "other" not found in pod "web"' })
    expect(await asked(ask('/containerLogs/default/none/app', { cert: admin }))).toEqual({ code: 404, text: 'pod does not exist' })
  })

  test('metrics and the summary', async () => {
    await runWeb()
    expect((await asked(ask('/metrics', { cert: admin }))).text).toContain('kubelet_running_pods 1')
    expect((await asked(ask('/metrics/resource', { cert: admin }))).text).toContain('node_cpu_usage_seconds_total')
    const { text } = await asked(ask('/stats/summary', { cert: admin }))
    expect(JSON.parse(text)).toMatchObject({ node: { nodeName: 'node-1' }, pods: [{ podRef: { name: 'web', namespace: 'default' } }] })
  })
})

interface Stream {
  readonly socket: WebSocket
  readonly output: Record<number, string>
  closed: boolean
}

function openStream(path: string, protocol: string): Stream {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocol, {
    ca: ca.certificatePem,
    cert: admin.certificatePem,
    key: admin.privateKeyPem,
  })
  const stream: Stream = { socket, output: {}, closed: false }
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const bytes = isBinary ? data : Buffer.concat([Buffer.from([data[0]! - 0x30]), Buffer.from(data.subarray(1).toString(), 'base64')])
    stream.output[bytes[0]!] = (stream.output[bytes[0]!] ?? '') + bytes.subarray(1).toString('latin1')
  })
  socket.on('close', () => {
    stream.closed = true
  })
  socket.on('error', () => {
    stream.closed = true
  })
  return stream
}

describe('exec over WebSocket', () => {
  const exec = (behaviour: Parameters<typeof behaviourCommand>[0], flags: string): string => {
    const words = behaviourCommand(behaviour).map((word) => `command=${encodeURIComponent(word)}`)
    return `/exec/default/web/app?${words.join('&')}&${flags}`
  }

  test.each(['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io'])(
    '%s: output on its channels, exit code as a Status',
    async (protocol) => {
      await runWeb()
      const stream = openStream(exec({ do: 'exit', code: 3, stdout: 'out\n', stderr: 'err\n' }, 'output=1&error=1'), protocol)
      await agent.untilReal('the stream closes', () => stream.closed)
      expect(stream.output[1]).toBe('out\n')
      expect(stream.output[2]).toBe('err\n')
      expect(JSON.parse(stream.output[3] ?? '')).toMatchObject({
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '3' }] },
      })
    },
  )

  test('v5: closing the input channel ends the process’s input', async () => {
    await runWeb()
    const stream = openStream(exec({ do: 'cat' }, 'input=1&output=1'), 'v5.channel.k8s.io')
    await agent.untilReal('it is open', () => stream.socket.readyState === WebSocket.OPEN)
    stream.socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('to and fro')]))
    stream.socket.send(Buffer.from([255, 0]))
    await agent.untilReal('the stream closes', () => stream.closed)
    expect(stream.output[1]).toBe('to and fro')
    expect(JSON.parse(stream.output[3] ?? '')).toEqual({ metadata: {}, status: 'Success' })
  })

  test('a terminal gets its size', async () => {
    await runWeb()
    const stream = openStream(exec({ do: 'terminal' }, 'input=1&output=1&tty=1'), 'v5.channel.k8s.io')
    await agent.untilReal('it says it is one', () => stream.output[1]?.includes('tty') === true)
    stream.socket.send(Buffer.concat([Buffer.from([4]), Buffer.from('{"Width":132,"Height":43}')]))
    stream.socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('size\n')]))
    await agent.untilReal('it says its size', () => stream.output[1]?.includes('43 132') === true)
    stream.socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('end\n')]))
    await agent.untilReal('the stream closes', () => stream.closed)
  })

  test('a container that is not there is refused before anything is upgraded', async () => {
    await runWeb()
    const refused = await asked(ask('/exec/default/web/other?command=true&output=1', { cert: admin, upgrade: true }))
    expect(refused).toEqual({ code: 404, text: 'container not found ("other")' })
  })
})

describe('port-forward over WebSocket', () => {
  test('bytes go to and from the port, errors have a channel of their own', async () => {
    await runWeb(behaviourCommand({ do: 'echoServer', port: 7 }))
    const stream = openStream('/portForward/default/web?port=7&port=8', 'v4.channel.k8s.io')
    await agent.untilReal('ports are announced', () => stream.output[3] !== undefined)
    expect(stream.output[0]).toBe('\x07\x00')
    stream.socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('echo')]))
    await agent.untilReal('it echoes', () => stream.output[0] === '\x07\x00echo')
    await agent.untilReal('the other port fails', () => (stream.output[3] ?? '').length > 2)
    expect(stream.output[3]).toContain('error forwarding port 8 to pod')
    stream.socket.close()
    await agent.untilReal('the stream closes', () => stream.closed)
  })

  test('what a client sends before the ports are announced is not lost', async () => {
    await runWeb(behaviourCommand({ do: 'echoServer', port: 7 }))
    const stream = openStream('/portForward/default/web?port=7&port=8&port=9', 'v4.channel.k8s.io')
    stream.socket.once('open', () => stream.socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('early')])))
    await agent.untilReal('it echoes', () => stream.output[0] === '\x07\x00early')
    stream.socket.close()
    await agent.untilReal('the stream closes', () => stream.closed)
  })
})

/** Upgrades to SPDY; the client speaks on the connection. */
function openSpdy(path: string, protocol: string): Promise<SpdyTestClient> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol },
      ca: ca.certificatePem,
      cert: admin.certificatePem,
      key: admin.privateKeyPem,
      agent: false,
    })
    sent.on('upgrade', (response, socket) => {
      expect(response.headers['x-stream-protocol-version']).toBe(protocol)
      resolve(new SpdyTestClient(socket))
    })
    sent.on('response', (response) => reject(new Error(`answered ${response.statusCode}`)))
    sent.on('error', reject)
    sent.end()
  })
}

/** A WebSocket whose protocol name `ws` refuses to offer: the handshake by hand, the frames by `ws`. */
function openTunnel(path: string, protocol: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': protocol,
    }
    const tls = { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem, agent: false as const }
    const sent = request({ host: '127.0.0.1', port, path, headers, ...tls })
    sent.on('upgrade', (response, socket, head) => {
      expect(response.headers['sec-websocket-protocol']).toBe(protocol)
      const tunnel = new WebSocket(null as never, undefined, {}) as WebSocket & { setSocket(...args: unknown[]): void }
      // Made without an address it takes itself for the server's side, which masks nothing.
      Object.assign(tunnel, { _isServer: false })
      tunnel.setSocket(socket, head, { maxPayload: 1 << 20, skipUTF8Validation: true })
      resolve(tunnel)
    })
    sent.on('response', (response) => reject(new Error(`answered ${response.statusCode}`)))
    sent.on('error', reject)
    sent.end()
  })
}

describe('SPDY/3.1', () => {
  test('exec: one stream each, the status on the error stream', async () => {
    await runWeb()
    const words = behaviourCommand({ do: 'cat' }).map((word) => `command=${encodeURIComponent(word)}`)
    const client = await asked(openSpdy(`/exec/default/web/app?${words.join('&')}&input=1&output=1`, 'v4.channel.k8s.io'))
    await client.open(1, { streamtype: 'error' })
    await client.open(3, { streamtype: 'stdin' })
    await client.open(5, { streamtype: 'stdout' })
    client.send(3, 'there and back', true)
    await agent.untilReal('the status comes', () => client.ended.has(1))
    expect(client.received.get(5)).toBe('there and back')
    expect(JSON.parse(client.received.get(1) ?? '')).toEqual({ metadata: {}, status: 'Success' })
  })

  test('port-forward: a pair of streams for each connection', async () => {
    await runWeb(behaviourCommand({ do: 'echoServer', port: 7 }))
    const client = await asked(openSpdy('/portForward/default/web', 'portforward.k8s.io'))
    await client.open(1, { streamtype: 'error', port: '7', requestid: '0' })
    await client.open(3, { streamtype: 'data', port: '7', requestid: '0' })
    await client.open(5, { streamtype: 'error', port: '9', requestid: '1' })
    await client.open(7, { streamtype: 'data', port: '9', requestid: '1' })
    client.send(3, 'echo', true)
    await agent.untilReal('it echoes and ends', () => client.received.get(3) === 'echo' && client.ended.has(3))
    await agent.untilReal('the other port fails', () => client.ended.has(5))
    expect(client.received.get(5)).toContain('an error occurred forwarding port 9 inside the pod')
  })

  test('port-forward tunnelled through a WebSocket', async () => {
    await runWeb(behaviourCommand({ do: 'echoServer', port: 7 }))
    const socket = await asked(openTunnel('/portForward/default/web', 'SPDY/3.1+portforward.k8s.io'))
    const client = new SpdyTestClient(createWebSocketStream(socket))
    await client.open(1, { streamtype: 'error', port: '7', requestid: '0' })
    await client.open(3, { streamtype: 'data', port: '7', requestid: '0' })
    client.send(3, 'echo')
    await agent.untilReal('it echoes', () => client.received.get(3) === 'echo')
    socket.close()
  })
})
