// What admission must see and must cover, whatever way a write comes (CVE-2021-25735, CVE-2023-2727, CVE-2023-2728, CVE-2024-3177).
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'
import { type Review, startWebhookServer, type WebhookServer } from './webhooks/webhook-server.testing.ts'

let server: WebhookServer
let api: TestCore

beforeAll(async () => {
  server = await startWebhookServer()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.asked.length = 0
  api = await openTestCore()
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const apiVersion = 'admissionregistration.k8s.io/v1'
const rules = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }]
const merge = { 'content-type': 'application/merge-patch+json' }

/** A webhook and a policy that both keep whoever has a mark from losing it, by the true old object and the true new one. */
async function guard(): Promise<void> {
  server.answer('/guard', ({ object, oldObject }: Review) => ({
    allowed: oldObject?.metadata.labels?.marked === undefined || object?.metadata.labels?.marked !== undefined,
    status: { message: 'the webhook saw the mark go' },
  }))
  const webhooks = [
    {
      name: 'guard.must.hold',
      rules,
      clientConfig: server.clientConfig('/guard'),
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ]
  await api.ok('POST', `${registration}/validatingwebhookconfigurations`, {
    body: { apiVersion, kind: 'ValidatingWebhookConfiguration', metadata: { name: 'guard' }, webhooks },
  })
}

async function guardByPolicy(): Promise<void> {
  const marked = (object: string): string =>
    `(${object} != null && has(${object}.metadata.labels) && 'marked' in ${object}.metadata.labels)`
  const spec = {
    matchConstraints: { resourceRules: rules },
    validations: [{ expression: `!${marked('oldObject')} || ${marked('object')}`, message: 'the policy saw the mark go' }],
  }
  await api.ok('POST', `${registration}/validatingadmissionpolicies`, {
    body: { apiVersion, kind: 'ValidatingAdmissionPolicy', metadata: { name: 'guard' }, spec },
  })
  const bound = { policyName: 'guard', validationActions: ['Deny'] }
  await api.ok('POST', `${registration}/validatingadmissionpolicybindings`, {
    body: { apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: 'guard' }, spec: bound },
  })
}

const nodes = '/api/v1/nodes'
const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', labels: { marked: 'yes' } } }
const bare = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } }

describe.each([
  ['a webhook', guard, 'the webhook saw the mark go'],
  ['a policy', guardByPolicy, 'the policy saw the mark go'],
])('MUSTHOLD 9: %s sees old and new object', (_, watch, refusal) => {
  const refused = async (answer: Promise<Answer>): Promise<void> => {
    const { status, json } = await answer
    expect([status >= 400, json.message]).toEqual([true, expect.stringContaining(refusal)])
    expect((await api.ok('GET', `${nodes}/n`)).json.metadata.labels).toMatchObject({ marked: 'yes' })
  }

  test.each<[string, () => Promise<Answer>]>([
    ['an update', () => api.call('PUT', `${nodes}/n`, { body: bare })],
    ['an update that says nothing of the object', () => api.call('PUT', `${nodes}/n`, { body: { ...bare, spec: {}, status: {} } })],
    ['a merge patch', () => api.call('PATCH', `${nodes}/n`, { headers: merge, body: { metadata: { labels: { marked: null } } } })],
    [
      'a strategic merge patch',
      () =>
        api.call('PATCH', `${nodes}/n`, {
          headers: { 'content-type': 'application/strategic-merge-patch+json' },
          body: { metadata: { labels: { $patch: 'delete', marked: 'yes' } } },
        }),
    ],
    [
      'a JSON patch',
      () =>
        api.call('PATCH', `${nodes}/n`, {
          headers: { 'content-type': 'application/json-patch+json' },
          body: [{ op: 'remove', path: '/metadata/labels' }],
        }),
    ],
    ['a status update', () => api.call('PUT', `${nodes}/n/status`, { body: { ...bare, status: { phase: 'Running' } } })],
    ['a status patch', () => api.call('PATCH', `${nodes}/n/status`, { headers: merge, body: { metadata: { labels: null } } })],
    ['a deletion', () => api.call('DELETE', `${nodes}/n`)],
    ['a deletion of a collection', () => api.call('DELETE', nodes)],
  ])('of %s', async (_way, change) => {
    await api.ok('POST', nodes, { body: node })
    await watch()
    await refused(change())
  })

  test('of an apply that gives up what it owned', async () => {
    const apply = (body: object): Promise<Answer> =>
      api.call('PATCH', `${nodes}/n?fieldManager=me`, { headers: { 'content-type': 'application/apply-patch+yaml' }, body })
    await apply(node)
    await watch()
    await refused(apply(bare))
  })
})

test('MUSTHOLD 9: a status update is shown with the spec that stays, not the one that was sent', async () => {
  await api.ok('POST', nodes, { body: { ...node, spec: { unschedulable: true } } })
  await guard()
  await api.ok('PUT', `${nodes}/n/status`, { body: { ...node, spec: { unschedulable: false }, status: { phase: 'Running' } } })
  const { request } = server.asked.at(-1)!
  expect([request.subResource, request.object.spec.unschedulable, request.oldObject.spec.unschedulable]).toEqual(['status', true, true])
})

