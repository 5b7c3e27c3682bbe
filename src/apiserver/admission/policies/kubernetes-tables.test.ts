// Kubernetes' own tables for validating policies (test/integration/apiserver/cel): words, costs, who may what, changing parameters.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../../api-core.testing.ts'
import { mastersAuthorizer, unionAuthorizer } from '../../authz/authorizer.ts'
import { createRbacAuthorizer, type RbacAuthorizer } from '../../authz/rbac.ts'

let api: TestCore

beforeEach(async () => {
  let rbac: RbacAuthorizer
  api = await openTestCore({ authorizer: () => unionAuthorizer([mastersAuthorizer, rbac]) })
  rbac = createRbacAuthorizer(api.core.reader)
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const apiVersion = 'admissionregistration.k8s.io/v1'
const merge = { 'content-type': 'application/merge-patch+json' }
const rule = (resource: string, apiVersions = ['v1'], apiGroups = ['']): object => ({
  operations: ['*'],
  apiGroups,
  apiVersions,
  resources: [resource],
})
const onNamespaces = { resourceRules: [rule('namespaces')] }

async function enforce(spec: object, binding: object = {}): Promise<void> {
  const named = (kind: string, name: string, parts: object): object => ({ body: { apiVersion, kind, metadata: { name }, spec: parts } })
  const policy = named('ValidatingAdmissionPolicy', 'policy', { matchConstraints: onNamespaces, ...spec })
  await api.ok('POST', `${registration}/validatingadmissionpolicies`, policy)
  const bound = { policyName: 'policy', validationActions: ['Deny'], ...binding }
  await api.ok('POST', `${registration}/validatingadmissionpolicybindings`, named('ValidatingAdmissionPolicyBinding', 'binding', bound))
}

const create = (name: string, options: object = {}): Promise<Answer> =>
  api.call('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, ...options })

const denied = (name: string, message: string): string =>
  `namespaces "${name}" is forbidden: ValidatingAdmissionPolicy 'policy' with binding 'binding' denied request: ${message}`

const failed = (expression: string): string => `failed expression: ${expression}`
const errs = (expression: string, why: string): string => `expression '${expression}' resulted in error: no such key: ${why}`
const check =
  "authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend').check('create').allowed()"

describe('a namespace that is made', () => {
  test.each<[name: string, expression: string, message?: (expression: string) => string]>([
    ['test-k8s', "object.metadata.name.endsWith('k8s')"],
    ['test-k8s', "request.name.endsWith('k8s')"],
    ['test-foobar', "object.metadata.name.endsWith('k8s')", failed],
    ['test-k8s', "object.nonExistentProperty == 'someval'", (expression) => errs(expression, 'nonExistentProperty')],
    ['test-k8s', 'object.metadata.name.startsWith(params.metadata.name)', (expression) => errs(expression, 'metadata')],
    [
      'test-k8s',
      "(params == null && object.metadata.name.endsWith('k8s')) || (params != null && object.metadata.name.endsWith(params.metadata.name))",
    ],
    ['test-k8s', '(params != null && object.metadata.name.endsWith(params.metadata.name))', failed],
    ['test-k8s', 'namespaceObject == null'],
  ])('%s: %s', async (name, expression, message) => {
    await enforce({ paramKind: { apiVersion: 'v1', kind: 'ConfigMap' }, validations: [{ expression }] })
    const answer = await create(name)
    if (message === undefined) expect(answer.status).toBe(201)
    else expect(answer.json).toMatchObject({ reason: 'Invalid', code: 422, message: denied(name, message(expression)) })
  })
})

describe('costs', () => {
  const limit = 'operation cancelled: actual cost limit exceeded'
  const thrice = [check, check, check].join(' && ')
  const list = '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]'
  const nested = ['x', 'y', 'z', 'z2', 'z3', 'z4', 'z5'].reduceRight(
    (inner, name) => `${list}.all(${name}, ${inner})`,
    "int('1'.find('[0-9]*')) < 100",
  )

  test.each<[string, object, string]>([
    ['of one expression', { validations: [{ expression: nested }] }, `expression '${nested}' resulted in error: ${limit}`],
    ['of asking the authorizer', { validations: [{ expression: thrice }] }, `expression '${thrice}' resulted in error: ${limit}`],
    ['of variables', { variables: [{ name: 'v', expression: thrice }], validations: [{ expression: 'variables.v' }] }, limit],
    [
      'of match conditions',
      { matchConditions: [{ name: 'test', expression: thrice }], validations: [{ expression: 'true' }] },
      `expression '${thrice}' resulted in error: ${limit}`,
    ],
    [
      'of all together, whatever was found before',
      { validations: [{ expression: 'false', reason: 'Forbidden' }, ...Array.from({ length: 29 }, () => ({ expression: check }))] },
      'validation failed due to running out of cost budget, no further validation rules will be run',
    ],
    [
      'of a message',
      {
        validations: [
          ...Array.from({ length: 28 }, () => ({ expression: check })),
          { expression: 'false', messageExpression: `string([${list}, ${list}].all(a, ${nested}))` },
        ],
      },
      'failed messageExpression: validation failed due to running out of cost budget, no further validation rules will be run',
    ],
  ])('%s are bounded', async (_, spec, message) => {
    await enforce(spec)
    const { json } = await create('test-k8s')
    expect(json).toMatchObject({ reason: 'Invalid', code: 422 })
    expect(json.message).toContain(message)
  })
})

describe('who asks', () => {
  const users = {
    user: { name: 'alice', groups: ['system:authenticated'], uid: '1234' },
    'service account': {
      name: 'system:serviceaccount:default:test-service-acct',
      groups: ['system:serviceaccounts', 'system:authenticated'],
    },
  }
  const grant = async (name: string, subject: string, rules: object): Promise<void> => {
    const group = 'rbac.authorization.k8s.io'
    const [metadata, version] = [{ name }, `${group}/v1`]
    await api.ok('POST', `/apis/${version}/clusterroles`, { body: { apiVersion: version, kind: 'ClusterRole', metadata, rules: [rules] } })
    const subjects = [{ kind: 'User', apiGroup: group, name: subject }]
    const roleRef = { apiGroup: group, kind: 'ClusterRole', name }
    await api.ok('POST', `/apis/${version}/clusterrolebindings`, {
      body: { apiVersion: version, kind: 'ClusterRoleBinding', metadata, subjects, roleRef },
    })
  }
  const specific =
    "authorizer.group('apps').resource('deployments').subresource('status').namespace('default').name('charmander').check('create').allowed()"
  const custom = "authorizer.requestResource.check('anthropomorphize').allowed()"
  const other = "authorizer.serviceAccount('default', 'extra-acct').group('').resource('pods').check('anthropomorphize').allowed()"

  describe.each(Object.entries(users))('a %s', (_, user) => {
    test.each<[string, string, object?, string?]>([
      [
        'a right to one object',
        specific,
        { verbs: ['create'], apiGroups: ['apps'], resources: ['deployments/status'], resourceNames: ['charmander'] },
      ],
      ['a verb of its own on what is written', custom, { verbs: ['anthropomorphize'], apiGroups: [''], resources: ['namespaces'] }],
      [
        'what another account may',
        other,
        { verbs: ['anthropomorphize'], apiGroups: [''], resources: ['pods'] },
        'system:serviceaccount:default:extra-acct',
      ],
    ])('needs %s', async (_right, expression, rules, subject = user.name) => {
      await enforce({ validations: [{ expression }] })
      expect((await create('before', { user })).json).toMatchObject({ reason: 'Invalid', message: denied('before', failed(expression)) })
      await grant('right', subject, rules!)
      await expect.poll(async () => (await create('after', { user })).status).toBe(201)
    })
  })
})

test('no policy is about policies', async () => {
  const everything = { resourceRules: [rule('*', ['*'], ['*'])] }
  await enforce({ matchConstraints: everything, validations: [{ expression: 'false' }] })
  expect((await create('any')).status).toBe(422)
  await api.ok('PATCH', `${registration}/validatingadmissionpolicies/policy`, {
    body: { spec: { failurePolicy: 'Ignore' } },
    headers: merge,
  })
  await api.ok('PATCH', `${registration}/validatingadmissionpolicybindings/binding`, {
    body: { spec: { policyName: 'other' } },
    headers: merge,
  })
  expect((await create('any')).status).toBe(201)
})

test('what a policy takes its parameters from may change at any time', async () => {
  const make = async (kind: string, name: string, prefix: string): Promise<void> => {
    const body = { apiVersion: 'v1', kind, metadata: { name, labels: { prefix } } }
    await api.ok('POST', `/api/v1/namespaces/default/${kind.toLowerCase()}s`, { body })
  }
  await make('ConfigMap', 'one', 'configmap')
  await make('ConfigMap', 'two', 'second')
  await make('Secret', 'one', 'secret')
  const expression = 'object.metadata.name.startsWith(params.metadata.labels.prefix)'
  await enforce(
    { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' }, validations: [{ expression, message: 'wrong prefix' }] },
    {
      paramRef: { name: 'one', namespace: 'default', parameterNotFoundAction: 'Deny' },
    },
  )
  const may = async (...names: string[]): Promise<string[]> => {
    const allowed: string[] = []
    for (const name of names) {
      const { status, json } = await create(name, { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: `${name}-` } } })
      if (status === 201) allowed.push(name)
      else expect(json.message).toMatch(/wrong prefix|no params found for policy binding with `Deny` parameterNotFoundAction/)
    }
    return allowed
  }
  const all = ['configmap', 'second', 'secret']
  expect(await may(...all)).toEqual(['configmap'])
  const policy = `${registration}/validatingadmissionpolicies/policy`
  await api.ok('PATCH', policy, { body: { spec: { paramKind: { apiVersion: 'v1', kind: 'Secret' } } }, headers: merge })
  expect(await may(...all)).toEqual(['secret'])
  await api.ok('PATCH', policy, { body: { spec: { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } } }, headers: merge })
  const binding = `${registration}/validatingadmissionpolicybindings/binding`
  await api.ok('PATCH', binding, { body: { spec: { paramRef: { name: 'two' } } }, headers: merge })
  expect(await may(...all)).toEqual(['second'])
  await api.ok('PATCH', '/api/v1/namespaces/default/configmaps/two', {
    body: { metadata: { labels: { prefix: 'secret' } } },
    headers: merge,
  })
  expect(await may(...all)).toEqual(['secret'])
  await api.ok('DELETE', '/api/v1/namespaces/default/configmaps/two')
  expect(await may(...all)).toEqual([])
  await make('ConfigMap', 'two', 'second')
  expect(await may(...all)).toEqual(['second'])
  await api.ok('DELETE', binding)
  expect(await may(...all)).toEqual(all)
})
