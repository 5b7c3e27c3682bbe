// Log, exec, attach, port-forward and proxy against a kubelet and a pod made of plain servers: what passes, and what never may.
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { badRequest } from '#api/errors'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { systemClock } from '#base/clock'
import { type CertifiedKey, createCa, issueCertificate } from '#platform/x509'
import type { Authorizer } from '../authz/authorizer.ts'
import { fakeReader } from '../fake-reader.testing.ts'
import { answerPanics } from '../pipeline/answer-panics.ts'
import { readRequestInfo } from '../pipeline/request-info.ts'
import { runStages } from '../pipeline/run-stages.ts'
import { type ApiListener, listenApi } from '../server/listen.ts'
import type { RawHandler } from '../subresources/subresource.ts'
import { createAddressGuard } from './address-guard.ts'
import { streamingHandlers } from './all.ts'

const nowMs = systemClock.now()
let ca: CertifiedKey
let apiServer: CertifiedKey
let kubeletClient: CertifiedKey
let kubelet: CertifiedKey
beforeAll(() => {
  ca = createCa({ commonName: 'cluster', days: 1, nowMs })
  const common = { ca, days: 1, nowMs }
  apiServer = issueCertificate({ ...common, commonName: 'kube-apiserver', ips: ['127.0.0.1'], usages: ['server'] })
  kubeletClient = issueCertificate({ ...common, commonName: 'apiserver-kubelet-client', usages: ['client'] })
  kubelet = issueCertificate({ ...common, commonName: 'system:node:n1', ips: ['127.0.0.1'], usages: ['server'] })
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  client: string | undefined
}

interface Backend {
  port: number
  seen: Seen[]
  sockets: Set<Socket>
}

type Answer = (message: IncomingMessage, socket: Duplex) => void

/** A server that notes what it is asked; `onUpgrade` answers upgrades on the raw socket, `status` and `headers` all else. */
async function backend(options: {
  certified?: CertifiedKey
  onUpgrade?: Answer
  status?: number
  headers?: Record<string, string>
  body?: string
}): Promise<Backend> {
  const seen: Seen[] = []
  const note = (message: IncomingMessage): void => {
    const socket = message.socket as unknown as { getPeerCertificate?: () => { subject?: { CN?: string } } }
    seen.push({ method: message.method!, url: message.url!, headers: message.headers, client: socket.getPeerCertificate?.().subject?.CN })
  }
  const { certified } = options
  const server: Server =
    certified === undefined
      ? createHttpServer()
      : (createHttpsServer({
          cert: certified.certificatePem,
          key: certified.privateKeyPem,
          ca: ca.certificatePem,
          requestCert: true,
        }) as unknown as Server)
  server.on('request', (message, response) => {
    note(message)
    response.writeHead(options.status ?? 200, options.headers)
    response.end(options.body ?? 'hello')
  })
  const { onUpgrade } = options
  if (onUpgrade !== undefined) {
    server.on('upgrade', (message, socket) => {
      note(message)
      socket.on('error', () => undefined)
      onUpgrade(message, socket)
    })
  }
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(resolve)
      }),
  )
  return { port: (server.address() as AddressInfo).port, seen, sockets }
}

const switching =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n'
const mayAll: Authorizer = { name: 'all', authorize: () => ({ verdict: 'allow', reason: '' }) }
const mayRead: Authorizer = {
  name: 'read',
  authorize: ({ verb }) => ({ verdict: verb === 'get' ? 'allow' : 'none', reason: '' }),
}

