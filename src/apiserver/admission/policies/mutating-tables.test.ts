// Kubernetes' own tables for mutating policies (test/integration/apiserver/cel): rounds, parameters, subresources, versions.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const apiVersion = 'admissionregistration.k8s.io/v1'
const onEndpoints = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['endpoints'] }

interface Policy {
  readonly mutations: readonly object[]
  readonly spec?: object
  readonly bindings?: readonly object[]
}

async function enforce(name: string, { mutations, spec, bindings = [{}] }: Policy): Promise<void> {
  const full = { matchConstraints: { resourceRules: [onEndpoints] }, reinvocationPolicy: 'Never', mutations, ...spec }
  const kind = 'MutatingAdmissionPolicy'
  await api.ok('POST', `${registration}/mutatingadmissionpolicies`, { body: { apiVersion, kind, metadata: { name }, spec: full } })
  for (const [i, binding] of bindings.entries()) {
    const bound = { policyName: name, ...binding }
    const body = { apiVersion, kind: `${kind}Binding`, metadata: { name: `${name}-${i}` }, spec: bound }
    await api.ok('POST', `${registration}/mutatingadmissionpolicybindings`, { body })
  }
}

const apply = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } })
const patch = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } })
const annotate = (annotations: string): object => apply(`Object{metadata: Object.metadata{annotations: ${annotations}}}`)
const counting = (more = ''): object => annotate(`{?"foo": optional.of(string(int(object.metadata.annotations["foo"]) + 1))${more}}`)
const again = { reinvocationPolicy: 'IfNeeded' }

async function annotations(before?: Record<string, string>): Promise<unknown> {
  const metadata = { name: 'object', ...(before && { annotations: before }) }
  const body = { apiVersion: 'v1', kind: 'Endpoints', metadata }
  return (await api.ok('POST', '/api/v1/namespaces/default/endpoints', { body })).json.metadata.annotations
}

const param = (name: string, data: object, labels: object = {}): Promise<Answer> =>
  api.ok('POST', '/api/v1/namespaces/default/configmaps', {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data },
  })
const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' }
const allow = { parameterNotFoundAction: 'Allow' }

test('each mutation sees variables and what those before it did', async () => {
  const variables = [
    { name: 'foo1', expression: '"foo1" + "Value"' },
    { name: 'foo2', expression: 'variables.foo1.replace("1", "2")' },
  ]
  const patching = `[
    JSONPatch{op: "test", path: "/metadata/annotations", value: {"foo1": variables.foo1}},
    JSONPatch{op: "add", path: "/metadata/annotations/foo2", value: variables.foo2},
  ]`
  await enforce('p', {
    mutations: [annotate('{"foo1": variables.foo1}'), patch(patching), annotate('{"foo3": "foo3Value"}')],
    spec: { variables },
  })
  expect(await annotations()).toEqual({ foo1: 'foo1Value', foo2: 'foo2Value', foo3: 'foo3Value' })
})

test('policies that wish so run once more when another has changed the object', async () => {
  await enforce('policy-1', { mutations: [counting(', "firstApplied": "true"')], spec: again })
  await enforce('policy-2', { mutations: [counting(', "secondApplied": "true"')], spec: again })
  await enforce('policy-3', { mutations: [counting(', "thirdApplied": "true"')] })
  const applied = { firstApplied: 'true', secondApplied: 'true', thirdApplied: 'true' }
  expect(await annotations({ foo: '0' })).toEqual({ foo: '5', ...applied })
})

