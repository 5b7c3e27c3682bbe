// Creates of a 3 KB pod over HTTPS, sixteen at a time, on the LMDB store, against LMDB's own durable commits of as many bytes at the
// same concurrency. Prints both rates and the ratio (goal: at least a third). Needs wrk.   npx tsx bench/api-create.ts [seconds]
import { execFileSync, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { allKinds } from '#api/kinds/all'
import { createApiServer, loopbackUser } from '#apiserver/create-api-server'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { createClient } from '#client/rest-client'
import { silentLogger } from '#platform/log'
import { createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { samplePod } from './sample-pod.ts'

const concurrency = 16
const token = 'bench'
const podsPath = '/api/v1/namespaces/default/pods'
const root = mkdtempSync(join(tmpdir(), 'navarch-bench-'))
const nowMs = clock.now()
const ca = createCa({ commonName: 'bench', days: 1, nowMs })
const server = issueCertificate({ ca, commonName: 'bench', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })

interface Started {
  readonly port: number
  readonly storedBytes: number
}

function podBody(): string {
  const pod = samplePod() as { metadata: Record<string, unknown>; spec: Record<string, unknown>; status?: unknown }
  const { labels, annotations } = pod.metadata
  const { nodeName: _, ...spec } = pod.spec
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'bench-', labels, annotations }, spec })
}

async function serveApi(dir: string): Promise<Started> {
  const store = await openLmdbStore({ dir, clock })
  const api = await createApiServer({
    store,
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
  const client = createClient({ transport: api.inProcess(loopbackUser), userAgent: 'bench' })
  await client.raw('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
  const pod = (await client.raw('POST', podsPath, JSON.parse(podBody()))) as { metadata: { name: string } }
  const stored = await store.get(`/registry/pods/default/${pod.metadata.name}`)
  return { port: listener.port, storedBytes: stored?.value.length ?? 0 }
}

interface Running extends Started {
  readonly pid: number
  stop(): void
}

/** Processor time of a process so far, all its threads, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Starts this file as a server of its own. */
function start(dir: string): Promise<Running> {
  const child = fork(fileURLToPath(import.meta.url), ['api', dir])
  return new Promise((resolve, reject) => {
    child.once('message', (started) => resolve({ ...(started as Started), pid: child.pid!, stop: () => child.disconnect() }))
    child.once('exit', () => reject(new Error('the API server ended')))
  })
}

function createRate({ port, pid }: Running, seconds: number): number {
  const script = join(root, 'create.lua')
  const headers = `wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer ${token}"\n`
  writeFileSync(script, `wrk.method = "POST"\nwrk.body = [==[${podBody()}]==]\n${headers}`)
  const url = `https://127.0.0.1:${port}${podsPath}`
  const before = cpuTicks(pid)
  const text = execFileSync('wrk', ['-t1', `-c${concurrency}`, `-d${seconds}s`, '--latency', '-s', script, url], { encoding: 'utf8' })
  if (text.includes('Non-2xx')) throw new Error(`the server refuses: ${text}`)
  const cpuUs = ((cpuTicks(pid) - before) * 10_000) / Number(/(\d+) requests in/.exec(text)?.[1])
  console.log(`  CPU ${Math.round(cpuUs)} us a request, p50 ${/50%\s+(\S+)/.exec(text)?.[1]}, p99 ${/99%\s+(\S+)/.exec(text)?.[1]}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1])
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

async function compare(seconds: number): Promise<void> {
  const api = await start(join(root, 'store'))
  createRate(api, 2)
  const rates: { ours: number; limit: number }[] = []
  for (let round = 0; round < 3; round++) {
    rates.push({ limit: await rawRate(api.storedBytes, seconds), ours: createRate(api, seconds) })
  }
  api.stop()
  const ours = Math.max(...rates.map((rate) => rate.ours))
  const limit = Math.max(...rates.map((rate) => rate.limit))
  console.log(
    `POST one pod, ${api.storedBytes} bytes stored: ${Math.round(ours)}/s; durable LMDB commits ${Math.round(limit)}/s; ratio ${(ours / limit).toFixed(2)}`,
  )
}

const [role, argument] = process.argv.slice(2)
if (role === 'api') {
  process.once('disconnect', () => process.exit())
  process.send!(await serveApi(argument!))
} else {
  try {
    await compare(Number(role ?? 5))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
