// GET of one pod over HTTPS, by a user with rights from RBAC, against a bare `node:https` server that returns as many bytes; with
// `h2` over HTTP/2, which is what Go clients speak, against a bare `node:http2` server. Both are sent the very same requests, token
// included. Prints requests per second and processor time of both, and the ratios (goal: at least 0.6; with `list`, a list of 500
// pods: 0.8). Needs wrk, and h2load of Debian's nghttp2-client for `h2`. Run bundled, as bench/api-cpu.ts says:
//   node api-get.mjs [seconds] [list] [h2]
import { execFileSync, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { ClusterRoleBinding } from '#api/kinds/rbac/cluster-role-binding'
import { loopbackUser } from '#apiserver/create-api-server'
import { listenApi } from '#apiserver/server/listen'
import { systemClock } from '#base/clock'
import { createClient } from '#client/rest-client'
import { openMemoryStore } from '#storage/memory/memory-store'
import { benchKeys, openBenchServer } from './bench-server.ts'
import { samplePod } from './sample-pod.ts'

const listed = process.argv.includes('list')
const http2 = process.argv.includes('h2')
const podsPath = '/api/v1/namespaces/default/pods'
const path = listed ? `${podsPath}?limit=500` : `${podsPath}/web-7d4b9c6f5-x2x9z`
const keys = benchKeys()
const { ca, server } = keys

interface Started {
  readonly port: number
  readonly token: string
}

async function serveApi(): Promise<Started> {
  const api = await openBenchServer(openMemoryStore(), keys)
  const listener = await listenApi({
    handle: api.handle,
    tls: { ...server, clientCaPem: ca.certificatePem },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
  })
  await api.untilReady()
  const client = createClient({ transport: api.inProcess(loopbackUser), userAgent: 'bench' })
  await client.create(ClusterRoleBinding, {
    metadata: { name: 'readers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'default' }],
  })
  const pod = samplePod() as { metadata: Record<string, unknown>; spec: Record<string, unknown> }
  for (const field of ['uid', 'resourceVersion', 'creationTimestamp', 'ownerReferences']) delete pod.metadata[field]
  await client.raw('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
  await client.raw('POST', podsPath, pod)
  for (let i = 1; listed && i < 500; i++) {
    const { name: _, ...metadata } = pod.metadata
    await client.raw('POST', podsPath, { ...pod, metadata })
  }
  const tokenPath = '/api/v1/namespaces/default/serviceaccounts/default/token'
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec: {} }
  const { status } = (await client.raw('POST', tokenPath, request)) as { status: { token: string } }
  return { port: listener.port, token: status.token }
}

async function serveBare(bytes: number): Promise<Started> {
  const body = Buffer.alloc(bytes, 'x')
  return http2 ? serveBareHttp2(body) : serveBareHttp1(body)
}

// As simple and as fast as Node's HTTP/2 gets: its stream interface, and a window that lets a whole list through.
async function serveBareHttp2(body: Buffer): Promise<Started> {
  const settings = { initialWindowSize: 262_144, maxConcurrentStreams: 100 }
  const bare = createSecureServer({ cert: server.certificatePem, key: server.privateKeyPem, settings })
  bare.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': body.length })
    stream.end(body)
  })
  await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve))
  return { port: (bare.address() as AddressInfo).port, token: 'none' }
}

async function serveBareHttp1(body: Buffer): Promise<Started> {
  const bare = createServer({ cert: server.certificatePem, key: server.privateKeyPem }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
  await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve))
  return { port: (bare.address() as AddressInfo).port, token: 'none' }
}

interface Running extends Started {
  readonly pid: number
  stop(): void
}

/** Starts this file as a server of its own. */
function start(role: string, ...args: string[]): Promise<Running> {
  const child = fork(fileURLToPath(import.meta.url), [role, ...args, ...(listed ? ['list'] : []), ...(http2 ? ['h2'] : [])])
  return new Promise((resolve, reject) => {
    child.once('message', (started) => resolve({ ...(started as Started), pid: child.pid!, stop: () => child.kill() }))
    child.once('exit', () => reject(new Error(`the ${role} server ended`)))
  })
}