/** An API server that streams, before the node n1 with its pod web. */
async function apiBefore(kubeletPort: number, { authorizer = mayAll, podPort = 80 } = {}): Promise<ApiListener> {
  const reader = fakeReader()
  reader.put(Node, {
    metadata: { name: 'n1' },
    status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } },
  })
  reader.put(Pod, {
    metadata: { namespace: 'a', name: 'web' },
    spec: { nodeName: 'n1', containers: [{ name: 'app', ports: [{ containerPort: podPort }] }] },
    status: { phase: 'Running', podIP: '127.0.0.1' },
  })
  reader.put(Pod, {
    metadata: { namespace: 'a', name: 'pending', annotations: { 'kubectl.kubernetes.io/default-container': 'two' } },
    spec: {
      initContainers: [{ name: 'init' }],
      containers: [{ name: 'one' }, { name: 'two' }],
      ephemeralContainers: [{ name: 'debugger' }],
    },
    status: { phase: 'Pending' },
  })
  reader.put(Service, { metadata: { namespace: 'a', name: 'svc' }, spec: { ports: [{ name: 'http', port: 80 }] } })
  reader.put(EndpointSlice, {
    metadata: { namespace: 'a', name: 'svc-1', labels: { 'kubernetes.io/service-name': 'svc' } },
    ports: [{ name: 'http', port: podPort }],
    endpoints: [{ addresses: ['127.0.0.1'] }],
  })
  const handlers = streamingHandlers({
    reader,
    random: () => 0,
    clock: systemClock,
    kubeletTls: { ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem },
    own: { address: '127.0.0.1', port: 1, serviceCidrs: ['10.96.0.0/16'] },
    authorizer,
  }) as readonly RawHandler[]
  const handle = runStages([answerPanics({ onFault: (_, error) => console.error(error) }), readRequestInfo], (request) => {
    request.user = { name: 'jane', groups: [] }
    const handler = handlers.find(
      ({ resource, subresource }) => resource === request.info.resource && subresource === request.info.subresource,
    )
    if (handler === undefined) throw badRequest('no handler')
    return handler.handle(request)
  })
  const listener = await listenApi({
    handle,
    tls: { ...apiServer, clientCaPem: ca.certificatePem },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
  })
  closing.push(() => listener.close(50))
  return listener
}

