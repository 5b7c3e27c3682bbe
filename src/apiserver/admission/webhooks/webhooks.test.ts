import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { openTestCore, type TestCore } from '../../api-core.testing.ts'
import { fakeReader } from '../../fake-reader.testing.ts'
import { createAddressGuard } from '../../streaming/address-guard.ts'
import { createWebhookClient } from './call-webhook.ts'
import { type Review, startWebhookServer, type WebhookServer } from './webhook-server.testing.ts'

let server: WebhookServer
let api: TestCore

beforeAll(async () => {
  server = await startWebhookServer(['hook.default.svc'])
})
afterAll(() => server.close())
beforeEach(async () => {
  server.asked.length = 0
  api = await openTestCore({ advertise: { address: '127.0.0.1', port: 6443 } })
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const configMaps = '/api/v1/namespaces/default/configmaps'
const onConfigMaps = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }

async function register(kind: 'Validating' | 'Mutating', name: string, ...webhooks: object[]): Promise<void> {
  const full = webhooks.map((webhook, i) => ({
    name: `w${i}.${name}.test`,
    rules: [onConfigMaps],
    clientConfig: server.clientConfig(`/${name}`),
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...webhook,
  }))
  const plural = `${kind.toLowerCase()}webhookconfigurations`
  const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind: `${kind}WebhookConfiguration`, metadata: { name }, webhooks: full }
  await api.ok('POST', `${registration}/${plural}`, { body })
}

const configMap = (name: string, more: object = {}): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...more } })
const createMap = (name: string, more?: object) => api.call('POST', configMaps, { body: configMap(name, more) })
const patchOf = (...operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
})

