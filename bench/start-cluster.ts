// What `startCluster()` takes, each time in a process of its own: milliseconds on the clock, and of the processor for the main
// thread alone, which is what the clock would show on a machine with nothing else to do. Needs `npm run build`; beside it what
// `node -e 0` takes.   node --import tsx bench/start-cluster.ts [rounds]
// Goal: ready in under 300 ms.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const library = fileURLToPath(new URL('../dist/library.js', import.meta.url))

const probe = `
import { readFileSync } from 'node:fs'
const onCpuMs = () => Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6
const told = { bootMs: performance.now(), bootCpuMs: onCpuMs() }
const { startCluster } = await import(${JSON.stringify(library)})
Object.assign(told, { importMs: performance.now(), importCpuMs: onCpuMs() })
const cluster = await startCluster()
Object.assign(told, { readyMs: performance.now(), readyCpuMs: onCpuMs() })
console.log(JSON.stringify(told))
await cluster.stop()
`

interface Told {
  readonly bootMs: number
  readonly bootCpuMs: number
  readonly importMs: number
  readonly importCpuMs: number
  readonly readyMs: number
  readonly readyCpuMs: number
}

const run = (code: string): string => execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const rounds = Number(process.argv[2] ?? 5)
const told = Array.from({ length: rounds }, () => JSON.parse(run(probe)) as Told)
const empty = Array.from({ length: rounds }, () => {
  const begin = performance.now()
  execFileSync(process.execPath, ['-e', '0'])
  return performance.now() - begin
})
const row = (name: string, ms: (it: Told) => number, cpuMs: (it: Told) => number): void => {
  const all = told.map(ms)
  console.log(
    `${name.padEnd(24)} ${median(all).toFixed(0)} ms (least ${Math.min(...all).toFixed(0)}); processor ${median(told.map(cpuMs)).toFixed(0)} ms`,
  )
}
row(
  'import',
  (it) => it.importMs - it.bootMs,
  (it) => it.importCpuMs - it.bootCpuMs,
)
row(
  'startCluster()',
  (it) => it.readyMs - it.importMs,
  (it) => it.readyCpuMs - it.importCpuMs,
)
row(
  'process start to ready',
  (it) => it.readyMs,
  (it) => it.readyCpuMs,
)
console.log(
  `node -e 0                ${median(empty).toFixed(0)} ms; from process start to ready ${(median(told.map((it) => it.readyMs)) / median(empty)).toFixed(1)} times that`,
)
