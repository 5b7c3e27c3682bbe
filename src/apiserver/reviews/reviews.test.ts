// Reviews and token requests as clients send them: what is refused, what is answered, to the word.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../request.ts'
import { openWholeServer, person, root, type WholeServer } from '../whole-server.testing.ts'

let server: WholeServer
const authorization = '/apis/authorization.k8s.io/v1'
const accounts = '/api/v1/namespaces/default/serviceaccounts'
const node: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }

beforeAll(async () => {
  server = await openWholeServer()
  await server.as(root)('POST', accounts, { metadata: { name: 'robot' } })
})
afterAll(() => server.close())

describe('access reviews', () => {
  const pods = { verb: 'list', resource: 'pods', namespace: 'default' }
  const review = (spec: object, metadata = {}) => server.as(root)('POST', `${authorization}/subjectaccessreviews`, { metadata, spec })

  test.each<[string, object, object, string]>([
    [
      'both kinds of question',
      { user: 'a', resourceAttributes: pods, nonResourceAttributes: { path: '/', verb: 'get' } },
      {},
      'spec.nonResourceAttributes: Invalid value:',
    ],
    [
      'none',
      { user: 'a' },
      {},
      'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    ],
    ['nobody', { resourceAttributes: pods }, {}, 'spec.user: Invalid value: "": at least one of user or group must be specified'],
    ['a name', { user: 'a', resourceAttributes: pods }, { name: 'x' }, 'metadata: Invalid value: {"name":"x"}: must be empty'],
    [
      'both forms of a selector',
      {
        user: 'a',
        resourceAttributes: { ...pods, fieldSelector: { rawSelector: 'a=b', requirements: [{ key: 'a', operator: 'In', values: ['b'] }] } },
      },
      {},
      'spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements',
    ],
    [
      'an empty selector',
      { user: 'a', resourceAttributes: { ...pods, labelSelector: {} } },
      {},
      'spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required',
    ],
    [
      'a requirement without values',
      { user: 'a', resourceAttributes: { ...pods, fieldSelector: { requirements: [{ key: 'a', operator: 'In' }] } } },
      {},
      "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
    [
      'a label that cannot be one',
      { user: 'a', resourceAttributes: { ...pods, labelSelector: { requirements: [{ key: '', operator: 'Exists' }] } } },
      {},
      'spec.resourceAttributes.labelSelector.requirements[0].key: Invalid value: "": name part must be non-empty',
    ],
    [
      'a value that no label can have',
      { user: 'a', resourceAttributes: { ...pods, labelSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b c'] }] } } },
      {},
      'spec.resourceAttributes.labelSelector.requirements[0].values[0]: Invalid value: "b c": a valid label must be an empty string',
    ],
    [
      'a field without a name',
      { user: 'a', resourceAttributes: { ...pods, fieldSelector: { requirements: [{ key: '', operator: 'In', values: ['b'] }] } } },
      {},
      'spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified',
    ],
  ])('with %s are invalid', async (_what, spec, metadata, words) => {
    const answer = await review(spec, metadata)
    expect([answer.status, answer.json.message]).toEqual([422, expect.stringContaining(words)])
  })

  test('a selector narrows the question down, for who decides by it', async () => {
    const asked = async (fieldSelector: object): Promise<unknown> =>
      (await review({ user: node.name, groups: node.groups, resourceAttributes: { verb: 'list', resource: 'pods', fieldSelector } })).json
        .status.allowed
    expect(await asked({ rawSelector: 'spec.nodeName=n1' })).toBe(true)
    expect(await asked({ requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] })).toBe(true)
    expect(await asked({ rawSelector: 'spec.nodeName=n2' })).toBe(false)
    expect(await asked({ requirements: [{ key: 'spec.nodeName', operator: 'NotIn', values: ['n1'] }] })).toBe(false)
  })

  test.each([
    ['fieldSelector', { rawSelector: 'a' }, 'spec.resourceAttributes.fieldSelector ignored due to parse error'],
    [
      'fieldSelector',
      { requirements: [{ key: 'a', operator: 'Exists' }] },
      'spec.resourceAttributes.fieldSelector ignored due to parse error',
    ],
    [
      'labelSelector',
      {
        requirements: [
          { key: 'a', operator: 'Exists' },
          { key: 'b', operator: 'Unknown' },
        ],
      },
      'spec.resourceAttributes.labelSelector partially ignored due to parse error',
    ],
  ])('a %s that cannot be read narrows nothing: %j', async (name, selector, words) => {
    const { status, json } = await review({ user: 'a', groups: ['system:masters'], resourceAttributes: { ...pods, [name]: selector } })
    expect([status, json.status]).toEqual([201, { allowed: true, evaluationError: words }])
  })

  test('in one namespace are about it', async () => {
    const local = (spec: object, metadata = {}) =>
      server.as(root)('POST', `${authorization}/namespaces/default/localsubjectaccessreviews`, { metadata, spec })
    expect((await local({ user: 'a', resourceAttributes: pods })).json).toMatchObject({
      metadata: { namespace: 'default' },
      status: { allowed: false },
    })
    for (const [spec, words] of [
      [
        { user: 'a', resourceAttributes: { ...pods, namespace: 'other' } },
        'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
      ],
      [{ user: 'a', nonResourceAttributes: { path: '/', verb: 'get' } }, 'disallowed on this kind of request'],
    ] as const) {
      expect((await local(spec)).json.message).toContain(words)
    }
  })
})

describe('rules reviews', () => {
  const rules = (user: User) => server.as(user)('POST', `${authorization}/selfsubjectrulesreviews`, { spec: { namespace: 'default' } })

  test('name each rule as it stands in its role', async () => {
    const { json } = await rules(person('jane'))
    expect([json.spec, json.status.incomplete]).toEqual([{}, false])
    expect(json.status.resourceRules).toContainEqual({
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    })
    expect((await server.as(root)('POST', `${authorization}/selfsubjectrulesreviews`, { spec: {} })).json.message).toBe(
      'no namespace on request',
    )
  })

  test('say of nodes that they do not know all', async () => {
    expect((await rules(node)).json.status).toMatchObject({
      incomplete: true,
      evaluationError: 'node authorizer does not support user rule resolution',
    })
  })

  test('tell of roles that are not there', async () => {
    await server.as(root)('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'to-nowhere' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'nowhere' },
      subjects: [{ kind: 'User', name: 'lost', apiGroup: 'rbac.authorization.k8s.io' }],
    })
    expect((await rules(person('lost'))).json.status).toMatchObject({
      incomplete: false,
      evaluationError: 'clusterrole.rbac.authorization.k8s.io "nowhere" not found',
    })
  })
})

test('who am I', async () => {
  const { json } = await server.as(person('jane', 'dev'))('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
  expect(json).toEqual({
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
    status: { userInfo: { username: 'jane', groups: ['dev', 'system:authenticated'] } },
  })
})

describe('token requests', () => {
  const token = (body: object) => server.as(root)('POST', `${accounts}/robot/token`, body)

  test.each<[string, object, number, string]>([
    [
      'another name',
      { metadata: { name: 'other' } },
      422,
      'TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified',
    ],
    [
      'another namespace',
      { metadata: { namespace: 'other' } },
      400,
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'too short a time',
      { spec: { expirationSeconds: 599 } },
      422,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    ],
    ['too long a time', { spec: { expirationSeconds: 4_294_967_297 } }, 422, 'may not specify a duration larger than 2^32 seconds'],
    [
      'another account’s uid',
      { metadata: { uid: 'other' } },
      409,
      'the UID in the token request (other) does not match the UID of the service account',
    ],
    ['a pod that is not there', { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'x' } } }, 404, 'pods "x" not found'],
    [
      'something else',
      { spec: { boundObjectRef: { kind: 'Thing', apiVersion: 'v1', name: 'x' } } },
      400,
      'cannot bind token to object of type /v1, Kind=Thing',
    ],
  ])('for %s', async (_what, body, code, words) => {
    const answer = await token(body)
    expect([answer.status, answer.json.message]).toEqual([code, expect.stringContaining(words)])
  })

  test('a token is named in the audit log by its id alone', async () => {
    const events: string[] = []
    const audited = await openWholeServer({ auditSink: { write: (line) => void events.push(line) } })
    await audited.as(root)('POST', accounts, { metadata: { name: 'robot' } })
    const { json } = await audited.as(root)('POST', `${accounts}/robot/token`, {})
    const { jti } = JSON.parse(Buffer.from(json.status.token.split('.')[1], 'base64url').toString())
    const told = events.map((line) => JSON.parse(line)).find(({ objectRef }) => objectRef?.subresource === 'token')
    expect(told.annotations['authentication.kubernetes.io/issued-credential-id']).toBe(`JTI=${jti}`)
    await audited.close()
  })

  test('a longer life than is allowed is cut, with a warning', async () => {
    const bounded = await openWholeServer({
      serviceAccounts: { signingKeyPem: (await import('#platform/x509')).createPrivateKeyPem(), issuer: 'https://me', secondsMax: 3_600 },
    })
    await bounded.as(root)('POST', accounts, { metadata: { name: 'robot' } })
    const { headers, json } = await bounded.as(root)('POST', `${accounts}/robot/token`, { spec: { expirationSeconds: 7_200 } })
    expect([headers['warning'], json.spec.expirationSeconds, json.status.expirationTimestamp]).toEqual([
      '299 - "requested expiration of 7200 seconds shortened to 3600 seconds"',
      3_600,
      '2026-01-01T01:00:00Z',
    ])
    await bounded.close()
  })

  test('a token of a pod names its node, even one that is gone', async () => {
    await server.as(root)('POST', '/api/v1/namespaces/default/pods', {
      metadata: { name: 'web' },
      spec: { serviceAccountName: 'robot', nodeName: 'gone', containers: [{ name: 'a', image: 'navarch.local/a' }] },
    })
    const { json } = await token({ spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web' } } })
    const claims = JSON.parse(Buffer.from(json.status.token.split('.')[1], 'base64url').toString())
    expect(claims['kubernetes.io']).toMatchObject({ pod: { name: 'web' }, node: { name: 'gone' } })
    const { json: review } = await server.as(root)('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      spec: { token: json.status.token },
    })
    expect(review.status.user.extra).toMatchObject({
      'authentication.kubernetes.io/node-name': ['gone'],
      'authentication.kubernetes.io/pod-name': ['web'],
    })
  })

  test('what a pod is given by itself holds a year, for who read it once; all else holds as long as was asked', async () => {
    const claimsOf = async (spec: object) => {
      const { json } = await token({ spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web' }, ...spec } })
      const { exp, iat, 'kubernetes.io': own } = JSON.parse(Buffer.from(json.status.token.split('.')[1], 'base64url').toString())
      return [exp - iat, own.warnafter === undefined ? undefined : own.warnafter - iat, json.status.expirationTimestamp]
    }
    expect(await claimsOf({ expirationSeconds: 3_607 })).toEqual([31_536_000, 3_607, '2026-01-01T01:00:07Z'])
    expect(await claimsOf({ expirationSeconds: 3_608 })).toEqual([3_608, undefined, '2026-01-01T01:00:08Z'])
    expect(await claimsOf({ expirationSeconds: 3_607, audiences: ['vault'] })).toEqual([3_607, undefined, '2026-01-01T01:00:07Z'])
  })

  test('requests without credentials can be refused', async () => {
    const closed = await openWholeServer({ anonymousAuth: false })
    expect((await closed.wire('GET', '/version')).status).toBe(401)
    await closed.close()
    expect((await server.wire('GET', '/version')).status).toBe(200)
  })
})