describe('a validating webhook', () => {
  test('is shown the write and refuses it in its own words', async () => {
    server.answer('/deny', () => ({ allowed: false, status: { code: 403, reason: 'Forbidden', message: 'no such maps' } }))
    await register('Validating', 'deny', {})
    const answer = await api.call('POST', `${configMaps}?fieldManager=me&dryRun=All`, { body: configMap('a') })
    expect(answer.json).toMatchObject({
      status: 'Failure',
      message: 'admission webhook "w0.deny.test" denied the request: no such maps',
      reason: 'Forbidden',
      code: 403,
    })
    expect(server.asked).toMatchObject([
      {
        path: '/deny',
        query: '?timeout=10s',
        request: {
          kind: { group: '', version: 'v1', kind: 'ConfigMap' },
          resource: { group: '', version: 'v1', resource: 'configmaps' },
          requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
          requestResource: { group: '', version: 'v1', resource: 'configmaps' },
          name: 'a',
          namespace: 'default',
          operation: 'CREATE',
          userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
          object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a', namespace: 'default' } },
          oldObject: null,
          dryRun: true,
          options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'], fieldManager: 'me' },
        },
      },
    ])
  })

  test('that says nothing is told of without explanation, as a bad request', async () => {
    server.answer('/mute', () => ({ allowed: false }))
    await register('Validating', 'mute', {})
    const answer = await createMap('a')
    expect(answer).toMatchObject({
      status: 400,
      json: { message: 'admission webhook "w0.mute.test" denied the request without explanation' },
    })
  })

  test('sees old and new object of an update, and the old one of a deletion', async () => {
    server.answer('/look', () => ({ allowed: true, warnings: ['seen'], auditAnnotations: { k: 'v' } }))
    await createMap('a')
    await register('Validating', 'look', {})
    await api.ok('PUT', `${configMaps}/a`, { body: { ...configMap('a'), data: { x: '1' } } })
    const deleted = await api.ok('DELETE', `${configMaps}/a`, { body: { gracePeriodSeconds: 3 } })
    expect(deleted.warnings).toEqual(['seen'])
    expect(server.asked.map(({ request }) => [request.operation, request.object?.data, request.oldObject?.metadata.name])).toEqual([
      ['UPDATE', { x: '1' }, 'a'],
      ['DELETE', undefined, 'a'],
    ])
    expect(server.asked[1]!.request.options).toMatchObject({ kind: 'DeleteOptions', gracePeriodSeconds: 3 })
  })

  test('is not asked again about a pod that is going away already, unless it is to go sooner', async () => {
    await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
    })
    const pods = '/api/v1/namespaces/default/pods'
    const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] }
    await api.ok('POST', pods, { body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec } })
    server.answer('/look', () => ({ allowed: true }))
    await register('Validating', 'look', { rules: [{ ...onConfigMaps, resources: ['pods'] }] })
    const remove = (gracePeriodSeconds?: number) =>
      api.ok('DELETE', `${pods}/p`, gracePeriodSeconds === undefined ? {} : { body: { gracePeriodSeconds } })
    const graces: (number | undefined)[] = []
    for (const seconds of [30, 30, undefined, 60, 10, 0]) {
      await remove(seconds)
      graces.push(server.asked.length)
    }
    expect(graces).toEqual([1, 1, 1, 1, 2, 3])
    expect((await api.call('GET', `${pods}/p`)).status).toBe(404)
  })

  test('is asked only about what its rules and selectors mean', async () => {
    server.answer('/some', () => ({ allowed: false }))
    await register(
      'Validating',
      'some',
      { rules: [{ ...onConfigMaps, operations: ['DELETE'] }] },
      { rules: [{ ...onConfigMaps, resources: ['secrets', '*/status'] }] },
      { rules: [{ ...onConfigMaps, scope: 'Cluster' }] },
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'other' } } },
      { objectSelector: { matchExpressions: [{ key: 'strict', operator: 'Exists' }] } },
    )
    expect((await createMap('a')).status).toBe(201)
    expect(server.asked).toEqual([])
    const strict = await createMap('b', { labels: { strict: '' } })
    expect(strict.json.message).toContain('"w4.some.test"')
  })

  test('is spared what its match conditions leave out, and refuses what they cannot say when it must', async () => {
    server.answer('/conditions', () => ({ allowed: false, status: { message: 'asked' } }))
    const matchConditions = [{ name: 'not-spared', expression: "object.metadata.labels['spared'] != 'yes'" }]
    await register('Validating', 'conditions', { matchConditions })
    expect((await createMap('a', { labels: { spared: 'yes' } })).status).toBe(201)
    expect((await createMap('b', { labels: { spared: 'no' } })).json.message).toContain('asked')
    const unsaid = await createMap('c', { labels: { other: '' } })
    expect(unsaid).toMatchObject({ status: 403 })
    expect(unsaid.json.message).toBe(
      "configmaps \"c\" is forbidden: expression 'object.metadata.labels['spared'] != 'yes'' resulted in error: no such key: spared",
    )
  })

  test('has nothing to change, and says in the audit log only what has a proper name', async () => {
    const auditAnnotations = { fine: 'yes', 'not/fine': 'no', 'nor this': 'no' }
    server.answer('/note', () => ({ allowed: true, auditAnnotations }))
    await register('Validating', 'note', {})
    expect((await createMap('a')).annotations).toEqual({ 'w0.note.test/fine': 'yes' })
    server.answer('/note', () => patchOf({ op: 'add', path: '/data', value: {} }))
    expect((await createMap('b')).json.message).toContain(
      'received invalid webhook response: validating webhook may not return response.patch',
    )
  })

  test('for another version of the resource is shown that version, unless it matches exactly', async () => {
    server.answer('/versions', () => ({ allowed: true }))
    const v1 = { operations: ['CREATE'], apiGroups: ['autoscaling'], apiVersions: ['v1'], resources: ['horizontalpodautoscalers'] }
    await register('Validating', 'versions', { rules: [v1] }, { rules: [v1], matchPolicy: 'Exact' })
    const spec = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 3 }
    const body = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web' }, spec }
    await api.ok('POST', '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers', { body })
    expect(server.asked.map(({ request }) => [request.kind.version, request.requestKind.version, request.object.apiVersion])).toEqual([
      ['v1', 'v2', 'autoscaling/v1'],
    ])
  })

  test('sees the Scale of a scaled workload', async () => {
    server.answer('/scale', () => ({ allowed: false, status: { message: 'stay as you are' } }))
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/c' }] } }
    const spec = { replicas: 1, selector: { matchLabels: { a: 'b' } }, template }
    const deployments = '/apis/apps/v1/namespaces/default/deployments'
    await api.ok('POST', deployments, { body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec } })
    await register('Validating', 'scale', {
      rules: [{ operations: ['UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['*/scale'] }],
    })
    const body = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web' }, spec: { replicas: 5 } }
    expect((await api.call('PUT', `${deployments}/web/scale`, { body })).json.message).toContain('stay as you are')
    expect(server.asked[0]!.request).toMatchObject({
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      resource: { resource: 'deployments' },
      subResource: 'scale',
      object: { spec: { replicas: 5 } },
      oldObject: { spec: { replicas: 1 } },
    })
  })

  test('is never asked about configurations of admission', async () => {
    server.answer('/all', () => ({ allowed: false }))
    await register('Validating', 'all', { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }] })
    expect((await createMap('a')).status).toBe(400)
    await api.ok('DELETE', `${registration}/validatingwebhookconfigurations/all`)
    expect((await createMap('a')).status).toBe(201)
  })

  test('may refuse a connection to a pod', async () => {
    server.answer('/attach', () => ({ allowed: false, status: { message: 'attaching is not allowed' } }))
    await api.close()
    const raw = { type: 'raw' as const, group: '', resource: 'pods', handle: async () => ({ status: 200, headers: {}, body: undefined }) }
    const handlers = () => ['attach', 'log'].map((subresource) => ({ ...raw, subresource }))
    api = await openTestCore({ handlers })
    await register('Validating', 'attach', {
      rules: [{ operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/attach'] }],
    })
    const pod = '/api/v1/namespaces/default/pods/p'
    expect((await api.call('POST', `${pod}/attach?stdin=True&stdout&stderr=False&container=c`)).json.message).toContain(
      'attaching is not allowed',
    )
    expect(server.asked[0]!.request).toMatchObject({
      kind: { kind: 'PodAttachOptions' },
      operation: 'CONNECT',
      name: 'p',
      object: { kind: 'PodAttachOptions', apiVersion: 'v1', stdin: true, stdout: true, container: 'c' },
      options: null,
    })
    // What is not asked for, or refused in any spelling, is not there.
    expect(server.asked[0]!.request).not.toHaveProperty('object.stderr')
    expect((await api.call('GET', `${pod}/log`)).status).toBe(200)
  })
})

