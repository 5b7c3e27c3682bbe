// A server whose users and rights are configured by files and webhooks: what of it holds for requests, and what happens when it changes.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readAuthorization } from '../authz/authorization-configuration.ts'
import { openWholeServer, person, root, type WholeServer } from '../whole-server.testing.ts'
import type { ConfigFile } from './config-file.ts'
import { type ReviewServer, startReviewServer } from './review-server.testing.ts'

let reviews: ReviewServer
beforeAll(async () => {
  reviews = await startReviewServer()
})
afterAll(() => reviews.close())
beforeEach(() => {
  reviews.asked.length = 0
  reviews.answer(() => 404)
})

interface ChangingFile extends ConfigFile {
  change(text: string): void
}

function changingFile(text: string): ChangingFile {
  const listeners = new Set<(text: string) => void>()
  return {
    text,
    follow: (changed) => void listeners.add(changed),
    change: (next) => {
      for (const listener of listeners) listener(next)
    },
  }
}

function configuration(kind: string, more: object): string {
  return JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind, ...more })
}

function authorization(...authorizers: object[]): string {
  return configuration('AuthorizationConfiguration', { authorizers })
}

function webhook(name: string, more: object = {}): object {
  const connectionInfo = { type: 'KubeConfigFile', kubeConfigFile: reviews.kubeconfig }
  const said = { timeout: '3s', subjectAccessReviewVersion: 'v1', failurePolicy: 'NoOpinion', connectionInfo, ...more }
  return { type: 'Webhook', name, webhook: said }
}

const node = { type: 'Node', name: 'node' }
const rbac = { type: 'RBAC', name: 'rbac' }

async function using(options: Parameters<typeof openWholeServer>[0], run: (server: WholeServer) => Promise<void>): Promise<void> {
  const server = await openWholeServer(options)
  try {
    await run(server)
  } finally {
    await server.close()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return
    await turn()
  }
  throw new Error('waited in vain')
}

describe('anonymous requests', () => {
  const anonymous = (more: object) => changingFile(configuration('AuthenticationConfiguration', { anonymous: more }))

  test('may come to the paths that are named and to no other', () =>
    using({ authenticationConfig: anonymous({ enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] }) }, async (server) => {
      await until(async () => (await server.wire('GET', '/livez')).status === 200)
      expect((await server.wire('GET', '/healthz')).status).toBe(401)
      expect((await server.wire('GET', '/livez/ping')).status).toBe(401)
      expect((await server.wire('GET', '/version')).status).toBe(401)
    }))

  test('may be refused by the file, and that cannot be changed while the server runs', async () => {
    const file = anonymous({ enabled: false })
    await using({ authenticationConfig: file }, async (server) => {
      expect((await server.wire('GET', '/livez')).status).toBe(401)
      file.change(configuration('AuthenticationConfiguration', { anonymous: { enabled: true } }))
      const reloads = async (): Promise<string> => (await server.as(root)('GET', '/metrics')).text
      await until(async () =>
        /apiserver_authentication_config_controller_automatic_reloads_total\{status="failure",[^}]*\} 1/.test(await reloads()),
      )
      expect((await server.wire('GET', '/livez')).status).toBe(401)
    })
  })
})

