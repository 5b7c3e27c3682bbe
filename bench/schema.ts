// What decoding costs beside the JSON parser: a pod of about 3 KB, as our own components send it (canonical order) and as kubectl
// does (keys sorted). Ratios are to JSON.parse of the same text in the same run; 1 would mean that decoding is free.
import { trackUpdate } from '../src/api/apply/track-update.ts'
import { decodeObject, encodeObject } from '../src/api/protobuf/envelope.ts'
import { builtinSchema } from '../src/api/schema/builtin.ts'
import { compileDecoder } from '../src/api/schema/decode.ts'
import { duplicateFields } from '../src/api/schema/json.ts'
import { encodeJson, fromWire } from '../src/api/schema/wire.ts'
import { samplePod } from './sample-pod.ts'

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]))
}

/** Runs per second: the best of several rounds, which is the least disturbed one. */
function opsPerSecond(run: () => void): number {
  let best = 0
  for (let round = 0; round < 12; round++) {
    const start = performance.now()
    let runs = 0
    while (performance.now() - start < 100) {
      for (let i = 0; i < 50; i++) run()
      runs += 50
    }
    best = Math.max(best, (runs * 1000) / (performance.now() - start))
  }
  return best
}

const schema = builtinSchema('v1', 'Pod')
const decode = compileDecoder(schema)
const object = decode(samplePod(), 'ignore').object
const canonicalText = JSON.stringify(object)
const sortedText = JSON.stringify(sorted(samplePod()))

const protobuf = encodeObject(schema, object)

// As after a create; the update comes from elsewhere and shares nothing with it.
const tracked = JSON.parse(canonicalText)
tracked.metadata.managedFields = trackUpdate({
  schema,
  apiVersion: 'v1',
  old: undefined,
  current: tracked,
  manager: 'controllers',
  subresource: '',
  nowMs: 0,
})
const changed = JSON.parse(JSON.stringify(tracked))
changed.status.phase = 'Failed'
changed.status.conditions[0].status = 'False'

const cases: readonly [name: string, text: string, run: (text: string) => void][] = [
  ['parse + decode, canonical order', canonicalText, (text) => decode(JSON.parse(text), 'strict')],
  ['parse + decode, keys sorted', sortedText, (text) => decode(JSON.parse(text), 'strict')],
  [
    'parse + duplicates + decode, keys sorted',
    sortedText,
    (text) => {
      const value = JSON.parse(text)
      duplicateFields(text, value)
      decode(value, 'strict')
    },
  ],
  ['parse + from the wire', canonicalText, (text) => fromWire(schema, JSON.parse(text))],
  [
    'track a status update',
    canonicalText,
    () => trackUpdate({ schema, apiVersion: 'v1', old: tracked, current: changed, manager: 'kubelet', subresource: 'status', nowMs: 0 }),
  ],
  ['encode', canonicalText, () => encodeJson(schema, object)],
  ['encode protobuf', canonicalText, () => encodeObject(schema, object)],
  ['decode protobuf', canonicalText, () => decodeObject(protobuf)],
]

console.log(`pod of ${canonicalText.length} bytes`)
for (const [name, text, run] of cases) {
  const limit = opsPerSecond(() => JSON.parse(text))
  const ours = opsPerSecond(() => run(text))
  console.log(
    `${name.padEnd(44)} ${Math.round(ours).toString().padStart(8)}/s   JSON.parse ${Math.round(limit)}/s   ratio ${(ours / limit).toFixed(2)}`,
  )
}
