import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const configMaps = '/api/v1/namespaces/default/configmaps'
const onConfigMaps = { resourceRules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }] }

const policyNamed = (spec: object): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  metadata: { name: 'policy' },
  spec: { matchConstraints: onConfigMaps, ...spec },
})

async function bind(spec: object = {}, name = 'binding'): Promise<void> {
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: 'policy', validationActions: ['Deny'], ...spec },
  }
  await api.ok('POST', `${registration}/validatingadmissionpolicybindings`, { body })
}

async function enforce(spec: object, binding: object = {}): Promise<void> {
  await api.ok('POST', `${registration}/validatingadmissionpolicies`, { body: policyNamed(spec) })
  await bind(binding)
}

const createMap = (data: Record<string, string> = {}, labels: Record<string, string> = {}): Promise<Answer> =>
  api.call('POST', configMaps, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'm-', labels }, data } })

const denied = (message: string): string =>
  `configmaps "m-" is forbidden: ValidatingAdmissionPolicy 'policy' with binding 'binding' denied request: ${message}`

describe('a validation that fails', () => {
  test.each<[string, object, string]>([
    ['says its expression', {}, "failed expression: has(object.data) && 'a' in object.data"],
    ['says its message', { message: ' a is needed ' }, 'a is needed'],
    ['says what its message expression says', { messageExpression: "'needs a, not ' + object.data.map(k, k).join()" }, 'needs a, not b'],
    ['falls back to its message', { messageExpression: 'string(object.data.nothing)', message: 'plain' }, 'plain'],
  ])('%s', async (_, more, message) => {
    await enforce({ validations: [{ expression: "has(object.data) && 'a' in object.data", ...more }] })
    const answer = await createMap({ b: '1' })
    const text = answer.json.message.replace(/"m-[a-z0-9]*"/, '"m-"')
    expect(text).toBe(denied(message))
    expect(answer.json).toMatchObject({ reason: 'Invalid', code: 422, details: { kind: 'configmaps' } })
    expect((await createMap({ a: '1' })).status).toBe(201)
  })

  test('answers with its reason', async () => {
    await enforce({ validations: [{ expression: 'false', reason: 'RequestEntityTooLarge' }] })
    expect((await createMap()).json).toMatchObject({ reason: 'RequestEntityTooLarge', code: 413 })
  })

  test('warns and is noted when its binding says so', async () => {
    await enforce({ validations: [{ expression: 'false', message: 'hm' }] }, { validationActions: ['Warn', 'Audit'] })
    const answer = await createMap()
    expect(answer.status).toBe(201)
    expect(answer.warnings).toEqual(["Validation failed for ValidatingAdmissionPolicy 'policy' with binding 'binding': hm"])
  })

  test('whose expression errs refuses, unless failures are ignored', async () => {
    await enforce({ validations: [{ expression: 'object.data.missing == "x"' }] })
    expect((await createMap({ a: '1' })).json.message).toContain(
      'denied request: expression \'object.data.missing == "x"\' resulted in error: no such key: missing',
    )
    await api.ok('PATCH', `${registration}/validatingadmissionpolicies/policy`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { failurePolicy: 'Ignore' } },
    })
    expect((await createMap({ a: '1' })).status).toBe(201)
  })

  test('for cost refuses', async () => {
    const expression = 'object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != "x"))))'
    await enforce({ validations: [{ expression }] })
    const data = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, '']))
    expect((await createMap(data)).json.message).toContain('actual cost limit exceeded')
  })
})

describe('expressions see', () => {
  const check = async (expression: string, more: object = {}): Promise<Answer> => {
    await enforce({ validations: [{ expression, message: 'not seen' }], ...more })
    return createMap({ a: '1' })
  }

  test.each<[string]>([
    ["request.operation == 'CREATE' && request.resource.resource == 'configmaps' && request.namespace == 'default'"],
    ["request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups && !request.dryRun"],
    ['oldObject == null && object.kind == "ConfigMap"'],
    ["namespaceObject.metadata.name == 'default' && namespaceObject.status.phase == 'Active'"],
    ["authorizer.group('').resource('pods').namespace('default').check('delete').allowed()"],
    ["authorizer.requestResource.check('create').allowed() && authorizer.path('/healthz').check('get').allowed()"],
    ["!authorizer.serviceAccount('default', 'default').group('').resource('pods').check('get').allowed()"],
  ])('%s', async (expression) => {
    expect((await check(expression)).status).toBe(201)
  })

  test('variables, one built upon another', async () => {
    const variables = [
      { name: 'names', expression: 'object.data.map(k, k)' },
      { name: 'count', expression: 'size(variables.names)' },
    ]
    expect((await check('variables.count == 1 && variables.names[0] == "a"', { variables })).status).toBe(201)
  })
})

test('match conditions keep a policy away from writes', async () => {
  const matchConditions = [{ name: 'strict-only', expression: "has(object.metadata.labels) && 'strict' in object.metadata.labels" }]
  await enforce({ validations: [{ expression: 'false' }], matchConditions })
  expect((await createMap()).status).toBe(201)
  expect((await createMap({}, { strict: '' })).status).toBe(422)
})