describe('an authorization webhook', () => {
  const jane = person('jane', 'dev')
  const pods = '/api/v1/namespaces/default/pods'

  test('is asked what the request is about, and its answer is remembered', () =>
    using({ authorizationConfig: changingFile(authorization(webhook('a.example'), node, rbac)) }, async (server) => {
      reviews.answer(({ spec }) => ({ allowed: spec.user === 'jane', reason: 'because' }))
      const as = server.as({ ...jane, uid: 'u1', extra: { scope: ['s'] } })
      expect((await as('GET', `${pods}?labelSelector=app%20in%20(a,b),!c&fieldSelector=spec.nodeName%3Dn1`)).status).toBe(200)
      expect(reviews.asked[0]).toEqual({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: {},
        spec: {
          resourceAttributes: {
            namespace: 'default',
            verb: 'list',
            version: 'v1',
            resource: 'pods',
            fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] },
            labelSelector: {
              requirements: [
                { key: 'app', operator: 'In', values: ['a', 'b'] },
                { key: 'c', operator: 'DoesNotExist' },
              ],
            },
          },
          user: 'jane',
          groups: ['dev', 'system:authenticated'],
          uid: 'u1',
          extra: { scope: ['s'] },
        },
      })
      const plain = server.as(jane)
      for (let i = 0; i < 3; i++) expect((await plain('GET', '/metrics')).status).toBe(200)
      expect(reviews.asked).toHaveLength(2)
      expect(reviews.asked[1].spec.nonResourceAttributes).toEqual({ path: '/metrics', verb: 'get' })
      await server.clock.advance(300_001)
      const { text } = await plain('GET', '/metrics')
      expect(reviews.asked).toHaveLength(3)
      expect(text).toContain('apiserver_authorization_decisions_total{type="Webhook",name="a.example",decision="allowed"} 5')
      expect(text).toContain('apiserver_authorization_webhook_evaluations_total{name="a.example",result="success"} 3')
    }))

  test('that denies is not overruled; one without an opinion leaves it to the next', () =>
    using({ authorizationConfig: changingFile(authorization(webhook('a.example'), node, rbac)) }, async (server) => {
      reviews.answer(() => ({ allowed: false, denied: true, reason: 'never' }))
      const denied = await server.as(jane)('GET', '/version')
      expect([denied.status, denied.json.message]).toEqual([403, 'forbidden: User "jane" cannot get path "/version": never'])
      reviews.answer(() => ({ allowed: false, reason: 'who knows' }))
      expect((await server.as(jane)('GET', '/healthz')).status).toBe(200)
      const unknown = await server.as(jane)('GET', pods)
      expect(unknown.json.message).toBe(
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default": who knows',
      )
      // Nobody is asked about those who may do everything.
      const before = reviews.asked.length
      expect((await server.as(root)('GET', pods)).status).toBe(200)
      expect(reviews.asked).toHaveLength(before)
    }))

  test('that says both is an error', () =>
    using({ authorizationConfig: changingFile(authorization(webhook('a.example'), node, rbac)) }, async (server) => {
      reviews.answer(() => ({ allowed: true, denied: true }))
      expect((await server.as(jane)('GET', pods)).text).toContain('returned both allow and deny response')
    }))

  test('that cannot be asked counts as its failure policy says', () =>
    using(
      { authorizationConfig: changingFile(authorization(webhook('a.example', { failurePolicy: 'Deny' }), node, rbac)) },
      async (server) => {
        const failed = await server.as(jane)('GET', '/healthz')
        expect([failed.status, failed.text]).toEqual([
          500,
          'Internal Server Error: "/healthz": the server could not find the requested resource\n',
        ])
      },
    ).then(() =>
      using({ authorizationConfig: changingFile(authorization(webhook('a.example'), node, rbac)) }, async (server) => {
        expect((await server.as(jane)('GET', '/healthz')).status).toBe(200)
        expect((await server.as(jane)('GET', pods)).status).toBe(500)
        const review = await server.as(root)('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
          spec: { user: 'jane', resourceAttributes: { namespace: 'default', verb: 'list', resource: 'pods' } },
        })
        expect(review.json.status).toEqual({ allowed: false, evaluationError: 'the server could not find the requested resource' })
        const rules = await server.as(jane)('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
          spec: { namespace: 'default' },
        })
        expect(rules.json.status).toMatchObject({
          incomplete: true,
          evaluationError: 'webhook authorizer does not support user rule resolution',
        })
      }),
    ))

  test('is asked only about what its conditions hold for', () => {
    const matchConditions = [
      { expression: "!('system:masters' in request.groups)" },
      { expression: "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'kittens'" },
    ]
    const more = { matchConditions, matchConditionSubjectAccessReviewVersion: 'v1', failurePolicy: 'Deny' }
    return using({ authorizationConfig: changingFile(authorization(webhook('a.example', more), node, rbac)) }, async (server) => {
      reviews.answer(() => ({ allowed: true }))
      expect((await server.as(jane)('GET', pods)).status).toBe(403)
      expect((await server.as(jane)('GET', '/version')).status).toBe(200)
      expect(reviews.asked).toHaveLength(0)
      expect((await server.as(root)('GET', '/metrics')).text).toContain(
        'match_condition_exclusions_total{type="Webhook",name="a.example"} 2',
      )
      expect((await server.as(jane)('GET', '/api/v1/namespaces/kittens/pods')).status).toBe(200)
      expect(reviews.asked).toHaveLength(1)
    })
  })

  test('two that remember nothing are asked once each for a request', () => {
    const more = { cacheAuthorizedRequests: false, cacheUnauthorizedRequests: false }
    return using(
      { authorizationConfig: changingFile(authorization(webhook('a.example', more), webhook('b.example', more))) },
      async (server) => {
        let count = 0
        reviews.answer(() => ({ allowed: ++count % 2 === 0 }))
        for (let i = 0; i < 2; i++) expect((await server.as(jane)('GET', pods)).status).toBe(200)
        expect(reviews.asked).toHaveLength(4)
      },
    )
  })

  test('is asked by expressions of policies too', () =>
    using({ authorizationConfig: changingFile(authorization(webhook('a.example'), node, rbac)) }, async (server) => {
      reviews.answer(({ spec }) => ({ allowed: spec.resourceAttributes?.verb !== 'bless' || spec.resourceAttributes.name === 'good' }))
      const as = server.as(root)
      const api = '/apis/admissionregistration.k8s.io/v1'
      await as('POST', `${api}/validatingadmissionpolicies`, {
        metadata: { name: 'blessed' },
        spec: {
          matchConstraints: {
            resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
          },
          variables: [{ name: 'maps', expression: "authorizer.group('').resource('configmaps').namespace('default')" }],
          validations: [{ expression: "variables.maps.name(object.metadata.name).check('bless').allowed()" }],
        },
      })
      await as('POST', `${api}/validatingadmissionpolicybindings`, {
        metadata: { name: 'blessed' },
        spec: { policyName: 'blessed', validationActions: ['Deny'] },
      })
      const create = (name: string) => server.as(jane)('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name } })
      await until(async () => (await create('bad')).status === 422)
      expect((await create('good')).status).toBe(201)
    }))

  test('speaks an older version when it is told so', () =>
    using(
      { authorizationConfig: changingFile(authorization(webhook('a.example', { subjectAccessReviewVersion: 'v1beta1' }))) },
      async (server) => {
        reviews.answer(() => ({ allowed: true }))
        expect((await server.as(jane)('GET', pods)).status).toBe(200)
        expect(reviews.asked[0]).toMatchObject({
          apiVersion: 'authorization.k8s.io/v1beta1',
          spec: { user: 'jane', group: ['dev', 'system:authenticated'] },
        })
      },
    ))
})

