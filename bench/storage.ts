// Durable writes and reads of the LMDB store, against LMDB itself at the same concurrency in the same run.
// Run: npx tsx bench/storage.ts [--seconds 6]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { open } from 'lmdb'
import { systemClock as clock } from '#base/clock'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import type { Store } from '#storage/store'

const { values: flags } = parseArgs({ options: { seconds: { type: 'string', default: '6' } } })
const seconds = Number(flags.seconds)
const valueBytes = 3 * 1024
const keyCount = 50_000
const value = Buffer.alloc(valueBytes, 'navarch ')
// Many short turns, and the median of each: what else the machine does changes from one second to the next.
const rounds = 15
let first = 0
const root = mkdtempSync(join(tmpdir(), 'navarch-bench-'))

function keyAt(i: number): string {
  return `/registry/pods/default/pod-${(i * 7919) % keyCount}`
}

/** Closed loops that call `write` one after the other; writes per second. */
async function rate(concurrency: number, write: (key: string) => Promise<unknown>): Promise<number> {
  let done = 0
  const start = clock.monotonic()
  const end = start + (seconds * 1000) / rounds
  const loop = async (): Promise<void> => {
    while (clock.monotonic() < end) await write(keyAt(first + done++))
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  first += done
  return done / ((clock.monotonic() - start) / 1000)
}

/** A way to write, opened once and measured in turns with the others, so that a busy moment of the machine hits all. */
interface Contender {
  readonly write: (key: string) => Promise<unknown>
  readonly close: () => Promise<void>
  readonly rates: number[]
}

/** LMDB by itself with its own batching: one put, awaited until it is flushed. */
function raw(name: string, overlappingSync: boolean): Contender {
  const path = join(root, name, 'raw.mdb')
  const db = open({ path, encoding: 'binary', keyEncoding: 'binary', overlappingSync, mapSize: 2 ** 34 })
  const write = async (key: string): Promise<void> => {
    await db.put(Buffer.from(key), value)
    await db.flushed
  }
  return { write, close: () => db.close(), rates: [] }
}

async function ours(name: string, historyRevisionsMax: number): Promise<Contender> {
  const store = await openLmdbStore({ dir: join(root, name), clock, historyRevisionsMax })
  store.watch('/registry/pods/', { afterRevision: 1, onEvents: () => {} })
  return { write: (key) => store.write({ key, value }), close: () => store.close(), rates: [] }
}

async function writes(concurrency: number, historyRevisionsMax: number, what: string): Promise<void> {
  const name = `${concurrency}-${historyRevisionsMax}`
  const contenders = [raw(`raw-${name}`, false), raw(`overlapping-${name}`, true), await ours(`store-${name}`, historyRevisionsMax)]
  for (let round = 0; round < rounds; round++) {
    for (const { rates, write } of contenders) rates.push(await rate(concurrency, write))
  }
  for (const { close } of contenders) await close()
  const [plain, overlapping, store] = contenders.map(({ rates }) => median(rates))
  const best = Math.max(plain!, overlapping!)
  print(`${concurrency} at once, ${what}`, `${Math.round(store!)}/s`, `raw ${Math.round(best)}/s`, store! / best)
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}

async function fill(store: Store, keys: number): Promise<void> {
  for (let i = 0; i < keys; i += 500) {
    const part = Array.from({ length: 500 }, (_, j) => `/registry/pods/default/pod-${String(i + j).padStart(6, '0')}`)
    await Promise.all(part.map((key) => store.write({ key, value: Buffer.from(value) })))
  }
}

async function timeMs(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 7; i++) {
    const start = clock.monotonic()
    await run()
    times.push(clock.monotonic() - start)
  }
  return median(times)
}

async function pauses(): Promise<void> {
  const store = await openLmdbStore({ dir: join(root, 'pauses'), clock, historyRevisionsMax: 10 ** 6 })
  for (let i = 0; i < 100; i++)
    await Promise.all(Array.from({ length: 500 }, (_, j) => store.write({ key: keyAt((i + j) % 5_000), value })))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = clock.monotonic()
  await store.compact(await store.currentRevision())
  delay.disable()
  await store.close()
  const ms = (percentile: number): string => `${(delay.percentile(percentile) / 1e6 - 1).toFixed(1)} ms`
  print('compaction of 50,000 revisions', `${Math.round(clock.monotonic() - start)} ms`)
  print('  pauses of the loop, 50th and 99th percentile', `${ms(50)} / ${ms(99)}`)
}

async function ranges(): Promise<void> {
  const keys = 10_000
  const store = await openLmdbStore({ dir: join(root, 'range'), clock })
  await fill(store, keys)
  const ours = await timeMs(() => store.range('/registry/pods/'))
  const page = await timeMs(() => store.range('/registry/pods/', { limit: 500 }))
  const revision = await store.currentRevision()
  for (let i = 0; i < 2_000; i += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, j) => store.write({ key: `/registry/pods/default/pod-00${1000 + i + j}`, value })))
  }
  const old = await timeMs(() => store.range('/registry/pods/', { revision }))
  const oldPage = await timeMs(() => store.range('/registry/pods/', { revision, limit: 500 }))
  const count = await timeMs(() => store.count('/registry/pods/'))
  await store.close()

  const db = open({ path: join(root, 'raw-range', 'raw.mdb'), encoding: 'binary', keyEncoding: 'binary', mapSize: 2 ** 34 })
  for (let i = 0; i < keys; i++) void db.put(Buffer.from(`/registry/pods/default/pod-${String(i).padStart(6, '0')}`), value)
  await db.flushed
  const raw = await timeMs(async () => [...db.getRange({ start: Buffer.from('/registry/pods/'), end: Buffer.from('/registry/pods0') })])
  await db.close()
  print(`range of ${keys} keys`, `${ours.toFixed(1)} ms`, `raw ${raw.toFixed(1)} ms`, raw / ours)
  print('  of its first 500', `${page.toFixed(2)} ms`)
  print('  2,000 writes ago', `${old.toFixed(1)} ms`)
  print('  of those, the first 500', `${oldPage.toFixed(2)} ms`)
  print('  count only', `${count.toFixed(2)} ms`)
}

function print(what: string, ours: string, raw = '', ratio?: number): void {
  console.log(what.padEnd(46), ours.padStart(16), raw.padStart(20), ratio === undefined ? '' : `ratio ${ratio.toFixed(2)}`)
}

try {
  console.log('durable writes of 3 KB')
  for (const concurrency of [1, 16, 64]) await writes(concurrency, 10 ** 6, 'history growing')
  for (const concurrency of [1, 16, 64]) await writes(concurrency, 2_000, 'history full, swept along')
  await pauses()
  await ranges()
} finally {
  rmSync(root, { recursive: true, force: true })
}
