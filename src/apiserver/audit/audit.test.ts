// Policies by themselves, and events of a whole server under one.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fakeRequest } from '../fake-request.testing.ts'
import type { User } from '../request.ts'
import { openWholeServer, person, root, type WholeServer } from '../whole-server.testing.ts'
import { type AuditPolicy, type AuditRule, compileAuditPolicy, parseAuditPolicy } from './policy.ts'

const jane: User = { name: 'jane', groups: ['dev', 'system:authenticated'] }

describe('which rule decides', () => {
  const fits = (rule: Omit<AuditRule, 'level'>, target: string, method = 'GET'): boolean => {
    const { info, path } = fakeRequest(target, { method })
    return compileAuditPolicy({ rules: [{ level: 'Request', ...rule }] })(jane, info, path).level === 'Request'
  }
  const pod = '/api/v1/namespaces/shop/pods/web'

  test.each<[string, Omit<AuditRule, 'level'>, string, boolean]>([
    ['an empty rule fits all', {}, pod, true],
    ['by user', { users: ['jane'] }, pod, true],
    ['by another user', { users: ['joe'] }, pod, false],
    ['by group', { userGroups: ['dev', 'ops'] }, pod, true],
    ['by another group', { userGroups: ['ops'] }, pod, false],
    ['by verb', { verbs: ['get'] }, pod, true],
    ['by another verb', { verbs: ['list'] }, pod, false],
    ['by namespace', { namespaces: ['shop'] }, pod, true],
    ['the empty namespace is the cluster', { namespaces: [''] }, '/api/v1/nodes/a', true],
    ['a namespace is no path', { namespaces: [''] }, '/healthz', false],
    ['by group of resources', { resources: [{ group: '' }] }, pod, true],
    ['by another one', { resources: [{ group: 'apps' }] }, pod, false],
    ['any group', { resources: [{ group: '*', resources: ['pods'] }] }, pod, true],
    ['by resource', { resources: [{ resources: ['pods'] }] }, pod, true],
    ['a resource is not its subresources', { resources: [{ resources: ['pods'] }] }, `${pod}/log`, false],
    ['unless it says so', { resources: [{ resources: ['pods/*'] }] }, `${pod}/log`, true],
    ['which means itself too', { resources: [{ resources: ['pods/*'] }] }, pod, true],
    ['a subresource of anything', { resources: [{ resources: ['*/log'] }] }, `${pod}/log`, true],
    ['everything', { resources: [{ resources: ['*'] }] }, `${pod}/log`, true],
    ['by name', { resources: [{ resources: ['pods'], resourceNames: ['web'] }] }, pod, true],
    ['by another name', { resources: [{ resources: ['pods'], resourceNames: ['db'] }] }, pod, false],
    ['by path', { nonResourceURLs: ['/healthz'] }, '/healthz', true],
    ['by the beginning of a path', { nonResourceURLs: ['/openapi/*'] }, '/openapi/v3', true],
    ['no path', { nonResourceURLs: ['/openapi/*'] }, pod, false],
  ])('%s', (_what, rule, target, expected) => {
    expect(fits(rule, target)).toBe(expected)
  })

  test('the first decides; stages are left out by either; managed fields by the nearer word', () => {
    const decide = compileAuditPolicy({
      rules: [
        { level: 'None', verbs: ['get'] },
        { level: 'Metadata', omitStages: ['ResponseStarted'], omitManagedFields: false },
      ],
      omitStages: ['RequestReceived'],
      omitManagedFields: true,
    })
    const of = (method: string) => {
      const { info, path } = fakeRequest(pod, { method })
      return decide(jane, info, path)
    }
    expect(of('GET').level).toBe('None')
    expect(of('DELETE')).toEqual({ level: 'Metadata', stages: new Set(['ResponseComplete', 'Panic']), omitManagedFields: false })
  })
})