interface Measured {
  readonly perSecond: number
  /** Processor time of the server, in microseconds a request: what stays the same on a busy machine. */
  readonly cpuUs: number
}

function measure(running: Running, seconds: number): Measured {
  const before = cpuTicks(running.pid)
  const { requests, perSecond } = http2 ? loadHttp2(running, seconds) : loadHttp1(running, seconds)
  return { perSecond, cpuUs: ((cpuTicks(running.pid) - before) * 10_000) / requests }
}

interface Load {
  readonly requests: number
  readonly perSecond: number
}

function loadHttp1({ port, token }: Started, seconds: number): Load {
  const args = ['-t1', '-c16', `-d${seconds}s`, '-H', `Authorization: Bearer ${token}`, `https://127.0.0.1:${port}${path}`]
  const text = execFileSync('wrk', args, { encoding: 'utf8' })
  if (text.includes('Non-2xx')) throw new Error(`the server refuses: ${text}`)
  return { requests: Number(/(\d+) requests in/.exec(text)?.[1]), perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]) }
}

// Four connections with four requests at a time each; windows as those of Go's client (4 MiB a stream, 1 GiB a connection).
function loadHttp2({ port, token }: Started, seconds: number): Load {
  const windows = ['-w22', '-W30']
  const args = ['-t1', '-c4', '-m4', ...windows, `-D${seconds}`, '-H', `authorization: Bearer ${token}`, `https://127.0.0.1:${port}${path}`]
  const text = execFileSync('h2load', args, { encoding: 'utf8' })
  const requests = Number(/status codes: (\d+) 2xx/.exec(text)?.[1])
  if (!(requests > 0) || !/ 0 3xx, 0 4xx, 0 5xx/.test(text)) throw new Error(`the server refuses: ${text}`)
  return { requests, perSecond: requests / seconds }
}

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function sizeOf({ port, token }: Started): number {
  const args = ['-sk', '-A', 'bench', '-H', `Authorization: Bearer ${token}`, `https://127.0.0.1:${port}${path}`]
  return execFileSync('curl', args, { maxBuffer: 2 ** 26 }).length
}

async function compare(seconds: number): Promise<void> {
  const api = await start('api')
  const bytes = sizeOf(api)
  const bare = { ...(await start('bare', String(bytes))), token: api.token }
  measure(api, 2)
  measure(bare, 2)
  const rounds = Array.from({ length: 6 }, () => ({ bare: measure(bare, seconds), api: measure(api, seconds) }))
  const best = (pick: (round: (typeof rounds)[number]) => Measured): Measured => ({
    perSecond: Math.max(...rounds.map((round) => pick(round).perSecond)),
    cpuUs: Math.min(...rounds.map((round) => pick(round).cpuUs)),
  })
  const ours = best((round) => round.api)
  const limit = best((round) => round.bare)
  console.log(`GET ${listed ? '500 pods' : 'one pod'} over HTTP/${http2 ? 2 : 1.1}, ${bytes} bytes, best of ${rounds.length} rounds`)
  console.log(
    `requests/s     ${Math.round(ours.perSecond)}; bare ${Math.round(limit.perSecond)}; ratio ${(ours.perSecond / limit.perSecond).toFixed(2)}`,
  )
  console.log(`CPU us/request ${Math.round(ours.cpuUs)}; bare ${Math.round(limit.cpuUs)}; ratio ${(limit.cpuUs / ours.cpuUs).toFixed(2)}`)
  api.stop()
  bare.stop()
}

const [role, argument] = process.argv.slice(2)
if (role === 'api') process.send!(await serveApi())
else if (role === 'bare') process.send!(await serveBare(Number(argument)))
else await compare(Number(role ?? 2))