function get(port: number, path: string, headers: Record<string, string> = {}, method = 'GET', body?: string) {
  return new Promise<{ status: number; headers: IncomingMessage['headers']; body: string }>((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, path, headers, method, ca: ca.certificatePem, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Sends an upgrade; resolves with all that came until the server closed. `say` is sent once something came. */
function upgrade(
  port: number,
  path: string,
  { method = 'POST', say = '', protocol = 'SPDY/3.1', headers = '', pieces = [] as string[] } = {},
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: ca.certificatePem, ALPNProtocols: ['http/1.1'] }, () => {
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${headers}\r\n`)
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      pieces.push(chunk.toString('latin1'))
    })
    // Noted first: to write makes what has come meanwhile be told at once.
    socket.once('data', () => socket.write(say))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}

const exec = '/api/v1/namespaces/a/pods/web/exec?command=sh&command=-c&stdin=true'

describe('log', () => {
  test('is the kubelet’s answer, asked for with what the client asked', async () => {
    const node = await backend({ certified: kubelet, body: 'line 1\nline 2\n' })
    const api = await apiBefore(node.port)
    const answer = await get(api.port, '/api/v1/namespaces/a/pods/web/log?follow=true&tailLines=5&evil=1')
    expect([answer.status, answer.body]).toEqual([200, 'line 1\nline 2\n'])
    expect(node.seen).toMatchObject([{ url: '/containerLogs/a/web/app?follow=true&tailLines=5', client: 'apiserver-kubelet-client' }])
  })

  test('has its switches off by “False” and on by anything else, as generated clients spell them', async () => {
    const node = await backend({ certified: kubelet })
    const api = await apiBefore(node.port)
    await get(api.port, '/api/v1/namespaces/a/pods/web/log?follow=False&previous=0&timestamps=True')
    expect(node.seen).toMatchObject([{ url: '/containerLogs/a/web/app?timestamps=true' }])
  })

  test('MUSTHOLD 13: credentials and claims of the client go no further', async () => {
    const node = await backend({ certified: kubelet })
    const api = await apiBefore(node.port)
    await get(api.port, '/api/v1/namespaces/a/pods/web/log', {
      authorization: 'Bearer secret',
      'impersonate-user': 'x',
      'x-remote-user': 'y',
      'x-remote-extra-z': 'z',
      accept: 'text/plain',
    })
    const [{ headers }] = node.seen as [Seen]
    expect(headers).toMatchObject({ accept: 'text/plain', 'x-forwarded-for': '127.0.0.1' })
    expect(Object.keys(headers).filter((name) => /authorization|impersonate|x-remote/.test(name))).toEqual([])
  })

  test('why there is no log is told as the Status of a bad request, in the kubelet’s words', async () => {
    const node = await backend({ certified: kubelet, status: 400, body: 'previous terminated container "web" in pod "web" not found' })
    const answer = await get((await apiBefore(node.port)).port, '/api/v1/namespaces/a/pods/web/log?previous=true')
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({
      reason: 'BadRequest',
      message: 'previous terminated container "web" in pod "web" not found',
    })
  })

  test('a pod that stands on no node yet has an empty one', async () => {
    const answer = await get((await apiBefore(1)).port, '/api/v1/namespaces/a/pods/pending/log?container=one')
    expect([answer.status, answer.body]).toEqual([204, ''])
  })

  test.each([
    ['web', 'tailLines=-1', 422, 'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['web', 'limitBytes=0', 422, 'PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0'],
    ['web', 'sinceSeconds=0', 422, 'PodLogOptions "web" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'],
    [
      'web',
      'sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z',
      422,
      'PodLogOptions "web" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    ],
    ['web', 'stream=Stderr', 422, 'PodLogOptions "web" is invalid: stream: Forbidden: may not be specified'],
    ['nobody', 'tailLines=-1', 422, 'PodLogOptions "nobody" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['web', 'tailLines=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['web', 'sinceTime=x', 400, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'],
    ['web', 'container=nope', 400, 'container nope is not valid for pod web'],
    ['pending', '', 400, 'a container name must be specified for pod pending, choose one of: [init one two debugger]'],
    ['nobody', '', 404, 'pods "nobody" not found'],
  ])('of %s with %s is refused in Kubernetes’ words', async (name, query, status, message) => {
    const answer = await get((await apiBefore(1)).port, `/api/v1/namespaces/a/pods/${name}/log?${query}`)
    expect([answer.status, JSON.parse(answer.body).message]).toEqual([status, message])
  })

  test('MUSTHOLD 2: a redirect of a kubelet is an error, neither followed nor passed on', async () => {
    const elsewhere = await backend({})
    const node = await backend({ certified: kubelet, status: 302, headers: { location: `http://127.0.0.1:${elsewhere.port}/` } })
    const api = await apiBefore(node.port)
    const answer = await get(api.port, '/api/v1/namespaces/a/pods/web/log')
    expect([answer.status, answer.headers.location]).toEqual([500, undefined])
    expect(elsewhere.seen).toEqual([])
  })

  test('MUSTHOLD 4: a kubelet that another authority vouches for is not believed', async () => {
    const other = createCa({ commonName: 'cluster', days: 1, nowMs })
    const impostor = issueCertificate({ ca: other, commonName: 'system:node:n1', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
    const node = await backend({ certified: impostor })
    const answer = await get((await apiBefore(node.port)).port, '/api/v1/namespaces/a/pods/web/log')
    expect(answer.status).toBe(500)
    expect(node.seen).toEqual([])
  })

  test('MUSTHOLD 4: another node, or another server of the cluster, is not taken for this node’s kubelet', async () => {
    const neighbour = issueCertificate({ ca, commonName: 'system:node:n2', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
    for (const certified of [neighbour, apiServer]) {
      const node = await backend({ certified })
      const answer = await get((await apiBefore(node.port)).port, '/api/v1/namespaces/a/pods/web/log')
      expect([answer.status, answer.body]).toEqual([500, expect.stringContaining('not \\"system:node:n1\\"')])
      expect(node.seen).toEqual([])
    }
  })
})

describe('exec', () => {
  test('joins the client to the kubelet after 101, to the last byte', async () => {
    const node = await backend({
      certified: kubelet,
      onUpgrade: (_message, socket) => {
        socket.write(`${switching}ready `)
        socket.once('data', (chunk) => socket.end(`got ${chunk} ${'x'.repeat(200_000)} exit 0`))
      },
    })
    const api = await apiBefore(node.port)
    const text = await upgrade(api.port, exec, { say: 'input' })
    expect(text.startsWith(switching)).toBe(true)
    expect(text).toMatch(/ready got input x{200000} exit 0$/)
    expect(node.seen[0]).toMatchObject({ method: 'POST', url: '/exec/a/web/app?input=1&command=sh&command=-c' })
    expect(node.seen[0]?.headers).toMatchObject({ connection: 'Upgrade', upgrade: 'SPDY/3.1' })
  })

  test('what the kubelet sends in pieces arrives in these pieces: a client may wait for the next one on the socket', async () => {
    const sent = Array.from({ length: 50 }, (_, i) => `<${i}>`)
    const onUpgrade: Answer = (_, socket) => {
      const send = ([piece, ...rest]: string[]): void => {
        if (piece === undefined) socket.end()
        else socket.write(piece, () => send(rest))
      }
      send([switching, ...sent])
    }
    const node = await backend({ certified: kubelet, onUpgrade })
    const api = await apiBefore(node.port)
    const pieces: string[] = []
    await upgrade(api.port, exec, { pieces })
    expect(pieces.slice(1)).toEqual(sent)
  })

  test('MUSTHOLD 1: after a failed upgrade nothing is left that the client could go on using', async () => {
    const node = await backend({ certified: kubelet, status: 403, body: 'Forbidden' })
    const api = await apiBefore(node.port)
    const text = await upgrade(api.port, exec, { say: 'GET /pods HTTP/1.1\r\nHost: x\r\n\r\n' })
    expect(text).toMatch(/^HTTP\/1.1 403 /)
    expect(text.match(/HTTP\/1.1/g)).toHaveLength(1)
    expect(node.seen).toHaveLength(1)
    await expect.poll(() => node.sockets.size).toBe(0)
  })

  test.each([
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['302', 'HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'],
  ])('MUSTHOLD 2: an answer of %s to an upgrade is an error', async (_, raw) => {
    const node = await backend({ certified: kubelet, onUpgrade: (_message, socket) => void socket.end(raw) })
    const api = await apiBefore(node.port)
    const text = await upgrade(api.port, exec)
    expect(text).toMatch(/^HTTP\/1.1 500 /)
    expect(text.toLowerCase()).not.toContain('location:')
    await expect.poll(() => node.sockets.size).toBe(0)
  })

  test('MUSTHOLD 8: who may only read may not run commands through a WebSocket’s GET', async () => {
    const node = await backend({ certified: kubelet, onUpgrade: (_message, socket) => void socket.end(switching) })
    const api = await apiBefore(node.port, { authorizer: mayRead })
    for (const path of [exec, '/api/v1/namespaces/a/pods/web/attach', '/api/v1/namespaces/a/pods/web/portforward?ports=80']) {
      const text = await upgrade(api.port, path, { method: 'GET', protocol: 'websocket' })
      expect(text).toContain('HTTP/1.1 403 Forbidden')
      expect(text).toContain(`User \\"jane\\" cannot create resource \\"pods/${path.split('/').at(-1)!.split('?')[0]}\\"`)
    }
    const text = await upgrade(api.port, '/api/v1/nodes/n1/proxy/exec/a/web/app?command=sh', { method: 'GET', protocol: 'websocket' })
    expect(text).toContain('cannot create resource \\"nodes/proxy\\"')
    expect(node.seen).toEqual([])
  })

  test('the token among a WebSocket’s protocols stays here', async () => {
    const node = await backend({ certified: kubelet, onUpgrade: (_message, socket) => void socket.end(switching) })
    const api = await apiBefore(node.port)
    const headers = 'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io\r\n'
    await upgrade(api.port, exec, { method: 'GET', protocol: 'websocket', headers })
    expect(node.seen[0]?.headers['sec-websocket-protocol']).toBe('v5.channel.k8s.io')
  })

  test.each([
    ['pending/exec?container=nope&command=sh', 'container nope is not valid for pod pending'],
    ['pending/attach', 'a container name must be specified for pod pending, choose one of: [init one two debugger]'],
    ['pending/exec?container=one&command=sh', 'pod pending does not have a host assigned'],
    ['pending/portforward?ports=80', 'pod pending does not have a host assigned'],
  ])('%s says what is wrong, the container first', async (path, message) => {
    const text = await upgrade((await apiBefore(1)).port, `/api/v1/namespaces/a/pods/${path}`)
    expect(text).toContain(`"message":"${message}"`)
  })

  test('kubelets are told of streams and ports in their own words', async () => {
    const node = await backend({ certified: kubelet, onUpgrade: (_message, socket) => void socket.end(switching) })
    const api = await apiBefore(node.port)
    await upgrade(api.port, '/api/v1/namespaces/a/pods/web/attach?stdout=1&stderr=true&tty=false')
    await upgrade(api.port, '/api/v1/namespaces/a/pods/web/portforward?ports=80&ports=81,82')
    expect(node.seen.map(({ url }) => url)).toEqual(['/attach/a/web/app?output=1&error=1', '/portForward/a/web?port=80%2C81%2C82'])
  })

  test('without an upgrade there is nothing to stream', async () => {
    const api = await apiBefore(1)
    expect(await get(api.port, exec, {}, 'POST')).toMatchObject({ status: 400, body: expect.stringContaining('Upgrade request required') })
  })

  test('a kubelet that is not there is an error in the words of Kubernetes', async () => {
    const api = await apiBefore(1)
    expect((await get(api.port, '/api/v1/namespaces/a/pods/web/log')).status).toBe(400)
    const gone = await backend({ certified: kubelet })
    const api2 = await apiBefore(gone.port)
    await closing.splice(-2, 1)[0]!()
    const answer = await get(api2.port, '/api/v1/namespaces/a/pods/web/log')
    const refused = `dial tcp 127.0.0.1:${gone.port}: connect: connection refused`
    expect([answer.status, JSON.parse(answer.body).message]).toEqual([
      500,
      expect.stringMatching(new RegExp(`^Get "https://127\\.0\\.0\\.1:${gone.port}/containerLogs/a/web/.*": ${refused}$`)),
    ])
    const upgrading = await get(api2.port, exec, { connection: 'Upgrade', upgrade: 'SPDY/3.1' }, 'POST')
    expect([upgrading.status, JSON.parse(upgrading.body)]).toEqual([
      500,
      { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: `error dialing backend: ${refused}`, code: 500 },
    ])
  })
})

describe('proxy', () => {
  test('passes method, path, query and body as they came', async () => {
    const pod = await backend({ body: 'pod says' })
    const api = await apiBefore(1, { podPort: pod.port })
    const below = '/a%2Fb/c%20d?x=1+2&y=%2F'
    const answer = await get(api.port, `/api/v1/namespaces/a/pods/web/proxy${below}`, { 'content-type': 'text/x' }, 'PUT', 'body')
    expect([answer.status, answer.body]).toEqual([200, 'pod says'])
    expect(pod.seen).toMatchObject([{ method: 'PUT', url: below, headers: { 'content-type': 'text/x' } }])
    await get(api.port, '/api/v1/namespaces/a/services/svc:http/proxy/')
    await get(api.port, `/api/v1/namespaces/a/pods/web:${pod.port}/proxy`)
    expect(pod.seen.slice(1).map(({ url }) => url)).toEqual(['/', '/'])
  })

  test('a redirect of a pod stays below the proxy', async () => {
    const pod = await backend({ status: 302, headers: { location: '/login' } })
    const api = await apiBefore(1, { podPort: pod.port })
    const answer = await get(api.port, '/api/v1/namespaces/a/pods/web/proxy/')
    expect(answer.headers.location).toBe('/api/v1/namespaces/a/pods/web/proxy/login')
  })

  test('MUSTHOLD 5: dots do not climb out of the proxied path', async () => {
    const pod = await backend({})
    const api = await apiBefore(1, { podPort: pod.port })
    for (const rest of ['/..', '/x/%2e%2E/y']) {
      expect((await get(api.port, `/api/v1/namespaces/a/pods/web/proxy${rest}`)).status).toBe(400)
    }
    expect(pod.seen).toEqual([])
  })
})

describe('addresses', () => {
  const guard = createAddressGuard({ address: '192.0.2.1', port: 6443, serviceCidrs: ['10.96.0.0/16', 'fd00:96::/112'] }, () => [
    '192.0.2.1',
    '198.51.100.7',
  ])
  test.each([
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    '169.254.169.254',
    'fe80::1',
    'fd00:ec2::254',
    '224.0.0.1',
    '255.255.255.255',
    'ff02::1',
    '10.96.0.1',
    'fd00:96::1',
  ])('MUSTHOLD 3: %s is never proxied to', (host) => {
    expect(() => guard.check(host, 10_250)).toThrow('address not allowed')
  })

  test('MUSTHOLD 3: this server is never proxied to, by none of its addresses; its machine’s other ports may be', () => {
    expect(() => guard.check('192.0.2.1', 6443)).toThrow('address not allowed')
    expect(() => guard.check('198.51.100.7', 6443)).toThrow('address not allowed')
    expect(() => guard.check('192.0.2.1', 10_250)).not.toThrow()
    expect(() => guard.check('10.244.0.7', 8080)).not.toThrow()
  })

  test('MUSTHOLD 3: names are looked at after they were resolved', async () => {
    const found = await new Promise<Error | null>((resolve) => guard.lookup(80)('localhost', { all: true }, (error) => resolve(error)))
    expect(found?.message).toBe('address not allowed')
  })
})
