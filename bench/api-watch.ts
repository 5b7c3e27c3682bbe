// Watchers of one resource over TLS: how long after a write's answer begins the last of them has its event, and what an
// open watch costs in memory. Run bundled, as bench/api-cpu.ts says:   node api-watch.mjs [watchers] [writes a second] [seconds] [h2]
// With `h2` a hundred watches share a connection, as those of Go clients do.
// Goals: 1,000 watchers at 100 writes/s: p99 under 50 ms; an open watch under 20 KB. The clients run in a process of their own.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { allKinds } from '#api/kinds/all'
import { createApiServer, loopbackUser } from '#apiserver/create-api-server'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { silentLogger } from '#platform/log'
import { createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { openMemoryStore } from '#storage/memory/memory-store'

const token = 'bench'
const mapsPath = '/api/v1/namespaces/default/configmaps'

interface Told {
  readonly atMs: number
}

async function serveApi(): Promise<void> {
  const nowMs = clock.now()
  const ca = createCa({ commonName: 'bench', days: 1, nowMs })
  const server = issueCertificate({ ca, commonName: 'bench', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
  const api = await createApiServer({
    store: openMemoryStore(),
    kinds: allKinds,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    version: { major: '1', minor: '36', gitVersion: 'bench', gitCommit: '', buildDate: '' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem: createPrivateKeyPem(), issuer: 'https://kubernetes.default.svc' },
    kubeletTls: { ca: ca.certificatePem, cert: server.certificatePem, key: server.privateKeyPem },
    tokenFile: `${token},admin,1,"system:masters"`,
  })
  const tls = { ...server, clientCaPem: ca.certificatePem }
  const listener = await listenApi({ handle: api.handle, tls, host: '127.0.0.1', port: 0, clock })
  await api.untilReady()
  const transport = api.inProcess(loopbackUser)
  let written = 0
  // A message from the parent asks for a write; its answer is the moment the write was committed.
  process.on('message', async () => {
    const body = Buffer.from(JSON.stringify({ metadata: { name: `w-${written++}` }, data: { text: 'x'.repeat(512) } }))
    const answer = await transport.send({ method: 'POST', path: mapsPath, headers: { 'content-type': 'application/json' }, body })
    process.send!({ atMs: performance.timeOrigin + performance.now() } satisfies Told)
    for await (const _ of answer.body);
  })
  process.once('disconnect', () => process.exit())
  process.send!({ port: listener.port })
}

/** Opens one watch; `onEvent` is called for each line. */
function openWatch(port: number, onEvent: () => void): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () =>
      socket.write(`GET ${mapsPath}?watch=1 HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n\r\n`),
    )
    whenOpen(socket, onEvent, resolve, reject)
  })
}

function whenOpen(stream: Duplex, onEvent: () => void, resolve: (stream: Duplex) => void, reject: (error: Error) => void): void {
  stream.on('error', reject)
  stream.once('data', () => resolve(stream))
  stream.on('data', (chunk: Buffer) => {
    if (chunk.includes('"type":"ADDED"')) onEvent()
  })
}

const streamsEach = 100
const sessions: ClientHttp2Session[] = []
let streams = 0

/** Opens one watch as a stream of HTTP/2. */
function openStream(port: number, onEvent: () => void): Promise<Duplex> {
  if (streams++ % streamsEach === 0) sessions.push(connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }))
  return new Promise((resolve, reject) => {
    const stream = sessions.at(-1)!.request({ ':path': `${mapsPath}?watch=1`, authorization: `Bearer ${token}` })
    stream.once('response', () => resolve(stream))
    whenOpen(stream, onEvent, resolve, reject)
  })
}

function residentKb(pid: number): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
}

async function compare(watchers: number, perSecond: number, seconds: number, open: typeof openWatch): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['api'])
  const { port } = await new Promise<{ port: number }>((resolve) => child.once('message', (told) => resolve(told as { port: number })))
  const before = residentKb(child.pid!)
  let seen = 0
  let last = (): void => undefined
  const sockets: Duplex[] = []
  for (let i = 0; i < watchers; i++) {
    sockets.push(
      await open(port, () => {
        if (++seen === watchers) last()
      }),
    )
  }
  await clock.sleep(1_000)
  const each = (residentKb(child.pid!) - before) / watchers
  const delays: number[] = []
  const begin = clock.monotonic()
  for (let i = 0; i < perSecond * seconds; i++) {
    seen = 0
    const told = new Promise<Told>((resolve) => child.once('message', (message) => resolve(message as Told)))
    const reached = new Promise<number>((resolve) => {
      last = () => resolve(performance.timeOrigin + performance.now())
    })
    child.send('write')
    const [{ atMs }, atLastMs] = await Promise.all([told, reached])
    delays.push(Math.max(0, atLastMs - atMs))
    const due = begin + ((i + 1) * 1_000) / perSecond
    if (clock.monotonic() < due) await clock.sleep(due - clock.monotonic())
  }
  delays.sort((a, b) => a - b)
  const at = (part: number): string => `${delays[Math.min(delays.length - 1, Math.floor(part * delays.length))]!.toFixed(1)} ms`
  const rate = delays.length / ((clock.monotonic() - begin) / 1_000)
  console.log(
    `${watchers} watchers, ${rate.toFixed(0)} writes/s: last watcher's event p50 ${at(0.5)}, p99 ${at(0.99)}; ${each.toFixed(1)} KB a watch`,
  )
  for (const socket of sockets) socket.destroy()
  for (const session of sessions) session.destroy()
  child.disconnect()
}

const [first, second, third, protocol] = process.argv.slice(2)
if (first === 'api') await serveApi()
else await compare(Number(first ?? 1_000), Number(second ?? 100), Number(third ?? 5), protocol === 'h2' ? openStream : openWatch)
