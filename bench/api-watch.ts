// Watchers of one resource over TLS: how long after a write's commit the last of them has its event, what an event costs the server
// for each of them, and what an open watch costs in memory. Run bundled, as bench/api-cpu.ts says:
//   node api-watch.mjs [watchers] [writes a second] [seconds] [h2|h1]
// With `h2` (the default) a hundred watches share a connection, as those of Go clients do.
// Goals: 1,000 watchers at 100 writes/s: p99 under 50 ms; 10,000 open watches at under 20 KB each.
// The clients run in a process of their own, and do no more than count events in what arrives (raw-watch-client.ts): on two
// cores a client that decodes takes the time that the server needs.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loopbackUser } from '#apiserver/create-api-server'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import { openMemoryStore } from '#storage/memory/memory-store'
import { benchKeys, openBenchServer } from './bench-server.ts'
import { type EventCounter, openHttp1Watch, openHttp2Watches } from './raw-watch-client.ts'

const token = 'bench'
const mapsPath = '/api/v1/namespaces/default/configmaps'
const streamsEach = 100

/** What the parent asks of the server. */
type Order = { readonly write: number } | { readonly collect: true }

async function serveApi(): Promise<void> {
  const keys = benchKeys()
  const { ca, server } = keys
  const store = openMemoryStore()
  const api = await openBenchServer(store, keys, { tokenFile: `${token},admin,1,"system:masters"` })
  const tls = { ...server, clientCaPem: ca.certificatePem }
  const listener = await listenApi({ handle: api.handle, tls, host: '127.0.0.1', port: 0, clock })
  await api.untilReady()
  const transport = api.inProcess(loopbackUser)
  // The moment of a commit is when the store tells of it.
  let committedAtMs = 0
  store.watch('/registry/configmaps/', {
    afterRevision: await store.currentRevision(),
    onEvents: () => {
      committedAtMs = performance.timeOrigin + performance.now()
    },
  })
  process.on('message', async (order: Order) => {
    if ('collect' in order) {
      globalThis.gc?.()
      return void process.send!({})
    }
    const body = Buffer.from(JSON.stringify({ metadata: { name: `w-${order.write}` }, data: { text: 'x'.repeat(512) } }))
    const answer = await transport.send({ method: 'POST', path: mapsPath, headers: { 'content-type': 'application/json' }, body })
    process.send!({ write: order.write, atMs: committedAtMs })
    for await (const _ of answer.body);
  })
  process.once('disconnect', () => process.exit())
  process.send!({ port: listener.port })
}

function memoryKb(pid: number): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
}

// In microseconds, of all threads.
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

class Reached implements EventCounter {
  readonly watchers: number
  readonly atMs: number[] = []
  #seen = 0

  constructor(watchers: number) {
    this.watchers = watchers
  }

  /** Events reach every watcher in order, so the n-th round of all of them is not over before the n-th event is everywhere. */
  count(events: number): void {
    const before = Math.floor(this.#seen / this.watchers)
    this.#seen += events
    for (let round = before; round < Math.floor(this.#seen / this.watchers); round++) {
      this.atMs[round] = performance.timeOrigin + performance.now()
    }
  }
}

async function measure(watchers: number, perSecond: number, seconds: number, protocol: string): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['api'], { execArgv: ['--expose-gc'] })
  const next = <T>(): Promise<T> => new Promise((resolve) => child.once('message', (message) => resolve(message as T)))
  const { port } = await next<{ port: number }>()
  const open = async (count: number, counter: EventCounter): Promise<void> => {
    for (let i = 0; i < count; i += protocol === 'h1' ? 1 : streamsEach) {
      if (protocol === 'h1') await openHttp1Watch({ port, path: `${mapsPath}?watch=1`, token, counter })
      else await openHttp2Watches({ port, path: `${mapsPath}?watch=1`, token, counter, streams: Math.min(streamsEach, count - i) })
    }
    await clock.sleep(500)
    const collected = next()
    child.send({ collect: true } satisfies Order)
    await collected
  }
  // What the first watches bring with them (compiled code, the heap's growth) is not what a watch costs.
  const reached = new Reached(watchers)
  await open(Math.min(200, watchers), reached)
  const before = memoryKb(child.pid!)
  await open(watchers - Math.min(200, watchers), reached)
  const each = (memoryKb(child.pid!) - before) / (watchers - 200)
  const committed: number[] = []
  child.on('message', ({ write, atMs }: { write: number; atMs: number }) => {
    committed[write] = atMs
  })
  const cpuBefore = cpuUs(child.pid!)
  const ownBefore = process.cpuUsage()
  const begin = clock.monotonic()
  const writes = perSecond * seconds
  for (let i = 0; i < writes; i++) {
    child.send({ write: i } satisfies Order)
    const due = begin + ((i + 1) * 1_000) / perSecond
    if (clock.monotonic() < due) await clock.sleep(due - clock.monotonic())
  }
  while (reached.atMs.length < writes) await clock.sleep(20)
  const rate = writes / ((Math.max(...reached.atMs) - committed[0]!) / 1_000)
  const own = process.cpuUsage(ownBefore)
  const perEvent = (us: number): string => (us / writes / watchers).toFixed(1)
  const delays = committed.map((atMs, i) => reached.atMs[i]! - atMs).sort((a, b) => a - b)
  const at = (part: number): string => `${delays[Math.min(delays.length - 1, Math.floor(part * delays.length))]!.toFixed(1)} ms`
  console.log(`${watchers} watchers (${protocol}), ${rate.toFixed(0)} writes/s: last watcher's event p50 ${at(0.5)}, p99 ${at(0.99)}`)
  console.log(
    `CPU an event and watcher: server ${perEvent(cpuUs(child.pid!) - cpuBefore)} us, client ${perEvent(own.user + own.system)} us; memory a watch ${each.toFixed(1)} KB`,
  )
  child.disconnect()
  process.exit()
}

const [first, second, third, protocol] = process.argv.slice(2)
if (first === 'api') await serveApi()
else await measure(Number(first ?? 1_000), Number(second ?? 100), Number(third ?? 5), protocol ?? 'h2')
