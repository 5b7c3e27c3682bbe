import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const apiVersion = 'admissionregistration.k8s.io/v1'
const rule = (group: string, resource: string): object => ({
  operations: ['CREATE'],
  apiGroups: [group],
  apiVersions: ['v1'],
  resources: [resource],
})

async function mutate(name: string, mutations: object[], spec: object = {}): Promise<void> {
  const full = {
    matchConstraints: { resourceRules: [rule('', 'configmaps'), rule('apps', 'deployments')] },
    reinvocationPolicy: 'Never',
    mutations,
    ...spec,
  }
  await api.ok('POST', `${registration}/mutatingadmissionpolicies`, {
    body: { apiVersion, kind: 'MutatingAdmissionPolicy', metadata: { name }, spec: full },
  })
  await api.ok('POST', `${registration}/mutatingadmissionpolicybindings`, {
    body: { apiVersion, kind: 'MutatingAdmissionPolicyBinding', metadata: { name }, spec: { policyName: name } },
  })
}

const apply = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } })
const patch = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } })
const createMap = (data?: object): Promise<Answer> =>
  api.call('POST', '/api/v1/namespaces/default/configmaps', {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data },
  })

describe('a mutating policy', () => {
  test('merges configurations as apply does', async () => {
    await mutate('sidecar', [
      apply(
        'Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "proxy", image: "navarch.local/proxy"}]}}}}',
      ),
    ])
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/c' }] } }
    const spec = { selector: { matchLabels: { a: 'b' } }, template }
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec }
    const answer = await api.ok('POST', '/apis/apps/v1/namespaces/default/deployments', { body })
    expect(answer.json.spec.template.spec.containers).toMatchObject([
      { name: 'c', imagePullPolicy: 'Always' },
      { name: 'proxy', image: 'navarch.local/proxy', imagePullPolicy: 'Always' },
    ])
  })

  test('patches, and each mutation sees the one before it', async () => {
    await mutate(
      'patching',
      [
        patch('has(object.data) ? [] : [JSONPatch{op: "add", path: "/data", value: {"a": "1"}}]'),
        patch('[JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("b.c"), value: variables.first + "2"}]'),
      ],
      { variables: [{ name: 'first', expression: 'object.data.a' }] },
    )
    expect((await createMap()).json.data).toEqual({ a: '1', 'b.c': '12' })
  })

  test('leaves alone what its conditions leave out', async () => {
    const matchConditions = [{ name: 'empty', expression: '!has(object.data)' }]
    await mutate('conditional', [apply('Object{data: Object.data{added: "yes"}}')], { matchConditions })
    expect((await createMap({ x: 'y' })).json.data).toEqual({ x: 'y' })
  })

  test('that fails refuses, unless failures are ignored', async () => {
    await mutate('failing', [patch('[JSONPatch{op: "remove", path: "/data/none"}]')])
    const answer = await createMap()
    expect(answer.json).toMatchObject({ code: 422, reason: 'Invalid' })
    expect(answer.json.message).toContain(
      `configmaps "a" is forbidden: policy 'failing' with binding 'failing' denied request: JSON Patch: `,
    )
    await api.ok('PATCH', `${registration}/mutatingadmissionpolicies/failing`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { failurePolicy: 'Ignore' } },
    })
    expect((await createMap()).status).toBe(201)
  })

  test('may not change who the object is', async () => {
    await mutate('renaming', [apply('Object{metadata: Object.metadata{name: "b"}}')])
    expect((await createMap()).json.message).toContain('metadata.name may not be changed')
  })

  test('runs again after others when it wishes so', async () => {
    const count = 'Object{data: Object.data{seen: string(object.data.size())}}'
    await mutate('a-first', [apply(`has(object.data) ? ${count} : Object{data: Object.data{seen: "0"}}`)], {
      reinvocationPolicy: 'IfNeeded',
    })
    await mutate('b-second', [apply('Object{data: Object.data{other: "x"}}')])
    expect((await createMap()).json.data).toEqual({ seen: '0', other: 'x' })
  })
})
