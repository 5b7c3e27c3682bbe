// Fuzzes the API server for as long as told, and says how to repeat what it finds.
//   npm run fuzz -- [--minutes N] [--seed S] [--batches N] [--requests N] [--journal FILE]
// The journal says what was under way when the process dies of it.
import { closeSync, openSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { systemClock } from '#base/clock'
import { freshSeed } from '#base/random'
import { type BatchOptions, runBatch } from './batch.ts'
import { shown } from './oracle.ts'
import { startTarget } from './target.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    batches: { type: 'string' },
    requests: { type: 'string', default: '500' },
    journal: { type: 'string' },
  },
})
const firstSeed = Number(values.seed ?? freshSeed())
const requests = Number(values.requests)
const batchesMax = values.batches === undefined ? Number.POSITIVE_INFINITY : Number(values.batches)
const endsAt = systemClock.monotonic() + Number(values.minutes) * 60_000
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

process.on('unhandledRejection', (error) => {
  say(`FAILED: a promise that nobody looks after was rejected: ${error instanceof Error ? error.stack : String(error)}`)
  process.exitCode = 1
})

function heapBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const journal = values.journal === undefined ? undefined : openSync(values.journal, 'w')
const onRequest: BatchOptions['onRequest'] = (request, phase) => {
  if (journal !== undefined) writeSync(journal, `${phase} ${shown(request)}\n`)
}

const target = await startTarget()
const totals = new Map<number, number>()
let sent = 0
let failed = 0
let settledHeap = 0
for (let i = 0; i < batchesMax && systemClock.monotonic() < endsAt; i++) {
  const seed = (firstSeed + i) % 2 ** 32
  const { failures, statuses } = await runBatch(target, seed, { requests, hangMs: 5_000, cpuMsMax: 1_500, onRequest })
  for (const [status, count] of statuses) totals.set(status, (totals.get(status) ?? 0) + count)
  sent += requests
  failed += failures.length
  const heap = heapBytes()
  // By then the caches of compiled schemas and of history are full.
  if (i === 9) settledHeap = heap
  say(`batch ${i + 1}, seed ${seed}: ${failures.length} failures, heap ${mib(heap)}, connections ${target.listener.connections()}`)
  for (const failure of failures) say(`  FAILED: ${failure}`)
  if (failures.length > 0) say(`  repeat: npm run fuzz -- --seed ${seed} --batches 1 --requests ${requests}`)
}
await target.close()
if (journal !== undefined) closeSync(journal)
if (settledHeap > 0 && globalThis.gc !== undefined) say(`heap after ten batches ${mib(settledHeap)}, at the end ${mib(heapBytes())}`)
say(
  `${sent} requests; ${[...totals]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')}`,
)
say(failed === 0 ? 'nothing found' : `${failed} failures`)
if (failed > 0) process.exitCode = 1