describe('parameters', () => {
  test('are taken from each binding', async () => {
    await param('one', { key1: 'value1' })
    await param('two', { key2: 'value2', key3: 'value3' })
    const bindings = ['one', 'two'].map((name) => ({ paramRef: { name, namespace: 'default', ...allow } }))
    await enforce('p', { mutations: [annotate('params.data')], spec: { paramKind }, bindings })
    expect(await annotations()).toEqual({ key1: 'value1', key2: 'value2', key3: 'value3' })
  })

  test('of one binding are taken one after another, and each may be reason to look at the object again', async () => {
    const labels = { chosen: 'true' }
    await param('param-1', { firstApplied: 'true' }, labels)
    await param('param-2', { secondApplied: 'true' }, labels)
    await param('param-3', { thirdApplied: 'true' })
    const mutations = [annotate('params.data'), counting()]
    const selected = { paramRef: { selector: { matchLabels: labels }, ...allow } }
    await enforce('again', { mutations, spec: { paramKind, ...again }, bindings: [selected] })
    await enforce('once', { mutations, spec: { paramKind }, bindings: [{ paramRef: { name: 'param-3', ...allow } }] })
    const applied = { firstApplied: 'true', secondApplied: 'true', thirdApplied: 'true' }
    expect(await annotations({ foo: '0' })).toEqual({ foo: '5', ...applied })
  })
})

describe('a policy does nothing', () => {
  const mutations = [annotate('{"touched": "yes"}')]
  test.each<[string, Partial<Policy>]>([
    ['without a binding', { bindings: [] }],
    [
      'when it errs and that is ignored',
      { mutations: [annotate('{"a": object.metadata.annotations["none"]}')], spec: { failurePolicy: 'Ignore' } },
    ],
    ['when a condition does not hold', { spec: { matchConditions: [{ name: 'no', expression: 'object.metadata.name == "other"' }] } }],
    [
      'when one of several does not hold',
      {
        spec: {
          matchConditions: [
            { name: 'yes', expression: 'true' },
            { name: 'no', expression: 'false' },
          ],
        },
      },
    ],
  ])('%s', async (_, policy) => {
    await enforce('p', { mutations, ...policy })
    expect(await annotations()).toBeUndefined()
  })
})

test('a status is mutated through its subresource', async () => {
  const resourceRules = [{ ...onEndpoints, resources: ['namespaces/status'] }]
  const condition = 'Object.status.conditions{type: "NamespaceDeletionContentFailure", message: "mutated"}'
  await enforce('p', {
    mutations: [apply(`Object{status: Object.status{conditions: [${condition}]}}`)],
    spec: { matchConstraints: { resourceRules } },
  })
  await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'test' } } })
  const conditions = [{ type: 'NamespaceDeletionContentFailure', status: 'Unknown' }]
  const { json } = await api.ok('PUT', '/api/v1/namespaces/test/status', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'test' }, status: { conditions } },
  })
  expect(json.status).toMatchObject({ phase: 'Active', conditions: [{ ...conditions[0], message: 'mutated' }] })
})

test('a custom resource is mutated in whichever of its versions it comes, by a policy about one of them', async () => {
  const group = 'awesome.bears.com'
  const schema = { openAPIV3Schema: { type: 'object' } }
  await api.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `pandas.${group}` },
      spec: {
        group,
        scope: 'Cluster',
        names: { plural: 'pandas', kind: 'Panda' },
        versions: ['v1', 'v2'].map((name) => ({ name, served: true, storage: name === 'v1', schema })),
      },
    },
  })
  await expect.poll(async () => (await api.call('GET', `/apis/${group}/v2/pandas`)).status, { timeout: 5_000 }).toBe(200)
  const resourceRules = [{ operations: ['*'], apiGroups: [group], apiVersions: ['v1'], resources: ['pandas'] }]
  const label = apply('Object{metadata: Object.metadata{labels: {"mutated-panda": "true"}}}')
  await enforce('equivalent', { mutations: [label], spec: { matchConstraints: { resourceRules } } })
  const create = async (version: string): Promise<unknown> => {
    const body = { apiVersion: `${group}/${version}`, kind: 'Panda', metadata: { generateName: 'bear-' } }
    return (await api.ok('POST', `/apis/${group}/${version}/pandas`, { body })).json.metadata.labels
  }
  expect([await create('v1'), await create('v2')]).toEqual([{ 'mutated-panda': 'true' }, { 'mutated-panda': 'true' }])
  await api.ok('PATCH', `${registration}/mutatingadmissionpolicies/equivalent`, {
    body: { spec: { matchConstraints: { matchPolicy: 'Exact' } } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  expect([await create('v1'), await create('v2')]).toEqual([{ 'mutated-panda': 'true' }, undefined])
})
