// Bodies that come again and again are decoded once (registry/templates.ts); nobody may see a difference.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { openTestCore, type TestCore } from './api-core.testing.ts'

const pods = '/api/v1/namespaces/default/pods'
const agent = { 'user-agent': 'kube-controller-manager/v1.36.0' }
const body = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { generateName: 'web-', labels: { app: 'web' }, unknown: 1 },
  spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1', ports: [{ containerPort: 80 }] }] },
}

type Meta = { name: string; managedFields: { manager: string; time: string }[]; [name: string]: unknown }

// What may differ between two creates of one body.
function comparable(json: { metadata: Meta }): unknown {
  const { name, uid, resourceVersion, creationTimestamp, managedFields, ...metadata } = json.metadata
  return { ...json, metadata: { ...metadata, managedFields: managedFields.map(({ time, ...entry }) => entry) } }
}

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'default' } } })
})

afterEach(() => api.close())

describe('a body that is created again and again', () => {
  test('makes objects that differ in names, uids and times only, with the same warnings', async () => {
    const answers = []
    for (let i = 0; i < 5; i++) {
      answers.push(await api.ok('POST', pods, { body, headers: agent }))
      await api.clock.advance(2_000)
    }
    const [first, ...others] = answers
    for (const other of others) {
      // The token volume's name is made up for each pod.
      expect(withoutTokenName(comparable(other.json))).toEqual(withoutTokenName(comparable(first!.json)))
      expect(other.warnings).toEqual(first!.warnings)
    }
    expect(first!.warnings).toContain('unknown field "metadata.unknown"')
    const times = answers.map(({ json }) => [json.metadata.creationTimestamp, json.metadata.managedFields[0].time])
    expect(new Set(times.map(([created]) => created)).size).toBe(5)
    expect(times.every(([created, managed]) => created === managed)).toBe(true)
    expect(new Set(answers.map(({ json }) => json.metadata.name)).size).toBe(5)
  })

  test('belongs to whoever sends it', async () => {
    const managers: string[] = []
    for (const sender of ['a/1', 'a/1', 'a/1', 'b/1', 'b/1', 'b/1']) {
      const { json } = await api.ok('POST', pods, { body, headers: { 'user-agent': sender } })
      managers.push(json.metadata.managedFields[0].manager)
    }
    expect(managers).toEqual(['a', 'a', 'a', 'b', 'b', 'b'])
  })

  test('is refused by strict validation however often it was taken without', async () => {
    for (let i = 0; i < 3; i++) await api.ok('POST', pods, { body, headers: agent })
    const { status, json } = await api.call('POST', `${pods}?fieldValidation=Strict`, { body, headers: agent })
    expect([status, json.message]).toEqual([
      400,
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "metadata.unknown"',
    ])
  })

  test('is changed by nobody: what happens to one object does not show in the others', async () => {
    const names: string[] = []
    for (let i = 0; i < 7; i++) names.push((await api.ok('POST', pods, { body, headers: agent })).json.metadata.name)
    const spec = { containers: [{ name: 'web', image: 'navarch.local/web:v2' }] }
    const headers = { 'content-type': 'application/strategic-merge-patch+json' }
    await api.ok('PATCH', `${pods}/${names[4]}`, { body: { metadata: { labels: { app: 'changed' } }, spec }, headers })
    names.push((await api.ok('POST', pods, { body, headers: agent })).json.metadata.name)
    for (const [i, name] of names.entries()) {
      const { json } = await api.ok('GET', `${pods}/${name}`)
      const expected = i === 4 ? ['changed', 'navarch.local/web:v2'] : ['web', 'navarch.local/web:v1']
      expect([json.metadata.labels.app, json.spec.containers[0].image]).toEqual(expected)
    }
  })

  test('follows what admission makes of it now', async () => {
    for (let i = 0; i < 5; i++) await api.ok('POST', pods, { body, headers: agent })
    const range = { limits: [{ type: 'Container', max: { memory: '64Mi' } }] }
    await api.ok('POST', '/api/v1/namespaces/default/limitranges', { body: { metadata: { name: 'b' }, spec: range } })
    const limited = (await api.ok('POST', pods, { body, headers: agent })).json
    expect(limited.spec.containers[0].resources.limits).toEqual({ memory: '64Mi' })
    await api.ok('DELETE', '/api/v1/namespaces/default/limitranges/b')
    expect((await api.ok('POST', pods, { body, headers: agent })).json.spec.containers[0].resources).toEqual({})
  })
})

