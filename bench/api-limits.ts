// What the costliest bodies that the API server takes cost it: the processor's time for one request of nearly the largest size, in
// each form, against what the engine's own parser takes for a JSON text of the same size in the same run. One process does all
// requests, so this is also how long others wait. Every answer is a refusal; what is measured is how dear refusing is.
//   npx tsx bench/api-limits.ts [rounds]
import { setScene } from '../test/fuzz/batch.ts'
import { startTarget } from '../test/fuzz/target.ts'
import { http2Wire } from '../test/fuzz/wire.ts'

const rounds = Number(process.argv[2] ?? 3)
const bytes = 3 * 1024 * 1024 - 200
const filled = (unit: string): string => unit.repeat(Math.floor(bytes / unit.length))
const object = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"limits"},'
const merge = 'application/merge-patch+json'
// As many as are taken.
const distinct = Array.from({ length: 49_000 }, (_, i) => `"k${i}":"b"`).join()

const bodies: readonly (readonly [what: string, method: string, type: string, text: string])[] = [
  ['JSON, one long text', 'POST', 'application/json', `${object}"data":{"a":"${filled('x')}"}}`],
  ['JSON, short fields', 'POST', 'application/json', `${object}"data":{${filled('"a":"b",')}"a":"b"}}`],
  ['JSON, 49,000 fields', 'POST', 'application/json', `${object}"data":{${distinct}}}`],
  ['JSON, list items', 'POST', 'application/json', `{"metadata":{"name":"limits","finalizers":[${filled('"a",')}"b"]}}`],
  ['JSON, unclosed lists', 'POST', 'application/json', filled('[')],
  ['JSON, lists in lists', 'POST', 'application/json', `${object}"data":{"a":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}}`],
  ['YAML, one long text', 'POST', 'application/yaml', `data: {a: ${filled('x')}}`],
  ['YAML, lines', 'POST', 'application/yaml', filled('a: b\n')],
  ['YAML, comments', 'POST', 'application/yaml', filled('# c\n')],
  ['YAML, flow of short fields', 'POST', 'application/yaml', `{${filled('a,')}}`],
  ['merge patch, 49,000 fields', 'PATCH', merge, `{"metadata":{"annotations":{${distinct}}}}`],
  ['merge patch, short fields', 'PATCH', merge, `{"data":{${filled('"a":"b",')}"a":"b"}}`],
  [
    'JSON patch, 10,001 operations',
    'PATCH',
    'application/json-patch+json',
    `[${'{"op":"test","path":"/kind","value":"x"},'.repeat(10_000)}{}]`,
  ],
]

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!
const cpuMs = async (run: () => unknown): Promise<number> => {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

const target = await startTarget({ bodyTimeoutMs: 60_000 })
const wire = http2Wire(target, target.admin, 120_000)
await setScene(wire, 'limits')
const path = '/api/v1/namespaces/limits/configmaps'
const plain = `{"data":{${filled('"a":"b",')}"a":"b"}}`
const bare: number[] = []
for (let i = 0; i < rounds; i++) bare.push(await cpuMs(() => JSON.parse(plain)))
const unit = median(bare)
process.stdout.write(`JSON.parse of ${(bytes / 2 ** 20).toFixed(1)} MiB of short fields: ${unit.toFixed(0)} ms of the processor\n`)
for (const [what, method, type, text] of bodies) {
  const body = Buffer.from(text)
  const costs: number[] = []
  let status = 0
  for (let i = 0; i < rounds; i++) {
    const request = { what, method, path: method === 'POST' ? path : `${path}/fuzz-a`, headers: { 'content-type': type }, body }
    costs.push(
      await cpuMs(async () => {
        status = (await wire.send(request)).status
      }),
    )
  }
  const cost = median(costs)
  process.stdout.write(`${what.padEnd(34)}${status} ${cost.toFixed(0).padStart(7)} ms ${(cost / unit).toFixed(1).padStart(7)} times\n`)
}
wire.close()
await target.close()