describe('policy files', () => {
  const head = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n'
  test.each([
    ['rules: [{level: Metadata}]', 'an audit policy begins with "apiVersion: audit.k8s.io/v1" and "kind: Policy"'],
    [`${head}rules: []`, 'loaded illegal policy with 0 rules'],
    [`${head}rules: [{}]`, 'rules[0].level: Required value'],
    [
      `${head}rules: [{level: All}]`,
      'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"',
    ],
    [
      `${head}omitStages: [End]\nrules: [{level: None}]`,
      'omitStages[0]: Invalid value: "End": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic',
    ],
    [
      `${head}rules: [{level: None, nonResourceURLs: [health]}]`,
      'rules[0].nonResourceURLs[0]: Invalid value: "health": non-resource URL rules must begin with a \'/\' character',
    ],
    [
      `${head}rules: [{level: None, nonResourceURLs: [/a*b]}]`,
      'rules[0].nonResourceURLs[0]: Invalid value: "/a*b": non-resource URL wildcards \'*\' must be the final character of the rule',
    ],
    [
      `${head}rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]`,
      'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
    [
      `${head}rules: [{level: None, resources: [{resourceNames: [a]}]}]`,
      'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource',
    ],
    [`${head}rules: [{level: None, users: jane}]`, 'rules[0].users: must be a list of texts'],
  ])('%s', (text, message) => {
    expect(() => parseAuditPolicy(text)).toThrow(message)
  })

  test('a good one is read as it stands', () => {
    expect(parseAuditPolicy(`${head}rules:\n- level: Metadata\n  verbs: [create]`)).toMatchObject({
      rules: [{ level: 'Metadata', verbs: ['create'] }],
    })
  })
})

describe('events', () => {
  let server: WholeServer
  const lines: string[] = []
  const policy: AuditPolicy = {
    rules: [
      { level: 'None', users: ['system:apiserver'] },
      { level: 'Metadata', resources: [{ resources: ['secrets', 'serviceaccounts/token'] }] },
      { level: 'RequestResponse', resources: [{ resources: ['configmaps'] }], omitManagedFields: true },
      { level: 'Request', verbs: ['patch'] },
      { level: 'Metadata', omitStages: ['RequestReceived'] },
    ],
  }
  beforeAll(async () => {
    server = await openWholeServer({ auditSink: { write: (line) => void lines.push(line) }, auditPolicy: policy })
    await server.as(root)('POST', '/api/v1/namespaces', { metadata: { name: 'shop' } })
  })
  afterAll(() => server.close())
  // biome-ignore lint/suspicious/noExplicitAny: events are looked into
  const eventsOf = async (run: () => Promise<unknown>): Promise<any[]> => {
    lines.length = 0
    await run()
    return lines.map((line) => JSON.parse(line))
  }
  const maps = '/api/v1/namespaces/shop/configmaps'

  test('all stages and both bodies, where the policy says so', async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: '1' } }
    const events = await eventsOf(() => server.as(root)('POST', maps, body, { 'user-agent': 'test/1' }))
    expect(events.map(({ stage, level }) => [stage, level])).toEqual([
      ['RequestReceived', 'RequestResponse'],
      ['ResponseComplete', 'RequestResponse'],
    ])
    const [first, last] = events
    expect(first).toEqual({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      auditID: last.auditID,
      stage: 'RequestReceived',
      requestURI: maps,
      verb: 'create',
      user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
      sourceIPs: ['127.0.0.1'],
      userAgent: 'test/1',
      objectRef: { resource: 'configmaps', namespace: 'shop', apiVersion: 'v1' },
      requestReceivedTimestamp: '2026-01-01T00:00:00.000000Z',
      stageTimestamp: '2026-01-01T00:00:00.000000Z',
    })
    expect(last).toMatchObject({
      objectRef: { resource: 'configmaps', namespace: 'shop', name: 'a', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: body,
      responseObject: { kind: 'ConfigMap', metadata: { name: 'a', uid: expect.any(String) }, data: { x: '1' } },
      annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
    })
    expect(last.responseObject.metadata.managedFields).toBeUndefined()
  })

  test('lists are told of as they were answered', async () => {
    const events = await eventsOf(() => server.as(root)('GET', maps))
    expect(events.at(-1)).toMatchObject({ verb: 'list', responseObject: { kind: 'ConfigMapList', items: [{ metadata: { name: 'a' } }] } })
    expect(events.at(-1).responseObject.items[0].metadata.managedFields).toBeUndefined()
  })

  test('a refusal has its status, and who was asked', async () => {
    const events = await eventsOf(() => server.as(person('jane'))('POST', maps, { metadata: { name: 'b' } }))
    expect(events.at(-1)).toMatchObject({
      responseStatus: {
        metadata: {},
        status: 'Failure',
        reason: 'Forbidden',
        message: expect.stringContaining('configmaps is forbidden: User "jane" cannot create resource "configmaps"'),
        code: 403,
      },
      annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '' },
    })
  })

  test('what was sent and not what was answered, at level Request', async () => {
    const events = await eventsOf(() =>
      server.as(root)(
        'PATCH',
        '/api/v1/namespaces/shop',
        { metadata: { labels: { a: 'b' } } },
        { 'content-type': 'application/merge-patch+json' },
      ),
    )
    expect(events.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete'])
    expect(events[1]).toMatchObject({ verb: 'patch', requestObject: { metadata: { labels: { a: 'b' } } } })
    expect(events[1].responseObject).toBeUndefined()
  })

  test('MUSTHOLD 13: secrets and tokens stay out at level Metadata', async () => {
    await server.as(root)('POST', '/api/v1/namespaces/shop/serviceaccounts', { metadata: { name: 'robot' } })
    const events = await eventsOf(async () => {
      await server.as(root)('POST', '/api/v1/namespaces/shop/secrets', { metadata: { name: 's' }, stringData: { password: 'hunter2' } })
      await server.as(root)('GET', '/api/v1/namespaces/shop/secrets/s')
      await server.as(root)('POST', '/api/v1/namespaces/shop/serviceaccounts/robot/token', {})
    })
    expect(events).toHaveLength(6)
    expect(JSON.stringify(events)).not.toMatch(/hunter2|aHVudGVyMg|eyJ/)
    expect(events[1]).toMatchObject({ objectRef: { resource: 'secrets', name: 's' }, responseStatus: { code: 201 } })
  })

  test('a long-running request begins and ends', async () => {
    const stop = new AbortController()
    const events = await eventsOf(async () => {
      const transport = server.api.inProcess(root)
      const response = await transport.send({ method: 'GET', path: `${maps}?watch=1`, signal: stop.signal })
      stop.abort()
      try {
        for await (const _ of response.body);
      } catch {
        // It was ended on purpose.
      }
      await transport.close()
    })
    expect(events.map(({ stage, verb }) => [stage, verb])).toEqual([
      ['RequestReceived', 'watch'],
      ['ResponseStarted', 'watch'],
      ['ResponseComplete', 'watch'],
    ])
  })

  test('credentials that do not hold are told of, themselves not', async () => {
    const events = await eventsOf(() => server.wire('GET', '/api/v1/nodes', { headers: { authorization: 'Bearer forged' } }))
    expect(events).toEqual([
      expect.objectContaining({
        stage: 'ResponseStarted',
        user: {},
        responseStatus: {
          metadata: {},
          status: 'Failure',
          message: 'Authentication failed, attempted: bearer',
          reason: 'Unauthorized',
          code: 401,
        },
      }),
    ])
    expect(JSON.stringify(events)).not.toContain('forged')
  })

  test('proxies name those before them; the impersonated and the true user both stand there', async () => {
    const events = await eventsOf(() =>
      server.as(root)('GET', '/version', undefined, { 'x-forwarded-for': '203.0.113.9, junk!, 203.0.113.10', 'impersonate-user': 'jane' }),
    )
    expect(events).toMatchObject([
      {
        sourceIPs: ['203.0.113.9', '203.0.113.10', '127.0.0.1'],
        user: { username: 'admin' },
        impersonatedUser: { username: 'jane', groups: ['system:authenticated'] },
      },
    ])
  })
})