// Of what was created lately, the content is not checked again (registry/checked.ts); nobody may see a difference.
describe('a body whose content came before', () => {
  const cost = 'controller.kubernetes.io/pod-deletion-cost'
  const seccomp = 'seccomp.security.alpha.kubernetes.io/pod'
  const mirror = 'kubernetes.io/config.mirror'
  const plain = { containers: [{ name: 'web', image: 'navarch.local/web:v1', ports: [{ containerPort: 80 }, { containerPort: 80 }] }] }
  const claimed = { ...plain, volumes: [{ name: 'data', ephemeral: { volumeClaimTemplate: { spec: claimSpec() } } }] }

  function claimSpec(): object {
    return { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  }

  test.each<[string, object, object]>([
    ['another name', { name: 'b' }, plain],
    ['a name that is none', { name: 'B' }, plain],
    ['a name that is no hostname', { name: 'b.c' }, plain],
    ['other labels and annotations', { name: 'b', labels: { a: 'b' }, annotations: { c: 'd' } }, plain],
    ['a bad label', { name: 'b', labels: { a: 'b c' } }, plain],
    ['a bad deletion cost', { name: 'b', annotations: { [cost]: 'x' } }, plain],
    ['a bad profile', { name: 'b', annotations: { [seccomp]: 'x' } }, plain],
    ['a mirror pod', { name: 'b', annotations: { [mirror]: 'x' } }, plain],
    ['another owner', { name: 'b', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'c', uid: 'd' }] }, plain],
    ['claims that are named by the pod', { name: 'b'.repeat(250) }, claimed],
  ])('is answered as if it had not: with %s', async (_, metadata, spec) => {
    const made = { apiVersion: 'v1', kind: 'Pod', metadata, spec }
    const fresh = await openTestCore()
    await fresh.ok('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'default' } } })
    const expected = await fresh.call('POST', pods, { body: made, headers: agent })
    await fresh.close()
    for (const name of ['one', 'two']) await api.ok('POST', pods, { body: { ...made, metadata: { name } }, headers: agent })
    const answer = await api.call('POST', pods, { body: made, headers: agent })
    const shown = (json: { metadata: Meta }, status: number): unknown => (status === 201 ? withoutTokenName(comparable(json)) : json)
    expect([answer.status, answer.warnings, shown(answer.json, answer.status)]).toEqual([
      expected.status,
      expected.warnings,
      shown(expected.json, expected.status),
    ])
    if (answer.status === 201) {
      const read = (await api.ok('GET', `${pods}/${answer.json.metadata.name}`)).json
      expect(read).toEqual(answer.json)
    }
  })
})

test('a generated name that is taken, known to be so or not, is followed by another', async () => {
  await api.close()
  // The first names are all the same.
  let draws = 0
  const others = seededRandom(1)
  api = await openTestCore({ random: () => (draws++ < 20 ? 0.5 : others()) })
  const configMaps = '/api/v1/namespaces/default/configmaps'
  const made = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'x-' }, data: { a: 'b' } }
  draws = 0
  // At the same moment: neither is in the cache when the other chooses its name.
  const answers = await Promise.all([api.ok('POST', configMaps, { body: made }), api.ok('POST', configMaps, { body: made })])
  const third = await api.ok('POST', configMaps, { body: made })
  const all = [...answers, third]
  expect(new Set(all.map(({ json }) => json.metadata.name)).size).toBe(3)
  expect(all.map(({ json }) => json.data)).toEqual([{ a: 'b' }, { a: 'b' }, { a: 'b' }])
})

function withoutTokenName(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replace(/kube-api-access-\w+/g, 'kube-api-access'))
}
