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

  test('that fails refuses in its own words, all failures being causes, unless failures are ignored', async () => {
    await mutate('failing', [
      patch('[JSONPatch{op: "remove", path: "/data/none"}]'),
      patch('[JSONPatch{op: "add", path: "/a/b", value: 1}]'),
    ])
    const first =
      "policy 'failing' with binding 'failing' denied request: JSON Patch: remove operation does not apply: doc is missing path: /data/none: missing value"
    const answer = await createMap()
    expect(answer.json).toMatchObject({ code: 403, reason: 'Invalid', message: first })
    expect(answer.json.details.causes.map(({ message }: { message: string }) => message)).toEqual([
      first,
      expect.stringContaining('add operation does not apply: doc is missing path: /a/b: missing value'),
    ])
    await api.ok('PATCH', `${registration}/mutatingadmissionpolicies/failing`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { failurePolicy: 'Ignore' } },
    })
    expect((await createMap()).status).toBe(201)
  })

  test('whose parameters are not there refuses as forbidden, and one without a known kind of them by itself', async () => {
    await mutate('unbound', [apply('Object{}')], { paramKind: { apiVersion: 'v1', kind: 'Nothing' } })
    expect((await createMap()).json).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message:
        'policy "unbound" denied request: failed to configure policy: failed to find resource referenced by paramKind: \'v1, Kind=Nothing\'',
    })
  })

  test('whose patch tests for something else leaves the object alone', async () => {
    await mutate('testing', [
      patch('[JSONPatch{op: "test", path: "/data/a", value: "2"}, JSONPatch{op: "add", path: "/data/b", value: "no"}]'),
      patch('[JSONPatch{op: "test", path: "/data/a", value: "1"}, JSONPatch{op: "add", path: "/data/c", value: "yes"}]'),
    ])
    expect((await createMap({ a: '1' })).json.data).toEqual({ a: '1', c: 'yes' })
  })

  test.each([
    [
      'replaces what it does not know',
      'Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "c"}}, template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "c", args: ["x"]}]}}}}',
      'error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector, .spec.template.spec.containers[0].args',
    ],
    [
      'names a type in the wrong place',
      'Object{spec: Object.spec{template: Object.spec.wrong{}}}',
      'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.template", which matches field name path from root Object type',
    ],
    [
      'has a field that nobody knows',
      'Object{spec: Object.spec{copies: 3}}',
      'error applying patch: failed to convert patch object to typed object: .spec.copies: field not declared in schema',
    ],
  ])('whose configuration %s is refused', async (_, expression, message) => {
    await mutate('careless', [apply(expression)])
    const answer = await api.call('POST', deployments, { body: deployment })
    expect(answer.json.message).toBe(`policy 'careless' with binding 'careless' denied request: ${message}`)
  })

  test('changes the scale of a workload', async () => {
    const resourceRules = [{ operations: ['UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments/scale'] }]
    await api.ok('POST', deployments, { body: deployment })
    await mutate('scaling', [apply('Object{spec: Object.spec{replicas: object.spec.replicas * 2}}')], {
      matchConstraints: { resourceRules },
    })
    const body = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web' }, spec: { replicas: 3 } }
    expect((await api.ok('PUT', `${deployments}/web/scale`, { body })).json.spec.replicas).toBe(6)
  })

  test('runs again after others when it wishes so', async () => {
    const count = 'Object{data: Object.data{seen: string(object.data.size())}}'
    await mutate('a-first', [apply(`has(object.data) ? ${count} : Object{data: Object.data{seen: "0"}}`)], {
      reinvocationPolicy: 'IfNeeded',
    })
    await mutate('b-second', [apply('Object{data: Object.data{other: "x"}}')])
    expect((await createMap()).json.data).toEqual({ seen: '2', other: 'x' })
  })
})

const deployments = '/apis/apps/v1/namespaces/default/deployments'
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/c' }] } }
const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: { selector: { matchLabels: { a: 'b' } }, template },
}