test('bindings narrow what a policy matches, and rules exclude', async () => {
  const matchConstraints = { ...onConfigMaps, excludeResourceRules: [{ ...onConfigMaps.resourceRules[0], resourceNames: ['spared'] }] }
  await enforce(
    { validations: [{ expression: 'false' }], matchConstraints },
    { matchResources: { objectSelector: { matchLabels: { strict: 'yes' } } } },
  )
  expect((await createMap()).status).toBe(201)
  expect((await createMap({}, { strict: 'yes' })).status).toBe(422)
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'spared', labels: { strict: 'yes' } } }
  expect((await api.call('POST', configMaps, { body })).status).toBe(201)
})

describe('parameters', () => {
  const paramKind = { apiVersion: 'v1', kind: 'Secret' }
  const limit = (name: string, data: Record<string, string>): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels: { limits: '' } },
    stringData: data,
  })

  test('are found by name or by selector, and each must be satisfied', async () => {
    await api.ok('POST', '/api/v1/namespaces/default/secrets', { body: limit('one', { key: 'a' }) })
    await api.ok('POST', '/api/v1/namespaces/default/secrets', { body: limit('two', { key: 'b' }) })
    const validations = [{ expression: 'params.metadata.name in object.data' }]
    await enforce({ paramKind, validations }, { paramRef: { selector: { matchLabels: { limits: '' } }, parameterNotFoundAction: 'Deny' } })
    expect((await createMap({ one: '' })).status).toBe(422)
    expect((await createMap({ one: '', two: '' })).status).toBe(201)
  })

  test('that are not there deny, or do not matter', async () => {
    const ref = { name: 'none', parameterNotFoundAction: 'Deny' }
    await enforce({ paramKind, validations: [{ expression: 'params != null' }] }, { paramRef: ref })
    expect((await createMap()).json.message).toContain(
      'denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
    )
    await api.ok('DELETE', `${registration}/validatingadmissionpolicybindings/binding`)
    await bind({ paramRef: { ...ref, parameterNotFoundAction: 'Allow' } })
    expect((await createMap()).status).toBe(201)
  })
})

describe('a policy that cannot do its work denies, although it would only warn', () => {
  const warning = { validationActions: ['Warn'] }

  test('for want of parameters, unless failures are ignored', async () => {
    const ref = { name: 'none', parameterNotFoundAction: 'Deny' }
    await enforce(
      { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' }, validations: [{ expression: 'true' }] },
      { ...warning, paramRef: ref },
    )
    expect((await createMap()).json).toMatchObject({ code: 422, reason: 'Invalid' })
    await api.ok('PATCH', `${registration}/validatingadmissionpolicies/policy`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { failurePolicy: 'Ignore' } },
    })
    expect((await createMap()).status).toBe(201)
  })

  test('for want of a kind of parameters, and names no binding then', async () => {
    await enforce({ paramKind: { apiVersion: 'example.com/v1', kind: 'Nothing' }, validations: [{ expression: 'true' }] }, warning)
    expect((await createMap()).json.message).toContain(
      "ValidatingAdmissionPolicy 'policy' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Nothing'",
    )
  })

  test('for an annotation that cannot be made', async () => {
    await enforce({ auditAnnotations: [{ key: 'k', valueExpression: 'string(object.nothing.there)' }] }, warning)
    expect((await createMap()).json.message).toContain(
      "denied request: expression 'string(object.nothing.there)' resulted in error: no such key: nothing",
    )
  })
})

describe('a policy is refused whose expressions', () => {
  test.each<[string, object, string]>([
    [
      'name what is not there',
      { expression: 'nothing' },
      `spec.validations[0].expression: Invalid value: "nothing": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')`,
    ],
    [
      'are no conditions',
      { expression: '1 + 1' },
      'spec.validations[0].expression: Invalid value: "1 + 1": must evaluate to bool but got int',
    ],
    ['may be anything', { expression: 'object.flag' }, 'Invalid value: "object.flag": must evaluate to bool but got dyn'],
    ['wait for what is no duration', { expression: "duration('soon') > duration('1s')" }, 'ERROR: <input>:1:10: invalid duration argument'],
    ['match by what is no pattern', { expression: "object.metadata.name.matches('x(')" }, 'ERROR: <input>:1:30: invalid matches argument'],
    [
      'search by what is no pattern',
      { expression: "string(object.x).find(')') == ''" },
      'program instantiation failed: error parsing regexp: unexpected ): `)`',
    ],
    ['convert what cannot be converted', { expression: "int('one') == 1" }, 'program instantiation failed: '],
    ['mix types in a list', { expression: "object.x in [1, 'a']" }, "ERROR: <input>:1:17: expected type 'int' but found 'string'"],
    ['misspell the request', { expression: "request.verb == 'x'" }, "undefined field 'verb'"],
    [
      'explain by asking',
      { expression: 'true', messageExpression: 'authorizer.path("/").check("get").reason()' },
      "undeclared reference to 'authorizer'",
    ],
  ])('%s', async (_, validation, message) => {
    const answer = await api.call('POST', `${registration}/validatingadmissionpolicies`, {
      body: policyNamed({ validations: [validation] }),
    })
    expect(answer.status).toBe(422)
    expect(answer.json.message).toContain(message)
  })
})
