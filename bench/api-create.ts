// Writes of a 3 KB pod over HTTPS, sixteen at a time, on the LMDB store: create (a controller's, one body again and again; and each
// with a body of its own), update, patch, status and apply. Against LMDB's own durable commits of as many bytes at the same concurrency
// (goal: half), and against a bare node:https server that reads the same bodies and answers as many bytes. Rates depend on what else
// the machine does, so all take turns, and the server's processor time is told as well. Needs wrk.
//   npx esbuild bench/api-create.ts --bundle --platform=node --format=esm --external:lmdb --outfile=node_modules/.bench/api-create.mjs \
//     "--banner:js=import{createRequire as r}from'node:module';const require=r(import.meta.url)"
//   node node_modules/.bench/api-create.mjs [seconds a turn] [turns] [verbs]
import { execFileSync, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { loopbackUser } from '#apiserver/create-api-server'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import { createClient } from '#client/rest-client'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { benchKeys, openBenchServer } from './bench-server.ts'
import { samplePod } from './sample-pod.ts'

const concurrency = 16
const token = 'bench'
const podsPath = '/api/v1/namespaces/default/pods'
const root = mkdtempSync(join(tmpdir(), 'navarch-bench-'))
const keys = benchKeys()
const { ca, server } = keys

interface Started {
  readonly port: number
  readonly storedBytes: number
}

const podCount = 500

function podBody(name?: string, annotations?: object): string {
  const pod = samplePod() as { metadata: Record<string, unknown>; spec: Record<string, unknown>; status?: unknown }
  const { nodeName: _, ...spec } = pod.spec
  const named = name === undefined ? { generateName: 'bench-' } : { name }
  const metadata = { ...named, labels: pod.metadata['labels'], annotations: annotations ?? pod.metadata['annotations'] }
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

async function serveApi(dir: string): Promise<Started> {
  const store = await openLmdbStore({ dir, clock })
  const api = await openBenchServer(store, keys, { tokenFile: `${token},admin,1,"system:masters"` })
  const tls = { ...server, clientCaPem: ca.certificatePem }
  const listener = await listenApi({ handle: api.handle, tls, host: '127.0.0.1', port: 0, clock })
  await api.untilReady()
  const client = createClient({ transport: api.inProcess(loopbackUser), userAgent: 'bench' })
  await client.raw('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
  for (let i = 0; i < podCount; i++) await client.raw('POST', podsPath, JSON.parse(podBody(`pod-${i}`)))
  const pod = (await client.raw('POST', podsPath, JSON.parse(podBody()))) as { metadata: { name: string } }
  const stored = await store.get(`/registry/pods/default/${pod.metadata.name}`)
  return { port: listener.port, storedBytes: stored?.value.length ?? 0 }
}

async function serveBare(bytes: number): Promise<Started> {
  const body = Buffer.alloc(bytes, 'x')
  const bare = createServer({ cert: server.certificatePem, key: server.privateKeyPem }, (request, response) => {
    request.on('data', () => undefined)
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      response.end(body)
    })
  })
  await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve))
  return { port: (bare.address() as AddressInfo).port, storedBytes: bytes }
}

interface Running extends Started {
  readonly pid: number
  stop(): void
}

/** Starts this file as a server of its own. */
function start(role: string, argument: string): Promise<Running> {
  const child = fork(fileURLToPath(import.meta.url), [role, argument])
  return new Promise((resolve, reject) => {
    child.once('message', (started) => resolve({ ...(started as Started), pid: child.pid!, stop: () => child.disconnect() }))
    child.once('exit', () => reject(new Error(`the ${role} server ended`)))
  })
}

interface Verb {
  readonly method: string
  readonly type: string
  /** Below `podsPath`. In both, `@` stands for the number of one of the pods and `#` for a number that has not been before. */
  readonly path: string
  readonly body: string
}

const turn = { turn: '#' }
const patch = JSON.stringify({ metadata: { annotations: turn } })
const status = JSON.stringify({ status: { phase: 'Running', message: '#' } })
const binary = 'application/json'

const verbs: Readonly<Record<string, Verb>> = {
  create: { method: 'POST', type: binary, path: '', body: podBody() },
  'create, each its own': { method: 'POST', type: binary, path: '', body: podBody(undefined, turn) },
  update: { method: 'PUT', type: binary, path: '/pod-@', body: podBody('pod-@', turn) },
  'patch, strategic': { method: 'PATCH', type: 'application/strategic-merge-patch+json', path: '/pod-@', body: patch },
  'patch, merge': { method: 'PATCH', type: 'application/merge-patch+json', path: '/pod-@', body: patch },
  'patch, JSON': {
    method: 'PATCH',
    type: 'application/json-patch+json',
    path: '/pod-@',
    body: JSON.stringify([{ op: 'add', path: '/metadata/annotations/turn', value: '#' }]),
  },
  'status, merge': { method: 'PATCH', type: 'application/merge-patch+json', path: '/pod-@/status', body: status },
  apply: {
    method: 'PATCH',
    type: 'application/apply-patch+yaml',
    path: '/pod-@?fieldManager=bench&force=true',
    body: podBody('pod-@', turn),
  },
}