describe('a webhook that fails', () => {
  const url = (path: string) => `https://127.0.0.1:${server.port}${path}?timeout=10s`

  test.each<[string, () => object, () => string]>([
    [
      'with a status of its own',
      () => ({ clientConfig: server.clientConfig('/500') }),
      () => 'failed to call webhook: an error on the server ("as you wish") has prevented the request from succeeding',
    ],
    [
      'with an answer for another question',
      () => ({ clientConfig: server.clientConfig('/uid') }),
      () => 'received invalid webhook response: expected response.uid=',
    ],
    [
      'because nobody listens',
      () => ({ clientConfig: { url: 'https://127.0.0.1:1/x', caBundle: server.caBundle } }),
      () => 'failed to call webhook: Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    ],
    [
      'because nobody vouches for it',
      () => ({ clientConfig: { url: server.clientConfig('/x').url } }),
      () => `failed to call webhook: Post "${url('/x')}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    ],
    [
      'because its service is not there',
      () => ({ clientConfig: { service: { name: 'none', namespace: 'default', path: '/x' }, caBundle: server.caBundle } }),
      () => 'failed to call webhook: Post "https://none.default.svc:443/x?timeout=10s": services "none" not found',
    ],
  ])('%s fails the write, or not, as its policy says', async (_, clientConfig, message) => {
    server.answer('/500', () => 500)
    server.answer('/uid', () => ({ uid: 'other', allowed: true }))
    await register('Validating', 'broken', { ...clientConfig(), failurePolicy: 'Fail' })
    const answer = await createMap('a')
    expect(answer).toMatchObject({ status: 500, json: { reason: 'InternalError' } })
    expect(answer.json.message).toContain(`Internal error occurred: failed calling webhook "w0.broken.test": ${message()}`)
    const configuration = `${registration}/validatingwebhookconfigurations/broken`
    await api.ok('PATCH', configuration, {
      headers: { 'content-type': 'application/json-patch+json' },
      body: [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }],
    })
    expect((await createMap('a')).status).toBe(201)
  })

  test('to answer in time fails when its time is over', async () => {
    const asked = new Promise<void>((resolve) => {
      server.answer('/slow', () => void resolve())
    })
    await register('Validating', 'slow', { timeoutSeconds: 2 })
    const answer = createMap('a')
    await asked
    await api.clock.advance(2_000)
    expect((await answer).json.message).toBe(
      `Internal error occurred: failed calling webhook "w0.slow.test": failed to call webhook: Post "https://127.0.0.1:${server.port}/slow?timeout=2s": context deadline exceeded`,
    )
  })
})

test('a webhook behind a service is reached through a ready endpoint, and proves to be that service', async () => {
  server.answer('/behind', () => ({ allowed: true }))
  const metadata = (name: string) => ({ name, namespace: 'default', labels: { 'kubernetes.io/service-name': 'hook' } })
  const reader = fakeReader()
  reader.put(Service, { metadata: metadata('hook'), spec: { ports: [{ name: 'https', port: 443 }] } } as never)
  reader.put(EndpointSlice, {
    metadata: metadata('hook-1'),
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ name: 'https', port: server.port }],
  } as never)
  const guardOf = (address: string) => createAddressGuard({ address, port: 6443, serviceCidrs: [] })
  const clientWith = (address: string) =>
    createWebhookClient({ reader, clock: systemClock, random: seededRandom(1), guard: guardOf(address) })
  const config = { service: { name: 'hook', namespace: 'default', path: '/behind' }, caBundle: server.caBundle }
  const question = { apiVersion: 'admission.k8s.io/v1', request: { uid: 'u' } }
  const allowed = clientWith('127.0.0.1')
  expect(await allowed.post(config, question, 9_000)).toMatchObject({ response: { uid: 'u', allowed: true } })
  allowed.close()
  const refused = clientWith('192.0.2.1').post(config, question, 9_000)
  await expect(refused).rejects.toThrow('Post "https://hook.default.svc:443/behind?timeout=9s": address not allowed')
})

describe('mutating webhooks', () => {
  test('change the object one after another, and what they add is defaulted', async () => {
    server.answer('/first', () => patchOf({ op: 'add', path: '/data', value: { a: '1' } }))
    server.answer('/second', (request: Review) => patchOf({ op: 'add', path: '/data/b', value: `after ${request.object.data.a}` }))
    await register('Mutating', 'second', {})
    await register('Mutating', 'first', {})
    expect((await createMap('a')).json.data).toEqual({ a: '1', b: 'after 1' })
  })

  test('are asked again when a later one has changed the object and they wish so', async () => {
    server.answer('/early', (request: Review) => ({ allowed: true, warnings: [`saw ${Object.keys(request.object.data ?? {})}`] }))
    server.answer('/late', () => patchOf({ op: 'add', path: '/data', value: { late: 'x' } }))
    await register('Mutating', 'early', { reinvocationPolicy: 'IfNeeded' }, { reinvocationPolicy: 'Never' })
    await register('Mutating', 'late', { reinvocationPolicy: 'IfNeeded' })
    await createMap('a')
    expect(server.asked.map(({ path }) => path)).toEqual(['/early', '/early', '/late', '/early'])
  })

  test.each([
    [
      'that cannot be carried out',
      [{ op: 'remove', path: '/metadata/nothing' }],
      "error in remove for path: '/metadata/nothing': Unable to remove nonexistent key: nothing: missing value",
    ],
    [
      'that makes the object another type',
      [{ op: 'add', path: '/data', value: 'x' }],
      'json: cannot unmarshal string into Go struct field ConfigMap.data',
    ],
  ])('are at fault for a patch %s', async (_, operations, message) => {
    server.answer('/bad', () => patchOf(...operations))
    await register('Mutating', 'bad', {})
    const answer = await createMap('a')
    expect([answer.status, answer.json.reason]).toEqual([500, 'InternalError'])
    expect(answer.json.message).toContain(`Internal error occurred: ${message}`)
  })

  test.each([
    ['that is no patch', { patch: 'bm9wZQ==', patchType: 'JSONPatch' }, 'received undecodable patch in webhook response: '],
    [
      'that is cut off',
      { patch: 'W3s=', patchType: 'JSONPatch' },
      'received undecodable patch in webhook response: unexpected end of JSON input',
    ],
    ['of a strange type', { patch: 'W3sib3AiOiJhZGQiLCJwYXRoIjoiL2EifV0=', patchType: 'Merge' }, 'unsupported patch type "Merge"'],
    ['of no type', { patch: 'W10=' }, 'received invalid webhook response: webhook returned response.patch but not response.patchType'],
    [
      'that is not there',
      { patchType: 'JSONPatch' },
      'received invalid webhook response: webhook returned response.patchType but not response.patch',
    ],
  ])('fail with a patch %s', async (_, response, message) => {
    server.answer('/bad', () => ({ allowed: true, ...response }))
    await register('Mutating', 'bad', {})
    const answer = await createMap('a')
    expect(answer.json.message).toContain(`Internal error occurred: failed calling webhook "w0.bad.test": ${message}`)
    const mutated = {
      'mutation.webhook.admission.k8s.io/round_0_index_0': '{"configuration":"bad","webhook":"w0.bad.test","mutated":false}',
    }
    expect(answer.annotations).toEqual(mutated)
    await api.ok('PATCH', `${registration}/mutatingwebhookconfigurations/bad`, {
      headers: { 'content-type': 'application/json-patch+json' },
      body: [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }],
    })
    const open = await createMap('a')
    expect(open.status).toBe(201)
    expect(open.annotations).toEqual({ 'failed-open.mutation.webhook.admission.k8s.io/round_0_index_0': 'w0.bad.test', ...mutated })
  })

  test.each([
    ['apiVersion', 'remove', undefined, 'apiVersion must not be empty'],
    ['operation', 'replace', 'Undo', 'operation must be `Apply` or `Update`'],
    ['fieldsType', 'replace', 'FieldsV9', 'invalid fieldsType "FieldsV9" in managed fields entry 0'],
  ])('that spoil the %s of managed fields leave them as they were, and the client is told', async (field, op, value, problem) => {
    const spoil = { op, path: `/metadata/managedFields/0/${field}`, ...(value === undefined ? {} : { value }) }
    server.answer('/spoil', () => patchOf(spoil, { op: 'add', path: '/data', value: { a: 'b' } }))
    await register('Mutating', 'spoil', {})
    const { json, warnings } = await createMap('a', { labels: { x: 'y' } })
    expect([json.data, json.metadata.managedFields]).toMatchObject([
      { a: 'b' },
      [{ manager: 'tester', operation: 'Update', apiVersion: 'v1' }],
    ])
    expect(warnings).toEqual([
      `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${problem}`,
    ])
  })

  test('that double an owner see it once, with a warning', async () => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: '1' }
    server.answer('/own', () => patchOf({ op: 'add', path: '/metadata/ownerReferences', value: [owner, owner] }))
    await register('Mutating', 'own', {})
    const { json, warnings } = await createMap('a')
    expect(json.metadata.ownerReferences).toEqual([owner])
    expect(warnings).toEqual([expect.stringContaining('duplicate entries after mutating admission happens')])
  })

  test('may not change what is deleted', async () => {
    await createMap('a')
    server.answer('/late', () => patchOf({ op: 'add', path: '/data', value: {} }))
    await register('Mutating', 'late', { rules: [{ ...onConfigMaps, operations: ['DELETE'] }] })
    expect((await api.call('DELETE', `${configMaps}/a`)).json.message).toBe(
      'Internal error occurred: admission webhook "w0.late.test" attempted to modify the object, which is not supported for this operation',
    )
  })

  test('are asked again after plugins that had to follow their change', async () => {
    const pods = '/api/v1/namespaces/default/pods'
    await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
    })
    const body = (name: string, value: number) => ({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value })
    await api.ok('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { body: body('high', 7) })
    server.answer('/look', ({ object }: Review) => ({ allowed: true, warnings: [`${object.spec.priority}`] }))
    server.answer('/prefer', ({ object }: Review) =>
      object.spec.priorityClassName === 'high'
        ? { allowed: true }
        : patchOf({ op: 'add', path: '/spec/priorityClassName', value: 'high' }, { op: 'remove', path: '/spec/priority' }),
    )
    const rules = [{ ...onConfigMaps, resources: ['pods'], operations: ['CREATE'] }]
    await register('Mutating', 'look', { rules, reinvocationPolicy: 'IfNeeded' })
    await register('Mutating', 'prefer', { rules })
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }
    const made = await api.ok('POST', pods, { body: pod })
    expect([made.json.spec.priority, made.warnings]).toEqual([7, ['0', '7']])
    expect(server.asked.map(({ path }) => path)).toEqual(['/look', '/prefer', '/look'])
  })
})