describe('the authorizers', () => {
  const jane = person('jane')
  const secrets = '/api/v1/namespaces/default/secrets'

  test('are those of the file, which may change while the server runs', async () => {
    const file = changingFile(authorization(node, rbac))
    await using({ authorizationConfig: file }, async (server) => {
      const as = server.as(jane)
      expect((await as('GET', secrets)).status).toBe(403)
      file.change(authorization(rbac, { type: 'AlwaysAllow', name: 'alwaysallow' }))
      await until(async () => (await as('GET', secrets)).status === 200)
      const rules = await as('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace: 'default' } })
      expect(rules.json.status).toMatchObject({
        incomplete: false,
        resourceRules: expect.arrayContaining([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]),
      })
      // What is wrong leaves everything as it was.
      file.change(authorization({ type: 'ABAC', name: 'abac' }))
      file.change('nonsense')
      await until(async () =>
        /apiserver_authorization_config_controller_automatic_reloads_total\{status="failure",[^}]*\} 2/.test(
          (await server.as(root)('GET', '/metrics')).text,
        ),
      )
      expect((await as('GET', secrets)).status).toBe(200)
      file.change(authorization(rbac))
      await until(async () => (await as('GET', secrets)).status === 403)
    })
  })

  test('may be none but a policy file, or deny everything', async () => {
    const policy = (spec: object): string =>
      JSON.stringify({ apiVersion: 'abac.authorization.kubernetes.io/v1beta1', kind: 'Policy', spec })
    const abacPolicy = [
      '# people',
      policy({ user: 'jane', namespace: 'default', resource: 'secrets', apiGroup: '', readonly: true }),
      policy({ group: 'system:authenticated', nonResourcePath: '/version*' }),
    ].join('\n')
    await using({ authorizers: [{ type: 'ABAC', name: 'abac' }], abacPolicy }, async (server) => {
      const as = server.as(jane)
      expect((await as('GET', secrets)).status).toBe(200)
      expect((await as('POST', secrets, { metadata: { name: 'a' } })).json.message).toContain('No policy matched.')
      expect((await as('GET', '/api/v1/secrets')).status).toBe(403)
      expect((await server.as(person('joe'))('GET', '/version')).status).toBe(200)
      expect((await server.as(person('joe'))('GET', secrets)).status).toBe(403)
    })
    await using({ authorizers: [{ type: 'AlwaysDeny', name: 'alwaysdeny' }] }, async (server) => {
      const answer = await server.as(jane)('GET', '/version')
      expect(answer.json.message).toBe('forbidden: User "jane" cannot get path "/version": Everything is forbidden.')
    })
  })
})