/** Processor time so far, in microseconds: of all threads of a process, and of its main one. */
function cpuUs(pid: number): { all: number; main: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  const all = (Number(fields[11]) + Number(fields[12])) * 10_000
  return { all, main: Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1000 }
}

interface Measured {
  readonly perSecond: number
  readonly allUs: number
  readonly mainUs: number
  readonly p99Ms: number
}

let base = 0

function measure({ port, pid }: Running, verb: Verb, seconds: number): Measured {
  base += 10_000_000
  const script = join(root, 'write.lua')
  writeFileSync(
    script,
    `local n = ${base}
local headers = { ["Content-Type"] = "${verb.type}", ["Authorization"] = "Bearer ${token}", ["User-Agent"] = "bench/1" }
local path, body = [==[${podsPath}${verb.path}]==], [==[${verb.body}]==]
request = function()
  n = n + 1
  local pod = tostring(n % ${podCount})
  return wrk.format("${verb.method}", (path:gsub("@", pod)), headers, (body:gsub("@", pod):gsub("#", tostring(n))))
end
`,
  )
  const before = cpuUs(pid)
  const args = ['-t1', `-c${concurrency}`, `-d${seconds}s`, '--latency', '-s', script, `https://127.0.0.1:${port}`]
  const text = execFileSync('wrk', args, { encoding: 'utf8' })
  const after = cpuUs(pid)
  if (text.includes('Non-2xx')) throw new Error(`the server refuses: ${text}`)
  const requests = Number(/(\d+) requests in/.exec(text)?.[1])
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    allUs: (after.all - before.all) / requests,
    mainUs: (after.main - before.main) / requests,
    p99Ms: milliseconds(/99%\s+(\S+)/.exec(text)![1]!),
  }
}

function milliseconds(text: string): number {
  const value = Number.parseFloat(text)
  return text.endsWith('us') ? value / 1000 : text.endsWith('ms') ? value : value * 1000
}

async function rawRate(bytes: number, seconds: number): Promise<number> {
  const db = open({ path: join(root, 'raw.mdb'), encoding: 'binary', keyEncoding: 'binary', overlappingSync: false, mapSize: 2 ** 34 })
  const value = Buffer.alloc(bytes, 'navarch ')
  let done = 0
  const begin = clock.monotonic()
  const end = begin + seconds * 1000
  const loop = async (): Promise<void> => {
    while (clock.monotonic() < end) {
      await db.put(Buffer.from(`/registry/pods/default/pod-${done++}`), value)
      await db.flushed
    }
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  const rate = done / ((clock.monotonic() - begin) / 1000)
  await db.close()
  return rate
}

interface Turns {
  readonly ours: Measured[]
  readonly bare: Measured[]
}

async function compare(seconds: number, turns: number, wanted: readonly string[]): Promise<void> {
  const api = await start('api', join(root, 'store'))
  const bare = await start('bare', String(api.storedBytes))
  const measured = Object.entries(verbs).filter(([name]) => wanted.length === 0 || wanted.includes(name))
  for (const [, verb] of measured) measure(api, verb, 2)
  measure(bare, verbs['create']!, 1)
  const limits: number[] = []
  const results = new Map<string, Turns>()
  for (let i = 0; i < turns; i++) {
    limits.push(await rawRate(api.storedBytes, seconds))
    for (const [name, verb] of measured) {
      const all = results.get(name) ?? { ours: [], bare: [] }
      all.ours.push(measure(api, verb, seconds))
      all.bare.push(measure(bare, verb, Math.min(seconds, 1)))
      results.set(name, all)
    }
  }
  api.stop()
  bare.stop()
  const limit = Math.max(...limits)
  console.log(
    `${api.storedBytes} bytes stored, ${concurrency} at a time; LMDB's own durable commits: ${Math.round(limit)}/s; best of ${turns} turns`,
  )
  console.log(
    '| | requests/s | of LMDB | p99, ms | CPU of the server, us | of this its main thread | bare https, us | of bare https, by CPU |',
  )
  console.log('|---|---|---|---|---|---|---|---|')
  for (const [name, { ours, bare: others }] of results) {
    const least = (pick: (one: Measured) => number, all: readonly Measured[] = ours): number => Math.min(...all.map(pick))
    const rate = Math.max(...ours.map((one) => one.perSecond))
    const [all, main] = [least((one) => one.allUs), least((one) => one.mainUs)]
    const bareUs = least((one) => one.allUs, others)
    const p99 = least((one) => one.p99Ms).toFixed(1)
    const columns = [
      Math.round(rate),
      (rate / limit).toFixed(2),
      p99,
      Math.round(all),
      Math.round(main),
      Math.round(bareUs),
      (bareUs / all).toFixed(2),
    ]
    console.log(`| ${name} | ${columns.join(' | ')} |`)
  }
}

const [role, ...args] = process.argv.slice(2)
if (role === 'api' || role === 'bare') {
  process.once('disconnect', () => process.exit())
  process.send!(role === 'api' ? await serveApi(args[0]!) : await serveBare(Number(args[0])))
} else {
  try {
    await compare(Number(role ?? 3), Number(args[0] ?? 3), args.slice(1))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
