// A store of many pods: how long the API server takes from the start of its process until it is ready and has answered for one of
// them, what processor time that is, what memory it takes then and after all pods were listed by pages. Run bundled, as
// bench/api-cpu.ts says:   node api-start.mjs [pods] [rounds]
// Goals, with 100,000 pods of 3 KB: ready in under 2 s; at most 600 MB in all, the listing included.
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loopbackUser } from '#apiserver/create-api-server'
import { systemClock as clock } from '#base/clock'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { benchKeys, openBenchServer } from './bench-server.ts'
import { samplePod } from './sample-pod.ts'

const together = 500

function podText(i: number): string {
  const pod = samplePod() as { metadata: Record<string, unknown>; spec: Record<string, unknown> }
  const { kind, apiVersion, metadata, ...rest } = pod as unknown as Record<string, unknown>
  const { resourceVersion: _, ...own } = metadata as Record<string, unknown>
  const uid = `5c0f5a0e-3f3b-4a55-9d63-${String(i).padStart(12, '0')}`
  const named = { ...own, name: nameOf(i), namespace: namespaceOf(i), uid }
  // Without the sidecar it is 3 KB, which is what the goals are about.
  const { containers, ...others } = rest['spec'] as { containers: unknown[] }
  const spec = { ...others, containers: containers.slice(0, 1), nodeName: `node-${i % 1_000}` }
  return JSON.stringify({ kind, apiVersion, metadata: named, ...rest, spec })
}

const nameOf = (i: number): string => `web-7d4b9c6f5-${i.toString(36).padStart(5, '0')}`
const namespaceOf = (i: number): string => `team-${i % 50}`

async function fill(dir: string, pods: number): Promise<number> {
  const store = await openLmdbStore({ dir, clock })
  let bytes = 0
  for (let i = 0; i < pods; i += together) {
    const writes = Array.from({ length: Math.min(together, pods - i) }, (_, j) => {
      const value = Buffer.from(podText(i + j))
      bytes += value.length
      return { key: `/registry/pods/${namespaceOf(i + j)}/${nameOf(i + j)}`, value }
    })
    await store.writeAll(writes)
  }
  await store.close()
  return bytes / pods
}

interface Told {
  readonly readyMs: number
  readonly cpuMs: number
}

async function serveApi(dir: string): Promise<void> {
  const store = await openLmdbStore({ dir, clock })
  const keys = benchKeys()
  const api = await openBenchServer(store, keys)
  await api.untilReady()
  const transport = api.inProcess(loopbackUser)
  const send = async (path: string): Promise<Buffer> => {
    const answer = await transport.send({ method: 'GET', path })
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.body) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  await send(`/api/v1/namespaces/${namespaceOf(7)}/pods/${nameOf(7)}`)
  const { user, system } = process.cpuUsage()
  process.send!({ readyMs: performance.now(), cpuMs: (user + system) / 1_000 } satisfies Told)
  process.on('message', async () => {
    // Read as bytes: what a client makes of them is its own affair.
    let pages = 0
    for (let token: string | undefined = ''; token !== undefined; pages++) {
      const page = await send(`/api/v1/pods?limit=500${token === '' ? '' : `&continue=${token}`}`)
      token = /^.{0,200}"continue":"([^"]+)"/.exec(page.toString('latin1', 0, 1_000))?.[1]
    }
    process.send!({ pages })
  })
  process.once('disconnect', () => process.exit())
}

function memoryMb(pid: number): { readonly anonymous: number; readonly all: number; readonly peak: number } {
  const smaps = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const mb = (text: string, name: string): number => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1_024)
  return { anonymous: mb(smaps, 'Pss_Anon'), all: mb(smaps, 'Pss'), peak: mb(status, 'VmHWM') }
}

async function measure(pods: number, rounds: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'navarch-bench-'))
  const bytes = await fill(dir, pods)
  console.log(`${pods} pods of ${Math.round(bytes)} bytes`)
  for (let round = 0; round < rounds; round++) {
    // As `navarch up` starts it.
    const child = fork(fileURLToPath(import.meta.url), ['api', dir], { execArgv: ['--max-semi-space-size=4'] })
    const next = <T>(): Promise<T> => new Promise((resolve) => child.once('message', (message) => resolve(message as T)))
    const { readyMs, cpuMs } = await next<Told>()
    const ready = memoryMb(child.pid!)
    child.send('list')
    const { pages } = await next<{ pages: number }>()
    const listed = memoryMb(child.pid!)
    console.log(
      `ready after ${Math.round(readyMs)} ms, ${Math.round(cpuMs)} ms of processor time; ${ready.anonymous} MB anonymous, ${ready.all} MB in all; ` +
        `after listing them in ${pages} pages ${listed.anonymous} MB, ${listed.all} MB, at most ${listed.peak} MB`,
    )
    child.disconnect()
    await new Promise((resolve) => child.once('exit', resolve))
  }
  rmSync(dir, { recursive: true, force: true })
}

const [first, second, third] = process.argv.slice(2)
if (first === 'api') await serveApi(second!)
else if (first === 'fill') console.log(await fill(second!, Number(third)))
else await measure(Number(first ?? 100_000), Number(second ?? 3))
