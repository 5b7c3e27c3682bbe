// What goes in comes out the same in every form: objects of all kinds, created, read as JSON, YAML, protobuf, Table and watch
// events, written again without a change, applied twice, and patched by patches that say nothing new.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeObject, encodeObject } from '#api/protobuf/envelope'
import { arbitraryInput } from '#api/schema/arbitrary.testing'
import { parseYaml } from '#apiserver/verbs/yaml'
import { systemClock } from '#base/clock'
import { setScene } from './batch.ts'
import { collectionPath, farReaching, manifestOf, objectPath, type Resource, resources } from './manifests.ts'
import { startTarget, type Target } from './target.ts'
import { type Answer, http2Wire, type Wire } from './wire.ts'

type Json = Record<string, unknown>

const namespace = 'round-trips'
let target: Target
let wire: Wire

beforeAll(async () => {
  target = await startTarget()
  wire = http2Wire(target, target.admin, 20_000)
  await setScene(wire, namespace)
})
afterAll(async () => {
  wire.close()
  await target.close()
})

async function call(method: string, path: string, body?: object | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  return wire.send({
    what: 'round trip',
    method,
    path,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(bytes === undefined ? {} : { body: bytes }),
  })
}

async function json(method: string, path: string, body?: object | Buffer, headers: Record<string, string> = {}): Promise<Json> {
  const answer = await call(method, path, body, headers)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 1_000)}`)
  return JSON.parse(answer.body.toString()) as Json
}

const versionOf = (object: Json): unknown => (object['metadata'] as Json)['resourceVersion']

const patchTypes = (resource: Resource): readonly string[] => [
  'application/merge-patch+json',
  ...(resource.builtIn === undefined ? [] : ['application/strategic-merge-patch+json']),
]

// What protobuf does not tell apart: nothing, null, and lists without items; embedded objects do not name their types there.
function lean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lean)
  if (typeof value !== 'object' || value === null) return value
  const embedded = 'spec' in value && (value as Json)['kind'] === 'PersistentVolumeClaim'
  const kept = Object.entries(value).filter(
    ([key, inner]) =>
      inner !== null &&
      inner !== '' &&
      !(Array.isArray(inner) && inner.length === 0) &&
      !(embedded && (key === 'kind' || key === 'apiVersion')),
  )
  return Object.fromEntries(kept.map(([key, inner]) => [key, lean(inner)]))
}

/** Kinds that the server itself writes to once they are there, and when it has done so. */
const tended: Readonly<Record<string, (object: Json) => boolean>> = {
  'flowcontrol.apiserver.k8s.io/v1/flowschemas': hasConditions,
  'apiregistration.k8s.io/v1/apiservices': hasConditions,
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies': ({ status, metadata }) =>
    (status as Json | undefined)?.['observedGeneration'] === (metadata as Json)['generation'],
}

function hasConditions({ status }: Json): boolean {
  const conditions = (status as Json | undefined)?.['conditions']
  return Array.isArray(conditions) && conditions.length > 0
}

/** The object, when the server is through with it. */
async function settled({ id }: Resource, path: string): Promise<Json> {
  const isDone = tended[id] ?? (() => true)
  for (let attempt = 0; attempt < 500; attempt++) {
    const object = await json('GET', path)
    if (isDone(object)) return object
    await systemClock.sleep(10)
  }
  throw new Error(`the server does not tend ${path}`)
}

/** Everything that is asked of an object that stands there as `object`. */
async function checkForms(resource: Resource, path: string, object: Json): Promise<void> {
  expect(await json('GET', path)).toEqual(object)
  const yaml = await call('GET', path, undefined, { accept: 'application/yaml' })
  expect(parseYaml(yaml.body.toString(), false).value).toEqual(object)
  const partial = await json('GET', path, undefined, { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' })
  expect(partial['metadata']).toEqual(object['metadata'])
  const table = await json('GET', path, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
  expect((table['rows'] as { object: Json }[]).map((row) => row.object['metadata'])).toEqual([object['metadata']])
  if (resource.builtIn !== undefined) {
    const accept = 'application/vnd.kubernetes.protobuf'
    expect(lean(decodeObject((await call('GET', path, undefined, { accept })).body).object)).toEqual(lean(object))
  }
  const name = (object['metadata'] as Json)['name'] as string
  const stream = await wire.send({
    what: 'watch',
    method: 'GET',
    path: `${path.slice(0, path.lastIndexOf('/'))}?watch=true&fieldSelector=metadata.name%3D${name}`,
    endless: true,
  })
  expect(JSON.parse(stream.body.toString().split('\n')[0]!)).toEqual({ type: 'ADDED', object })
}

/** Writes that change nothing keep the resource version. */
async function checkNoChange(resource: Resource, path: string, object: Json): Promise<void> {
  const before = versionOf(object)
  expect(versionOf(await json('PUT', path, object))).toBe(before)
  if (resource.builtIn !== undefined) {
    const type = 'application/vnd.kubernetes.protobuf'
    const body = Buffer.from(encodeObject(resource.builtIn.schema(), object))
    expect(versionOf(await json('PUT', path, body, { 'content-type': type, accept: 'application/json' }))).toBe(before)
  }
  const { status: _, ...said } = object
  for (const type of patchTypes(resource)) {
    const patched = await call('PATCH', path, said, { 'content-type': type })
    // As in Kubernetes, a strategic patch looks into nothing of unknown type, and finds no items without their key.
    const beyondIt = /data type is not struct|does not contain declared merge key/.test(patched.body.toString())
    if (!beyondIt) expect([patched.status, versionOf(JSON.parse(patched.body.toString()) as Json)], type).toEqual([200, before])
    expect(versionOf(await json('PATCH', path, {}, { 'content-type': type })), type).toBe(before)
  }
  const operations = Object.entries(said).map(([key, value]) => ({ op: 'replace', path: `/${key}`, value }))
  for (const patch of [operations, []]) {
    expect(versionOf(await json('PATCH', path, patch, { 'content-type': 'application/json-patch+json' }))).toBe(before)
  }
}

async function checkApply(resource: Resource, path: string, manifest: Json): Promise<void> {
  const apply = (): Promise<Json> =>
    json('PATCH', `${path}?fieldManager=round&force=true`, manifest, { 'content-type': 'application/apply-patch+yaml' })
  const first = await apply()
  expect(await apply(), resource.id).toEqual(first)
}

describe('every kind', () => {
  test.each(resources.map((resource) => [resource.id, resource] as const))('%s', async (_id, resource) => {
    // A name of its own: some kinds are stored as another.
    const name = `trip-${resource.id.replaceAll(/[/.]/g, '-')}`
    const path = objectPath(resource, namespace, name)
    const manifest = manifestOf(resource, namespace, name)
    // Those whose names are given are there already.
    const { status } = await call('POST', collectionPath(resource, namespace), manifest)
    expect([201, 409]).toContain(status)
    const object = await settled(resource, path)
    await checkForms(resource, path, object)
    await checkNoChange(resource, path, object)
    await checkApply(resource, path, manifest)
  })
})

describe('objects that chance made', () => {
  // An object of any shape is nearly never valid; what the manifest of its kind has not said is taken from chance, field by field.
  const kinds = resources.filter(({ id, builtIn }) => builtIn !== undefined && !farReaching.has(id) && !id.startsWith('core/v1/namespaces'))

  test('that are valid come out as they went in', async () => {
    let accepted = 0
    let at = 0
    const drawn = fc
      .constantFrom(...kinds)
      .chain((resource) => arbitraryInput(resource.builtIn!.schema(), 5).map((input) => [resource, input] as const))
    await fc.assert(
      fc.asyncProperty(drawn, async ([resource, input]) => {
        const name = `chance-${at++}`
        const manifest = manifestOf(resource, namespace, name)
        const collection = collectionPath(resource, namespace)
        for (const [key, value] of Object.entries(input)) {
          if (key === 'metadata' || key === 'status') continue
          const inner =
            typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [['', value] as const]
          for (const [field, part] of inner) {
            const changed = structuredClone(manifest)
            if (field === '') changed[key] = part
            else changed[key] = Object.fromEntries([...Object.entries((changed[key] as Json | undefined) ?? {}), [field, part]])
            if ((await call('POST', `${collection}?dryRun=All`, changed)).status === 201) Object.assign(manifest, changed)
          }
        }
        const created = await call('POST', collection, manifest)
        if (created.status !== 201) return
        accepted++
        const path = objectPath(resource, namespace, name)
        const object = await settled(resource, path)
        await checkForms(resource, path, object)
        await checkNoChange(resource, path, object)
      }),
      { numRuns: 40, endOnFailure: true },
    )
    expect(accepted).toBeGreaterThan(20)
  })
})
