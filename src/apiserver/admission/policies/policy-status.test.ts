import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestCore, type TestCore } from '../../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'
const deployments = { apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] }
const rule = (of: object) => ({ operations: ['*'], ...of })

async function create(name: string, spec: object): Promise<void> {
  const full = { matchConstraints: { resourceRules: [rule(deployments)] }, ...spec }
  const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy', metadata: { name }, spec: full }
  await api.ok('POST', policies, { body })
}

async function checked(name: string) {
  await expect.poll(async () => (await api.ok('GET', `${policies}/${name}`)).json.status?.typeChecking).toBeDefined()
  return (await api.ok('GET', `${policies}/${name}`)).json
}

const warningsOf = async (name: string, spec: object): Promise<[string, string][]> => {
  await create(name, spec)
  const { status } = await checked(name)
  return (status.typeChecking.expressionWarnings ?? []).map((w: { fieldRef: string; warning: string }) => [w.fieldRef, w.warning])
}

describe('the status of a validating policy', () => {
  test('says that its types were looked at, and for which generation', async () => {
    await create('fine', { validations: [{ expression: 'object.spec.replicas > 1' }] })
    const { status, metadata } = await checked('fine')
    expect(status).toEqual({ observedGeneration: 1, typeChecking: {} })
    const tracked = { manager: 'validatingadmissionpolicy-status', operation: 'Apply', subresource: 'status' }
    expect(metadata.managedFields).toContainEqual(expect.objectContaining(tracked))
    await api.ok('PATCH', `${policies}/fine`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { validations: [{ expression: 'object.spec.copies > 1' }] } },
    })
    await expect.poll(async () => (await api.ok('GET', `${policies}/fine`)).json.status.observedGeneration).toBe(2)
    expect((await checked('fine')).status.typeChecking.expressionWarnings).toHaveLength(1)
  })

  test('warns of expressions and messages that do not fit the types, with the place', async () => {
    const validations = [{ expression: "object.spec.replicas > '1'", messageExpression: "'wants more, got ' + object.spec.replicas" }]
    expect(await warningsOf('confused', { validations })).toEqual([
      [
        'spec.validations[0].expression',
        "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | object.spec.replicas > '1'\n | .....................^\n",
      ],
      [
        'spec.validations[0].messageExpression',
        "apps/v1, Kind=Deployment: ERROR: <input>:1:20: found no matching overload for '_+_' applied to '(string, int)'\n | 'wants more, got ' + object.spec.replicas\n | ...................^\n",
      ],
    ])
  })

  test('looks at each kind that the rules name, in order, and at variables', async () => {
    const matchConstraints = {
      resourceRules: [rule(deployments), rule({ apiGroups: [''], apiVersions: ['v1'], resources: ['pods', 'pods/status', 'secrets'] })],
    }
    const variables = [
      { name: 'spec', expression: 'object.spec' },
      { name: 'bad', expression: 'object.nothing' },
    ]
    const validations = [{ expression: 'variables.spec.replicas == 1' }, { expression: 'variables.bad == object.none' }]
    const warnings = await warningsOf('several', { matchConstraints, variables, validations })
    expect(warnings.map(([field, text]) => [field, text.split('\n').filter((line) => line.includes('ERROR'))])).toEqual([
      ['spec.validations[0].expression', ["v1, Kind=Pod: ERROR: <input>:1:15: undefined field 'replicas'"]],
      [
        'spec.validations[1].expression',
        ['v1, Kind=Pod', 'v1, Kind=Secret', 'apps/v1, Kind=Deployment'].map(
          (kind) => `${kind}: ERROR: <input>:1:24: undefined field 'none'`,
        ),
      ],
    ])
  })

  test('says nothing of kinds behind wildcards, of subresources, and of kinds that are not served', async () => {
    const rules = [
      { ...deployments, apiVersions: ['*'] },
      { ...deployments, resources: ['deployments/scale'] },
      { ...deployments, apiGroups: ['example.com'] },
    ]
    const matchConstraints = { resourceRules: rules.map(rule) }
    expect(await warningsOf('vague', { matchConstraints, validations: [{ expression: 'object.nothing == 1' }] })).toEqual([])
  })

  test.each([
    [
      'the types of its parameters',
      { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } },
      "params.data['x'] == 1",
      "found no matching overload for '_==_' applied to '(string, int)'",
    ],
    [
      'whom it may ask',
      {},
      'authorizer.allowed()',
      "found no matching overload for 'allowed' applied to 'kubernetes.authorization.Authorizer.()'",
    ],
    ['the namespace', {}, 'namespaceObject.metadata.colour == 1', "undefined field 'colour'"],
  ])('knows %s', async (_, more, expression, problem) => {
    // What the policy itself could never say is refused when it is written; types come later.
    const create = warningsOf('known', { ...more, validations: [{ expression }] })
    const text = await create.then(
      (warnings) => warnings[0]?.[1] ?? '',
      (error: Error) => error.message,
    )
    expect(text).toContain(problem)
  })

  test('reads optional parts, lists, maps, quantities and times by their types', async () => {
    const expression = [
      'object.metadata.creationTimestamp > timestamp("2020-01-01T00:00:00Z")',
      'object.spec.template.spec.containers.all(c, c.?resources.limits["memory"].orValue("1Gi").startsWith("1"))',
      '!has(object.spec.strategy.rollingUpdate) || object.spec.strategy.rollingUpdate.maxSurge != "25%"',
      'oldObject == null || oldObject.metadata.labels.exists(l, l == "x")',
    ].join(' && ')
    expect(await warningsOf('typed', { validations: [{ expression }] })).toEqual([])
  })
})