describe('what an AuthorizationConfiguration is refused for', () => {
  const bare = (more: object): object => ({ type: 'Webhook', name: 'a', ...more })
  const missing = '/nowhere/kubeconfig'
  test.each<[string, object[]]>([
    ['authorizers: Required value: at least one authorization mode must be defined', []],
    ['authorizers[0].type: Required value', [{ name: 'a' }]],
    [
      'authorizers[0].type: Unsupported value: "Foo": supported values: "ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
      [{ type: 'Foo', name: 'foo' }],
    ],
    ['authorizers[1].type: Duplicate value: "RBAC"', [rbac, { ...rbac, name: 'other' }]],
    ['authorizers[0].name: Required value', [{ type: 'RBAC' }]],
    ['authorizers[1].name: Duplicate value: "rbac"', [rbac, { type: 'Node', name: 'rbac' }]],
    ['expected name rbac for authorizer RBAC instead of mine', [{ type: 'RBAC', name: 'mine' }]],
    ['authorizers[0].webhook: Required value: required when type=Webhook', [bare({})]],
    ['authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook', [{ ...rbac, webhook: {} }]],
    [
      '[authorizers[0].timeout: Required value, authorizers[0].subjectAccessReviewVersion: Required value, authorizers[0].failurePolicy: Required value, authorizers[0].connectionInfo.type: Required value]',
      [bare({ webhook: {} })],
    ],
  ])('%s', async (words, authorizers) => {
    await expect(readAuthorization(authorization(...authorizers))).rejects.toThrow(words)
  })

  test.each<[string, object]>([
    ['timeout: Invalid value: "1m0s": must be > 0s and <= 30s', { timeout: '1m' }],
    ['authorizedTTL: Invalid value: "-5s": must be > 0s', { authorizedTTL: '-5s' }],
    ['subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"', { subjectAccessReviewVersion: 'v2' }],
    ['failurePolicy: Unsupported value: "Maybe": supported values: "NoOpinion", "Deny"', { failurePolicy: 'Maybe' }],
    ['connectionInfo.kubeConfigFile: Required value', { connectionInfo: { type: 'KubeConfigFile' } }],
    [
      'connectionInfo.kubeConfigFile: Invalid value: "a/b": must be an absolute path',
      { connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'a/b' } },
    ],
    [
      `connectionInfo.kubeConfigFile: Invalid value: "${missing}": error loading file: stat ${missing}: no such file or directory`,
      { connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: missing } },
    ],
    [
      'connectionInfo.kubeConfigFile: Invalid value: "/dev/null": must be a regular file',
      { connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/dev/null' } },
    ],
    [
      'matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified',
      { matchConditions: [{ expression: 'true' }] },
    ],
    [
      'matchConditions[1].expression: Duplicate value: "true"',
      { matchConditionSubjectAccessReviewVersion: 'v1', matchConditions: [{ expression: 'true' }, { expression: 'true' }] },
    ],
    [
      'matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool but got string',
      { matchConditionSubjectAccessReviewVersion: 'v1', matchConditions: [{ expression: 'request.user' }] },
    ],
    [
      "matchConditions[0].expression: Invalid value: \"request.nobody == ''\": compilation failed: ERROR: <input>:1:8: undefined field 'nobody'",
      { matchConditionSubjectAccessReviewVersion: 'v1', matchConditions: [{ expression: "request.nobody == ''" }] },
    ],
  ])('of a webhook: %s', async (words, more) => {
    const error = (await readAuthorization(authorization(webhook('a.example', more))).catch((caught: unknown) => caught)) as Error
    expect(error.message).toContain(`authorizers[0].${words}`)
  })
})