describe('MUSTHOLD 9: an account that lists its secrets', () => {
  const inNamespace = (resource: string): string => `/api/v1/namespaces/default/${resource}`
  const container = { name: 'c', image: 'i' }
  const keyRef = (name: string): object => ({ env: [{ name: 'E', valueFrom: { secretKeyRef: { name, key: 'k' } } }] })
  const create = (spec: object): Promise<Answer> =>
    api.call('POST', inNamespace('pods'), {
      body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [container], ...spec } },
    })
  const not = (what: string): string =>
    `pods "p" is forbidden: ${what} secret.secretName="theirs" is not allowed because service account default does not reference that secret`

  beforeEach(async () => {
    const annotations = { 'kubernetes.io/enforce-mountable-secrets': 'true' }
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', annotations }, secrets: [{ name: 'ours' }] }
    await api.ok('POST', inNamespace('serviceaccounts'), { body })
  })

  test.each<[string, object, string]>([
    ['volumes', { volumes: [{ name: 'v', secret: { secretName: 'theirs' } }] }, not('volume with')],
    ['variables', { containers: [{ ...container, ...keyRef('theirs') }] }, not('container c with envVar E referencing')],
    [
      'variables of init containers',
      { initContainers: [{ ...container, name: 'i', ...keyRef('theirs') }] },
      not('init container i with envVar E referencing'),
    ],
    [
      'envFrom',
      { containers: [{ ...container, envFrom: [{ secretRef: { name: 'theirs' } }] }] },
      not('container c with envFrom referencing'),
    ],
    [
      'envFrom of init containers',
      { initContainers: [{ ...container, name: 'i', envFrom: [{ secretRef: { name: 'theirs' } }] }] },
      not('init container i with envFrom referencing'),
    ],
    [
      'image pulls',
      { imagePullSecrets: [{ name: 'theirs' }] },
      'pods "p" is forbidden: imagePullSecrets[0].name="theirs" is not allowed because service account default does not reference that imagePullSecret',
    ],
  ])('keeps its pods to them: %s', async (_, spec, message) => {
    const { status, json } = await create(spec)
    expect([status, json.message]).toEqual([403, message])
  })

  test('keeps ephemeral containers to them', async () => {
    expect((await create({ containers: [{ ...container, ...keyRef('ours') }] })).status).toBe(201)
    const debug = (more: object): Promise<Answer> =>
      api.call('PATCH', `${inNamespace('pods')}/p/ephemeralcontainers`, {
        headers: merge,
        body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'i', ...more }] } },
      })
    expect((await debug(keyRef('theirs'))).json.message).toBe(not('ephemeral container debug with envVar E referencing'))
    expect((await debug({ envFrom: [{ secretRef: { name: 'theirs' } }] })).json.message).toBe(
      not('ephemeral container debug with envFrom referencing'),
    )
    expect((await debug(keyRef('ours'))).status).toBe(200)
  })

  test('also against webhooks that come after', async () => {
    const patch = Buffer.from('[{"op":"add","path":"/spec/containers/0/envFrom","value":[{"secretRef":{"name":"theirs"}}]}]').toString(
      'base64',
    )
    server.answer('/add', () => ({ allowed: true, patchType: 'JSONPatch', patch }))
    const pods = [{ ...rules[0], resources: ['pods'], operations: ['CREATE'] }]
    const about = { rules: pods, clientConfig: server.clientConfig('/add'), sideEffects: 'None', admissionReviewVersions: ['v1'] }
    await api.ok('POST', `${registration}/mutatingwebhookconfigurations`, {
      body: { apiVersion, kind: 'MutatingWebhookConfiguration', metadata: { name: 'm' }, webhooks: [{ name: 'add.must.hold', ...about }] },
    })
    expect((await create({})).json.message).toBe(not('container c with envFrom referencing'))
  })
})

describe('MUSTHOLD 9: policies of pods cover all containers', () => {
  const pods = '/api/v1/namespaces/strict/pods'
  const fine = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const container = (name: string, securityContext: object = fine): object => ({ name, image: 'i', securityContext })
  beforeEach(async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'strict', labels } } })
    await api.ok('POST', '/api/v1/namespaces/strict/serviceaccounts', {
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
    })
  })
  const create = (spec: object): Promise<Answer> =>
    api.call('POST', pods, {
      body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [container('main')], ...spec } },
    })

  test.each(['containers', 'initContainers'])('%s', async (field) => {
    const { status, json } = await create({
      [field]: [container('bad', { ...fine, privileged: true, allowPrivilegeEscalation: undefined })],
    })
    expect(status).toBe(403)
    expect(json.message).toContain('privileged (container "bad" must not set securityContext.privileged=true)')
  })

  test('ephemeral containers, and only what is added is looked at', async () => {
    expect((await create({})).status).toBe(201)
    const body = { spec: { ephemeralContainers: [container('bad', { privileged: true })] } }
    const { status, json } = await api.call('PATCH', `${pods}/p/ephemeralcontainers`, { headers: merge, body })
    expect([status, json.message]).toEqual([403, expect.stringContaining('container "bad" must not set securityContext.privileged=true')])
  })

  test('an update of the pod itself', async () => {
    expect((await create({})).status).toBe(201)
    expect((await api.call('PATCH', `${pods}/p`, { headers: merge, body: { metadata: { labels: { a: 'b' } } } })).status).toBe(200)
  })
})
