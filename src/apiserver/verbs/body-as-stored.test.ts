import { describe, expect, test } from 'vitest'
import type { Kind } from '#api/kind'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { type Answer, openTestCore } from '../api-core.testing.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { decodeAsStored } from './body-as-stored.ts'

const pods = '/api/v1/namespaces/default/pods'
const headers = { 'content-type': 'application/json' }

const pod = {
  metadata: { name: 'one', labels: { app: 'web' }, annotations: { note: 'a "managedFields":[ {b}' }, finalizers: ['a.b/c'] },
  spec: { serviceAccountName: 'x', containers: [{ name: 'web', image: 'navarch.local/web:v1' }] },
}

type Change = (text: string) => string

// What a client may make of the text that it read. The last one of each row's fields says that all behind the metadata is as it was.
const changes: [string, Change][] = [
  ['nothing changed', (text) => text],
  ['an annotation', (text) => text.replace('"note":', '"note":"x","other":')],
  ['a line break behind it', (text) => `${text}\n`],
  ['an annotation that escapes', (text) => text.replace('"note":', '"\\u006eote2":')],
  ['no resourceVersion', (text) => text.replace(/"resourceVersion":"\d+",/, '')],
  ['another revision', (text) => text.replace(/"resourceVersion":"\d+"/, '"resourceVersion":"999"')],
  ['no annotations', (text) => text.replace(/"annotations":\{.*?\},/, '')],
  ['annotations of a wrong type', (text) => text.replace(/"annotations":\{.*?\},/, '"annotations":[],')],
  ['no finalizers', (text) => text.replace(',"finalizers":["a.b/c"]', '')],
  ['a bad label', (text) => text.replace('"app":"web"', '"app":"a b"')],
  ['an unknown field', (text) => text.replace('"labels":', '"labells":{},"labels":')],
  ['a field twice', (text) => text.replace('"labels":', '"name":"one","labels":')],
  ['metadata twice', (text) => text.replace('"metadata":{', '"metadata":{"name":"two"},"metadata":{')],
  ['managed fields twice', (text) => text.replace('"metadata":{', '"metadata":{"managedFields":[],')],
  ['another kind', (text) => text.replace('"kind":"Pod"', '"kind":"Service"')],
  ['no kind', (text) => text.replace('"kind":"Pod",', '')],
  ['a version that is not', (text) => text.replace('"apiVersion":"v1"', '"apiVersion":1')],
  ['a spec before metadata', (text) => text.replace('"metadata":{', '"spec":{},"metadata":{')],
  ['an unknown field before metadata', (text) => text.replace('"metadata":{', '"more":{},"metadata":{')],
  ['another order of metadata and kind', (text) => text.replace('"kind":"Pod","apiVersion"', '"apiVersion":"v1","kind":"Pod","x"')],
  ['a name of another', (text) => text.replace('"name":"one"', '"name":"two"')],
  ['broken JSON in front', (text) => text.replace('"kind":', 'kind:')],
  ['a brace more', (text) => `{${text}`],
  ['__proto__ among the annotations', (text) => text.replace('"note":', '"__proto__":"x","note":')],
]

async function answers(change: Change, validation: string): Promise<[Answer, Answer]> {
  const answerTo = async (spaced: boolean): Promise<Answer> => {
    const api = await openTestCore()
    await api.ok('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } }).catch(() => {})
    await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'x' } } })
    await api.ok('POST', pods, { body: pod })
    const text = change((await api.ok('GET', `${pods}/one`)).bytes.toString())
    // A space that says nothing: the body does not end as what is stored, and is read as a whole.
    const body = spaced ? text.replace(/(\}\s*)$/, ' $1') : text
    const answer = await api.call('PUT', `${pods}/one?fieldValidation=${validation}`, { body: Buffer.from(body), headers })
    await api.close()
    return answer
  }
  return [await answerTo(false), await answerTo(true)]
}

describe('an update whose body ends as what is stored', () => {
  test.each(changes.flatMap(([name, change]) => ['Strict', 'Warn'].map((validation) => [name, validation, change] as const)))(
    'is answered as one that is read as a whole: %s, %s',
    async (_, validation, change) => {
      const [short, whole] = await answers(change, validation)
      // The body is quoted where it cannot be read.
      const quoted = (answer: Answer): unknown => JSON.parse(JSON.stringify(answer.json).replaceAll(/ (?=\}+)/g, ''))
      expect({ status: short.status, json: quoted(short), warnings: short.warnings }).toEqual({
        status: whole.status,
        json: quoted(whole),
        warnings: whole.warnings,
      })
    },
  )

  test('shares managed fields with what is stored, and of the rest what it is told to', async () => {
    const api = await openTestCore()
    await api.ok('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } }).catch(() => {})
    await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'x' } } })
    await api.ok('POST', pods, { body: pod })
    const bytes = (await api.ok('GET', `${pods}/one`)).bytes
    const kind = Pod as unknown as Kind
    const stored = api.core.registries.of(kind).cache.get('default', 'one') as StoredObject<KubeObject>
    const object = decodeAsStored({ media: 'json', bytes }, stored, kind, (field) => field === 'status') as unknown as Pod
    const old = stored.object() as unknown as Pod
    expect(object).toEqual(old)
    expect(object.metadata.managedFields).toBe(old.metadata.managedFields)
    expect(object.status).toBe(old.status)
    expect([object.spec === old.spec, object.metadata.labels === old.metadata.labels]).toEqual([false, false])
    await api.close()
  })
})