describe('a token webhook', () => {
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

  test('knows users, is asked once in a while, and is not asked about tokens that others know', () =>
    using(
      { tokenWebhook: { kubeconfigFile: reviews.kubeconfig, version: 'v1', rememberedMs: 120_000 }, tokenFile: 'static,joe,' },
      async (server) => {
        reviews.answer(({ spec }) =>
          spec.token === 'good'
            ? { authenticated: true, user: { username: 'jane', uid: '1', groups: ['dev'], extra: { a: ['b'] } } }
            : { authenticated: false },
        )
        const whoami = (token: string) =>
          server.wire('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { ...bearer(token), body: {} })
        for (let i = 0; i < 2; i++) {
          expect((await whoami('good')).json.status.userInfo).toEqual({
            username: 'jane',
            uid: '1',
            groups: ['dev', 'system:authenticated'],
            extra: { a: ['b'] },
          })
        }
        expect(reviews.asked).toEqual([
          {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenReview',
            metadata: {},
            spec: { token: 'good', audiences: [server.issuer] },
          },
        ])
        for (let i = 0; i < 2; i++) expect((await whoami('bad')).status).toBe(401)
        expect(reviews.asked).toHaveLength(2)
        expect((await whoami('static')).json.status.userInfo.username).toBe('joe')
        expect(reviews.asked).toHaveLength(2)
        await server.clock.advance(120_001)
        await whoami('good')
        expect(reviews.asked).toHaveLength(3)
      },
    ))

  test('that fails or says why knows nobody, and TokenReviews say so', () =>
    using({ tokenWebhook: { kubeconfigFile: reviews.kubeconfig, version: 'v1beta1', rememberedMs: 0 } }, async (server) => {
      const review = async (spec: object) =>
        (await server.as(root)('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec })).json.status
      expect(await review({ token: 't' })).toEqual({
        user: {},
        error: '[invalid bearer token, the server could not find the requested resource]',
      })
      reviews.answer(() => ({ authenticated: false, error: 'too old' }))
      expect(await review({ token: 't' })).toEqual({ user: {}, error: '[invalid bearer token, too old]' })
      reviews.answer(() => ({ authenticated: true, user: { username: 'jane' }, audiences: ['vault'] }))
      expect(await review({ token: 't', audiences: ['vault', 'x'] })).toMatchObject({ authenticated: true, audiences: ['vault'] })
      expect(await review({ token: 't' })).toMatchObject({ user: {} })
      expect((await server.wire('GET', '/version', bearer('t'))).status).toBe(401)
    }))
})
