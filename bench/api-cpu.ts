// Processor time of the API server's own work, by verb, in microseconds a request: the pipeline over the LMDB store, sixteen
// requests at a time, without sockets. Unlike rates it hardly changes on a busy machine. Run it bundled, as the product is:
//   npx esbuild bench/api-cpu.ts --bundle --platform=node --format=esm --external:lmdb --outfile=/tmp/api-cpu.mjs && node /tmp/api-cpu.mjs
// Arguments: requests a round, then the verbs that are wanted. Each figure is the best of many short rounds: all threads, and of
// these the main one, which is what a busy server runs out of.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loopbackUser } from '#apiserver/create-api-server'
import { systemClock as clock } from '#base/clock'
import type { Transport } from '#client/transport'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { benchKeys, openBenchServer } from './bench-server.ts'
import { samplePod } from './sample-pod.ts'

const concurrency = 16
const rounds = 16
const podsPath = '/api/v1/namespaces/default/pods'
const headers = { 'content-type': 'application/json', 'user-agent': 'kube-controller-manager/v1.36.0' }
type Json = Record<string, unknown>

function podToCreate(name: string): Json {
  const pod = samplePod() as { metadata: Json; spec: Json }
  const { labels, annotations } = pod.metadata
  const { nodeName: _, ...spec } = pod.spec
  const named = name === '' ? { generateName: 'bench-' } : { name }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...named, labels, annotations }, spec }
}

async function serve(dir: string): Promise<{ transport: Transport; close(): Promise<void> }> {
  const keys = benchKeys()
  const store = await openLmdbStore({ dir, clock })
  const api = await openBenchServer(store, keys)
  await api.untilReady()
  const close = async (): Promise<void> => {
    await api.close()
    await store.close()
  }
  return { transport: api.inProcess(loopbackUser), close }
}

/** Processor time of this process's main thread so far. */
function mainThreadUs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1000
}

async function main(count: number, wanted: readonly string[]): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'navarch-bench-'))
  const { transport, close } = await serve(dir)
  const send = async (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH',
    path: string,
    body?: Buffer,
    type = headers['content-type'],
  ): Promise<Buffer> => {
    const response = await transport.send({
      method,
      path,
      headers: { ...headers, 'content-type': type },
      ...(body === undefined ? {} : { body }),
    })
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    if (response.status >= 300) throw new Error(`${method} ${path}: ${bytes}`)
    return bytes
  }
  await send('POST', '/api/v1/namespaces/default/serviceaccounts', Buffer.from('{"metadata":{"name":"default"}}'))
  const names = Array.from({ length: 500 }, (_, i) => `pod-${i}`)
  // What a client holds of each: the text of the last answer, with an annotation that it changes.
  const held: string[] = []
  const bare: string[] = []
  for (const name of names) {
    const pod = podToCreate(name) as { metadata: Json }
    pod.metadata = { ...pod.metadata, annotations: { turn: '-' } }
    held.push((await send('POST', podsPath, Buffer.from(JSON.stringify(pod)))).toString())
    const { metadata, ...rest } = JSON.parse(held.at(-1)!) as { metadata: Json }
    const { resourceVersion: _, managedFields: __, ...kept } = metadata
    bare.push(JSON.stringify({ ...rest, metadata: kept }))
  }
  const createdText = JSON.stringify(podToCreate(''))
  const created = Buffer.from(createdText)
  let turn = 0
  const nameAt = (i: number): string => names[i % names.length]!
  const annotated = (i: number): Json => ({ metadata: { annotations: { turn: String(i) } } })
  const verbs: Record<string, (i: number) => Promise<unknown>> = {
    create: () => send('POST', podsPath, created),
    // No two bodies are the same.
    createNew: (i) => send('POST', podsPath, Buffer.from(createdText.replace('d2c76e0f3c3a', String(100_000_000_000 + i)))),
    // Read, changed in one place, and written: all that was read is sent back.
    update: async (i) => {
      const at = i % names.length
      const body = Buffer.from(held[at]!.replace(/"turn":"[^"]*"/, `"turn":"${i}"`))
      held[at] = (await send('PUT', `${podsPath}/${names[at]!}`, body)).toString()
    },
    // The same without resourceVersion and managedFields.
    updateBare: (i) => {
      const at = i % names.length
      return send('PUT', `${podsPath}/${names[at]!}`, Buffer.from(bare[at]!.replace(/"turn":"[^"]*"/, `"turn":"${i}"`)))
    },
    patch: (i) =>
      send('PATCH', `${podsPath}/${nameAt(i)}`, Buffer.from(JSON.stringify(annotated(i))), 'application/strategic-merge-patch+json'),
    // All of one object.
    patchOne: (i) => send('PATCH', `${podsPath}/${names[0]!}`, Buffer.from(JSON.stringify(annotated(i))), 'application/merge-patch+json'),
    status: (i) =>
      send(
        'PATCH',
        `${podsPath}/${nameAt(i)}/status`,
        Buffer.from(JSON.stringify({ status: { phase: 'Running', message: String(i) } })),
        'application/merge-patch+json',
      ),
    apply: (i) => {
      const body = podToCreate(nameAt(i)) as { metadata: Json }
      body.metadata = { ...body.metadata, annotations: { turn: String(i) } }
      return send(
        'PATCH',
        `${podsPath}/${nameAt(i)}?fieldManager=bench&force=true`,
        Buffer.from(JSON.stringify(body)),
        'application/apply-patch+yaml',
      )
    },
    get: (i) => send('GET', `${podsPath}/${nameAt(i)}`),
    list: () => send('GET', `${podsPath}?limit=500`),
  }
  // What the machine makes of a piece of known work: to compare runs at different times.
  const text = JSON.stringify(podToCreate('reference'))
  const reference = async (_turn: number): Promise<unknown> => JSON.stringify(JSON.parse(text))
  for (const [verb, run] of Object.entries({ reference, ...verbs })) {
    if (wanted.length > 0 && run !== reference && !wanted.includes(verb)) continue
    const best = { all: Number.POSITIVE_INFINITY, main: Number.POSITIVE_INFINITY, wall: Number.POSITIVE_INFINITY }
    const each = verb === 'list' ? Math.ceil(count / 100) : count
    for (let round = 0; round < rounds; round++) {
      const before = process.cpuUsage()
      const mainBefore = mainThreadUs()
      const wallBefore = performance.now()
      let left = each
      const worker = async (): Promise<void> => {
        while (left-- > 0) await run(turn++)
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      const { user, system } = process.cpuUsage(before)
      best.all = Math.min(best.all, (user + system) / each)
      best.wall = Math.min(best.wall, ((performance.now() - wallBefore) * 1000) / each)
      best.main = Math.min(best.main, (mainThreadUs() - mainBefore) / each)
    }
    console.log(`${verb.padEnd(10)} ${best.all.toFixed(1)} us, main thread ${best.main.toFixed(1)} us, ${Math.round(1e6 / best.wall)}/s`)
  }
  await close()
  rmSync(dir, { recursive: true, force: true })
}

const [count, ...wanted] = process.argv.slice(2)
await main(Number(count ?? 1500), wanted)
