// Webhooks and admission policies as their users have them: registered, tried, changed and removed by real clients. The
// webhooks' server is this process, reached by URL, and as the endpoint of a Service.
import './load-on-node-20.ts'
import { networkInterfaces } from 'node:os'
import * as k8s from '@kubernetes/client-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Review, startWebhookServer, type WebhookServer } from '#apiserver/admission/webhooks/webhook-server.testing'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

const polled = { timeout: 60_000 }
const namespace = 'default'
const hook = 'webhooks'

let cluster: ClientCluster
let core: k8s.CoreV1Api
let apps: k8s.AppsV1Api
let admission: k8s.AdmissionregistrationV1Api
let extensions: k8s.ApiextensionsV1Api
let custom: k8s.CustomObjectsApi
let server: WebhookServer

beforeAll(async () => {
  cluster = await startClientCluster()
  const config = new k8s.KubeConfig()
  config.loadFromString(cluster.kubeconfig)
  core = config.makeApiClient(k8s.CoreV1Api)
  apps = config.makeApiClient(k8s.AppsV1Api)
  admission = config.makeApiClient(k8s.AdmissionregistrationV1Api)
  extensions = config.makeApiClient(k8s.ApiextensionsV1Api)
  custom = config.makeApiClient(k8s.CustomObjectsApi)
  server = await startWebhookServer([`${hook}.${namespace}.svc`], '0.0.0.0')
})
afterAll(async () => {
  await cluster?.stop()
  await server?.close()
})

const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch)
const jsonPatch = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch)
const image = 'navarch.local/app:1'
const labels = { app: 'web' }
const podSpec: k8s.V1PodSpec = { containers: [{ name: 'main', image }] }

/** What a refusal says; fails unless the call is refused. */
const refusal = (call: Promise<unknown>): Promise<{ code: number; reason?: string; message: string }> =>
  call.then(
    () => expect.unreachable('it was not refused'),
    ({ code, body }: k8s.ApiException<string>) => ({ code, ...(JSON.parse(body) as { reason: string; message: string }) }),
  )

const newMap = (name: string, data: Record<string, string> = {}, more: k8s.V1ObjectMeta = {}): Promise<k8s.V1ConfigMap> =>
  core.createNamespacedConfigMap({ namespace, body: { metadata: { name, ...more }, data } })
const newPod = (name: string, more: k8s.V1Pod = {}): Promise<k8s.V1Pod> =>
  core.createNamespacedPod({ namespace, body: { metadata: { name, ...more.metadata }, spec: { ...podSpec, ...more.spec } } })

type Rules = k8s.V1RuleWithOperations
const on = (resource: string, ...operations: string[]): Rules => {
  const [group, version, plural] = resource.includes(' ') ? (resource.split(' ') as [string, string, string]) : ['', 'v1', resource]
  return { operations, apiGroups: [group], apiVersions: [version], resources: [plural] }
}

interface Registered {
  readonly name: string
  readonly rules: Rules[]
  /** Path of the server; by default the configuration's name. */
  readonly path?: string
  readonly more?: Partial<k8s.V1ValidatingWebhook & k8s.V1MutatingWebhook>
}

const webhook = ({ name, rules, path = name, more = {} }: Registered): k8s.V1ValidatingWebhook & k8s.V1MutatingWebhook => ({
  name: `${name}.webhooks.test`,
  rules,
  clientConfig: server.clientConfig(`/${path}`),
  sideEffects: 'None',
  admissionReviewVersions: ['v1', 'v1beta1'],
  ...more,
})
const register = {
  validating: (name: string, webhooks: Registered[], metadata: k8s.V1ObjectMeta = {}) =>
    admission.createValidatingWebhookConfiguration({ body: { metadata: { name, ...metadata }, webhooks: webhooks.map(webhook) } }),
  mutating: (name: string, webhooks: Registered[], metadata: k8s.V1ObjectMeta = {}) =>
    admission.createMutatingWebhookConfiguration({ body: { metadata: { name, ...metadata }, webhooks: webhooks.map(webhook) } }),
}

// A validating webhook that wants nothing to do with some data, and mutating ones that work hand in hand.
const unwanted = (request: Review): object => {
  const object = request.object ?? request.oldObject
  const data = object.data?.['webhook'] ?? object.metadata?.labels?.['webhook']
  return data === 'disallow' ? { allowed: false, status: { message: `the ${object.kind} contains unwanted data` } } : { allowed: true }
}
const patched = (...operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
})
const staged = ({ object }: Review): object => {
  const data = object.data ?? {}
  if (data['mutation-start'] === 'yes' && data['stage-1'] === undefined) return patched({ op: 'add', path: '/data/stage-1', value: 'yes' })
  return data['stage-1'] === 'yes' ? patched({ op: 'add', path: '/data/stage-2', value: 'yes' }) : { allowed: true }
}

const cleanUp = async (): Promise<void> => {
  await admission.deleteCollectionValidatingWebhookConfiguration({})
  await admission.deleteCollectionMutatingWebhookConfiguration({})
  await admission.deleteCollectionValidatingAdmissionPolicy({})
  await admission.deleteCollectionValidatingAdmissionPolicyBinding({})
  await admission.deleteCollectionMutatingAdmissionPolicy({})
  await admission.deleteCollectionMutatingAdmissionPolicyBinding({})
  await core.deleteCollectionNamespacedPod({ namespace, gracePeriodSeconds: 0 })
  await core.deleteCollectionNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name!=kube-root-ca.crt' })
}

beforeEach(() => {
  server.asked.length = 0
  server.answer('/unwanted', unwanted)
  server.answer('/staged', staged)
  server.answer('/deny', ({ operation, resource }: Review) => ({
    allowed: false,
    status: { message: `${operation} of ${resource.resource} is not allowed` },
  }))
  server.answer('/hang', () => undefined)
})
afterEach(cleanUp)

describe('validating webhooks', () => {
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation [Conformance]
  test('behind a service: refuse pods and config maps, created, updated and patched, but not in namespaces left out', async () => {
    const address = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find((one) => one.family === 'IPv4' && !one.address.startsWith('127.'))!.address
    await core.createNamespacedService({
      namespace,
      body: { metadata: { name: hook }, spec: { ports: [{ port: 8443, targetPort: server.port }] } },
    })
    await core.createNamespacedEndpoints({
      namespace,
      body: { metadata: { name: hook }, subsets: [{ addresses: [{ ip: address }], ports: [{ port: server.port }] }] },
    })
    const clientConfig = { service: { name: hook, namespace, port: 8443, path: '/unwanted' }, caBundle: server.caBundle }
    const namespaceSelector = { matchExpressions: [{ key: 'skip-webhooks', operator: 'NotIn', values: ['yes'] }] }
    const rules = [on('pods', 'CREATE'), on('configmaps', 'CREATE', 'UPDATE')]
    await register.validating('by-service', [
      { name: 'by-service', rules, more: { clientConfig, namespaceSelector } },
      {
        name: 'hangs',
        path: 'hang',
        rules: [on('pods', 'CREATE')],
        more: { timeoutSeconds: 1, objectSelector: { matchLabels: { hang: 'yes' } } },
      },
    ])
    await expect
      .poll(async () => (await refusal(newMap('a', { webhook: 'disallow' }))).message, polled)
      .toBe('admission webhook "by-service.webhooks.test" denied the request: the ConfigMap contains unwanted data')
    expect(await refusal(newPod('a', { metadata: { labels: { webhook: 'disallow' } } }))).toMatchObject({
      message: 'admission webhook "by-service.webhooks.test" denied the request: the Pod contains unwanted data',
      code: 400,
    })
    expect((await refusal(newPod('a', { metadata: { labels: { hang: 'yes' } } }))).message).toMatch(
      /^Internal error occurred: failed calling webhook "hangs.webhooks.test": failed to call webhook: Post .*: context deadline exceeded$/,
    )
    const admitted = await newMap('admitted', { admit: 'this' })
    const body = { ...admitted, data: { webhook: 'disallow' } }
    expect((await refusal(core.replaceNamespacedConfigMap({ name: 'admitted', namespace, body }))).message).toContain('unwanted data')
    const patch = { data: { webhook: 'disallow' } }
    expect((await refusal(core.patchNamespacedConfigMap({ name: 'admitted', namespace, body: patch }, merge))).message).toContain(
      'unwanted',
    )
    await core.createNamespace({ body: { metadata: { name: 'skipped', labels: { 'skip-webhooks': 'yes' } } } })
    await core.createNamespacedConfigMap({ namespace: 'skipped', body: { metadata: { name: 'a' }, data: { webhook: 'disallow' } } })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny attaching pod [Conformance]
  test('refuse that somebody attaches to a pod', async () => {
    await register.validating('attach', [{ name: 'attach', path: 'deny', rules: [on('pods/attach', 'CONNECT')] }])
    await newPod('busy')
    await expect.poll(async () => (await core.readNamespacedPod({ name: 'busy', namespace })).status?.phase, polled).toBe('Running')
    expect(await cluster.kubectl.refused('attach', 'busy', '-i', '-c', 'main')).toContain('CONNECT of pods is not allowed')
    expect(server.asked[0]!.request.object).toMatchObject({ kind: 'PodAttachOptions', container: 'main', stdin: true })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny custom resource creation, update and deletion [Conformance]
  test('refuse custom resources that are created, updated and deleted', async () => {
    await define('tests')
    const rules = [on(`${group} v1 tests`, 'CREATE', 'UPDATE', 'DELETE')]
    await register.validating('custom', [{ name: 'custom', path: 'unwanted', rules }])
    const create = (name: string, data: Record<string, string>): Promise<unknown> =>
      custom.createNamespacedCustomObject({ ...tests, body: { ...typeOf('tests'), metadata: { name }, data } })
    expect((await refusal(create('a', { webhook: 'disallow' }))).message).toContain('the Tests contains unwanted data')
    await create('b', { webhook: 'allow' })
    const change = (value: string): Promise<unknown> =>
      custom.patchNamespacedCustomObject({ ...tests, name: 'b', body: [{ op: 'replace', path: '/data/webhook', value }] }, jsonPatch)
    expect((await refusal(change('disallow'))).message).toContain('the Tests contains unwanted data')
    await admission.deleteValidatingWebhookConfiguration({ name: 'custom' })
    await change('disallow')
    await register.validating('custom', [{ name: 'custom', path: 'unwanted', rules }])
    const remove = (): Promise<unknown> => custom.deleteNamespacedCustomObject({ ...tests, name: 'b' })
    expect((await refusal(remove())).message).toContain('the Tests contains unwanted data')
    await admission.deleteValidatingWebhookConfiguration({ name: 'custom' })
    await change('allow')
    await remove()
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should deny crd creation [Conformance]
  test('refuse definitions of custom resources', async () => {
    const rules = [on('apiextensions.k8s.io * customresourcedefinitions', 'CREATE')]
    await register.validating('definitions', [
      { name: 'definitions', path: 'deny', rules, more: { objectSelector: { matchLabels: { webhook: 'disallow' } } } },
    ])
    const body = definition('denied')
    const told = await refusal(
      extensions.createCustomResourceDefinition({ body: { ...body, metadata: { ...body.metadata!, labels: { webhook: 'disallow' } } } }),
    )
    expect(told.message).toBe(
      'admission webhook "definitions.webhooks.test" denied the request: CREATE of customresourcedefinitions is not allowed',
    )
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should unconditionally reject operations on fail closed webhook [Conformance]
  test('that nobody can trust fail closed', async () => {
    await core.createNamespace({ body: { metadata: { name: 'closed', labels: { fail: 'closed' } } } })
    const more = {
      clientConfig: { url: server.clientConfig('/x').url },
      namespaceSelector: { matchLabels: { fail: 'closed' } },
      failurePolicy: 'Fail',
    }
    await register.validating('closed', [{ name: 'closed', rules: [on('configmaps', 'CREATE')], more }])
    const told = await refusal(core.createNamespacedConfigMap({ namespace: 'closed', body: { metadata: { name: 'a' } } }))
    expect(told).toMatchObject({ code: 500, reason: 'InternalError' })
    expect(told.message).toMatch(
      /^Internal error occurred: failed calling webhook "closed.webhooks.test": failed to call webhook: Post .*x509: certificate signed by unknown authority$/,
    )
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should honor timeout [Conformance]
  test('are waited for as long as they are given, and no longer', async () => {
    const slow = async (more: Registered['more']): Promise<Promise<k8s.V1ConfigMap>> => {
      await admission.deleteCollectionValidatingWebhookConfiguration({})
      await register.validating('slow', [{ name: 'slow', path: 'slow', rules: [on('configmaps', 'CREATE')], more: more! }])
      return newMap('slow')
    }
    server.answer('/slow', () => ({ allowed: true }), 1_500)
    expect((await refusal(slow({ timeoutSeconds: 1, failurePolicy: 'Fail' }))).message).toMatch(
      /slow\?timeout=1s": context deadline exceeded$/,
    )
    await slow({ timeoutSeconds: 1, failurePolicy: 'Ignore' })
    await core.deleteNamespacedConfigMap({ name: 'slow', namespace })
    await slow({ timeoutSeconds: 3, failurePolicy: 'Fail' })
    await core.deleteNamespacedConfigMap({ name: 'slow', namespace })
    await slow({ failurePolicy: 'Fail' })
    expect((await admission.readValidatingWebhookConfiguration({ name: 'slow' })).webhooks![0]!.timeoutSeconds).toBe(10)
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a validating webhook should work [Conformance]
  test('are updated and patched, and act as they say at the moment', async () => {
    const made = await register.validating('changing', [{ name: 'changing', path: 'unwanted', rules: [on('configmaps', 'CREATE')] }])
    expect((await refusal(newMap('a', { webhook: 'disallow' }))).code).toBe(400)
    made.webhooks![0]!.rules = [on('configmaps', 'UPDATE')]
    await admission.replaceValidatingWebhookConfiguration({ name: 'changing', body: made })
    await newMap('a', { webhook: 'disallow' })
    const body = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }]
    await admission.patchValidatingWebhookConfiguration({ name: 'changing', body }, jsonPatch)
    expect((await refusal(newMap('b', { webhook: 'disallow' }))).message).toContain('unwanted data')
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing validating webhooks should work [Conformance]
  test('are listed, and removed as a collection', async () => {
    for (const name of ['one', 'two', 'three']) {
      await register.validating(name, [{ name, path: 'unwanted', rules: [on('configmaps', 'CREATE')] }], { labels: { listed: 'yes' } })
    }
    const labelSelector = 'listed=yes'
    expect((await admission.listValidatingWebhookConfiguration({ labelSelector })).items).toHaveLength(3)
    expect((await refusal(newMap('a', { webhook: 'disallow' }))).message).toContain('unwanted data')
    await admission.deleteCollectionValidatingWebhookConfiguration({ labelSelector })
    await newMap('a', { webhook: 'disallow' })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update validating webhook configurations with match conditions [Conformance]
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject validating webhook configurations with invalid match conditions [Conformance]
  test('keep match conditions that hold water, and are refused with others', async () => {
    const matchConditions = [{ name: 'expression-1', expression: "object.metadata.namespace == 'production'" }]
    const made = await register.validating('conditions', [
      { name: 'conditions', rules: [on('configmaps', 'CREATE')], more: { matchConditions } },
    ])
    expect(made.webhooks![0]!.matchConditions).toEqual(matchConditions)
    const next = [{ name: 'expression-2', expression: "object.metadata.namespace == 'staging'" }]
    made.webhooks![0]!.matchConditions = next
    const updated = await admission.replaceValidatingWebhookConfiguration({ name: 'conditions', body: made })
    expect(updated.webhooks![0]!.matchConditions).toEqual(next)
    const bad = [{ name: 'bad', expression: '... [] bad expression' }]
    const told = await refusal(
      register.validating('bad', [{ name: 'bad', rules: [on('configmaps', 'CREATE')], more: { matchConditions: bad } }]),
    )
    expect(told).toMatchObject({ code: 422, reason: 'Invalid' })
    expect(told.message).toContain(
      'webhooks[0].matchConditions[0].expression: Invalid value: "... [] bad expression": compilation failed: ERROR: <input>:1:1: Syntax error: ',
    )
  })
})

describe('mutating webhooks', () => {
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate configmap [Conformance]
  test('change a config map one after another', async () => {
    await register.mutating(
      'stages',
      ['first', 'second'].map((name) => ({ name, path: 'staged', rules: [on('configmaps', 'CREATE')] })),
    )
    expect((await newMap('a', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes', 'stage-1': 'yes', 'stage-2': 'yes' })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate pod and apply defaults after mutation [Conformance]
  test('add a container, which gets its defaults', async () => {
    server.answer('/sidecar', () => patched({ op: 'add', path: '/spec/initContainers', value: [{ name: 'added', image }] }))
    await register.mutating('sidecar', [{ name: 'sidecar', rules: [on('pods', 'CREATE')] }])
    const { spec } = await newPod('mutated')
    expect(spec?.initContainers).toMatchObject([
      { name: 'added', image, terminationMessagePolicy: 'File', imagePullPolicy: 'IfNotPresent' },
    ])
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource [Conformance]
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with pruning [Conformance]
  test('change custom resources, within their schemas', async () => {
    await define('free')
    await define('pruned', { 'mutation-start': { type: 'string' }, 'stage-1': { type: 'string' } })
    for (const plural of ['free', 'pruned']) {
      const rules = [on(`${group} v1 ${plural}`, 'CREATE')]
      await register.mutating(
        plural,
        ['first', 'second'].map((name) => ({ name: `${name}.${plural}`, path: 'staged', rules })),
      )
      const body = { ...typeOf(plural), metadata: { name: 'a' }, data: { 'mutation-start': 'yes' } }
      const made = await custom.createNamespacedCustomObject({ ...tests, plural, body })
      const both = { 'mutation-start': 'yes', 'stage-1': 'yes' }
      expect((made as { data: unknown }).data).toEqual(plural === 'free' ? { ...both, 'stage-2': 'yes' } : both)
    }
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with different stored version [Conformance]
  test('change custom resources of which another version is stored', async () => {
    await define('moving', undefined, ['v1', 'v2'])
    const rules = ['v1', 'v2'].map((version) => on(`${group} ${version} moving`, 'CREATE', 'UPDATE'))
    await register.mutating('moving', [{ name: 'moving', path: 'staged', rules }])
    const body = { ...typeOf('moving'), metadata: { name: 'a' }, data: { 'mutation-start': 'yes' } }
    const made = await custom.createNamespacedCustomObject({ ...tests, plural: 'moving', body })
    expect(made).toMatchObject({ apiVersion: `${group}/v1`, data: { 'stage-1': 'yes' } })
    const storage = [false, true].map((value, i) => ({ op: 'replace', path: `/spec/versions/${i}/storage`, value }))
    await extensions.patchCustomResourceDefinition({ name: `moving.${group}`, body: storage }, jsonPatch)
    await expect
      .poll(
        () =>
          custom
            .patchNamespacedCustomObject(
              { ...tests, plural: 'moving', name: 'a', body: { metadata: { labels: { touched: 'yes' } } } },
              merge,
            )
            .then((object) => object, refusalOf),
        polled,
      )
      .toMatchObject({ apiVersion: `${group}/v1`, data: { 'stage-1': 'yes', 'stage-2': 'yes' }, metadata: { labels: { touched: 'yes' } } })
    expect(await custom.getNamespacedCustomObject({ ...tests, plural: 'moving', version: 'v2', name: 'a' })).toMatchObject({
      apiVersion: `${group}/v2`,
      data: { 'stage-2': 'yes' },
    })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a mutating webhook should work [Conformance]
  test('are updated and patched, and act as they say at the moment', async () => {
    const made = await register.mutating('changing', [{ name: 'changing', path: 'staged', rules: [on('configmaps', 'CREATE')] }])
    made.webhooks![0]!.rules = [on('configmaps', 'UPDATE')]
    await admission.replaceMutatingWebhookConfiguration({ name: 'changing', body: made })
    expect((await newMap('a', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes' })
    const body = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }]
    await admission.patchMutatingWebhookConfiguration({ name: 'changing', body }, jsonPatch)
    expect((await newMap('b', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes', 'stage-1': 'yes' })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing mutating webhooks should work [Conformance]
  test('are listed, and removed as a collection', async () => {
    for (const name of ['one', 'two']) {
      await register.mutating(name, [{ name, path: 'staged', rules: [on('configmaps', 'CREATE')] }], { labels: { listed: 'yes' } })
    }
    const labelSelector = 'listed=yes'
    expect((await admission.listMutatingWebhookConfiguration({ labelSelector })).items).toHaveLength(2)
    expect((await newMap('a', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes', 'stage-1': 'yes', 'stage-2': 'yes' })
    await admission.deleteCollectionMutatingWebhookConfiguration({ labelSelector })
    expect((await newMap('b', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes' })
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]
  test('and validating ones have no say about admission itself', async () => {
    const rules = [on('admissionregistration.k8s.io * *', '*')]
    server.answer('/label', () => patched({ op: 'add', path: '/metadata/labels', value: { changed: 'yes' } }))
    await register.validating('guard', [{ name: 'guard', path: 'deny', rules }])
    await register.mutating('label', [{ name: 'label', rules }])
    const dummy = [{ name: 'dummy', rules: [on('invalid', 'CREATE')] }]
    expect((await register.validating('dummy', dummy)).metadata?.labels).toBeUndefined()
    expect((await register.mutating('dummy', dummy)).metadata?.labels).toBeUndefined()
    await admission.deleteValidatingWebhookConfiguration({ name: 'dummy' })
    await admission.deleteMutatingWebhookConfiguration({ name: 'dummy' })
    expect(server.asked).toEqual([])
  })

  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate everything except 'skip-me' configmaps [Conformance]
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update mutating webhook configurations with match conditions [Conformance]
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject mutating webhook configurations with invalid match conditions [Conformance]
  test('are spared what their match conditions leave out', async () => {
    const matchConditions = [{ name: 'skip-me', expression: "object.metadata.name != 'skip-me'" }]
    const one: Registered = { name: 'conditional', path: 'staged', rules: [on('configmaps', 'CREATE')], more: { matchConditions } }
    const made = await register.mutating('conditional', [one])
    expect((await newMap('a', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes', 'stage-1': 'yes' })
    expect((await newMap('skip-me', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes' })
    made.webhooks![0]!.matchConditions = [{ name: 'none', expression: 'false' }]
    const updated = await admission.replaceMutatingWebhookConfiguration({ name: 'conditional', body: made })
    expect(updated.webhooks![0]!.matchConditions).toEqual([{ name: 'none', expression: 'false' }])
    expect((await newMap('b', { 'mutation-start': 'yes' })).data).toEqual({ 'mutation-start': 'yes' })
    const bad = [{ name: 'bad', expression: '... [] bad expression' }]
    expect((await refusal(register.mutating('bad', [{ ...one, more: { matchConditions: bad } }]))).message).toContain('compilation failed')
  })
})

const group = 'admission.example.com'
const tests = { group, version: 'v1', namespace, plural: 'tests' }
const kindOf = (plural: string): string => plural[0]!.toUpperCase() + plural.slice(1)
const typeOf = (plural: string): { apiVersion: string; kind: string } => ({ apiVersion: `${group}/v1`, kind: kindOf(plural) })
const refusalOf = (error: k8s.ApiException<string>): unknown => error.body

function definition(
  plural: string,
  data?: Record<string, k8s.V1JSONSchemaProps>,
  versions: readonly string[] = ['v1'],
): k8s.V1CustomResourceDefinition {
  const free: k8s.V1JSONSchemaProps = { type: 'object', x_kubernetes_preserve_unknown_fields: true }
  const schema = {
    openAPIV3Schema: { type: 'object', properties: { data: data === undefined ? free : { type: 'object', properties: data } } },
  }
  return {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind: kindOf(plural) },
      versions: versions.map((name, i) => ({ name, served: true, storage: i === 0, schema })),
    },
  }
}

async function define(...how: Parameters<typeof definition>): Promise<void> {
  const [plural] = how
  await extensions.createCustomResourceDefinition({ body: definition(...how) })
  await expect.poll(() => custom.listNamespacedCustomObject({ ...tests, plural }).then(() => 'served', refusalOf), polled).toBe('served')
}

const deployment = (name: string, replicas: number, more: k8s.V1ObjectMeta = {}): k8s.V1Deployment => ({
  metadata: { name, ...more },
  spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec } },
})
const onDeployments = { resourceRules: [on('apps v1 deployments', 'CREATE', 'UPDATE')] }

describe('admission policies', () => {
  const create = (name: string, replicas: number): Promise<k8s.V1Deployment> =>
    apps.createNamespacedDeployment({ namespace, body: deployment(name, replicas) })
  afterEach(() => apps.deleteCollectionNamespacedDeployment({ namespace }))

  const validate = async (name: string, spec: Partial<k8s.V1ValidatingAdmissionPolicySpec>): Promise<void> => {
    const matchConstraints = { ...onDeployments, namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }
    await admission.createValidatingAdmissionPolicy({ body: { metadata: { name }, spec: { matchConstraints, ...spec } } })
    await admission.createValidatingAdmissionPolicyBinding({
      body: { metadata: { name }, spec: { policyName: name, validationActions: ['Deny'] } },
    })
  }

  // covers: [sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment [Conformance]
  test('refuse a deployment of one pod, not a replica set', async () => {
    const validations = [
      { expression: 'object.spec.replicas > 1', messageExpression: "'wants replicas > 1, got ' + string(object.spec.replicas)" },
    ]
    await validate('replicas', { validations })
    expect(await refusal(create('one', 1))).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message: `deployments.apps "one" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: wants replicas > 1, got 1`,
    })
    await create('two', 2)
    const { spec } = deployment('set', 1)
    await apps.createNamespacedReplicaSet({ namespace, body: { metadata: { name: 'set' }, spec: { ...spec!, replicas: 1 } } })
    await apps.deleteNamespacedReplicaSet({ name: 'set', namespace })
  })

  // covers: [sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables. [Conformance]
  test('name what they need more than once', async () => {
    const variables = [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
    ]
    const validations = [{ expression: 'variables.replicas > 1' }, { expression: 'variables.oddReplicas' }]
    await validate('variables', { variables, validations })
    expect((await refusal(create('one', 1))).message).toContain('failed expression: variables.replicas > 1')
    expect((await refusal(create('two', 2))).message).toContain('failed expression: variables.oddReplicas')
    await create('three', 3)
  })

  test('are told in their status what does not fit the types', async () => {
    await validate('confused', {
      validations: [{ expression: "object.spec.replicas > '1'", messageExpression: "'got ' + object.spec.replicas" }],
    })
    await validate('correct', { validations: [{ expression: 'object.spec.replicas > 1' }] })
    const checked = async (name: string) => (await admission.readValidatingAdmissionPolicy({ name })).status
    await expect.poll(() => checked('correct'), polled).toEqual({ observedGeneration: 1, typeChecking: {} })
    await expect
      .poll(
        async () =>
          (await checked('confused'))?.typeChecking?.expressionWarnings?.map(({ fieldRef, warning }) => [fieldRef, warning.split('\n')[0]]),
        polled,
      )
      .toEqual([
        [
          'spec.validations[0].expression',
          "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'",
        ],
        [
          'spec.validations[0].messageExpression',
          "apps/v1, Kind=Deployment: ERROR: <input>:1:8: found no matching overload for '_+_' applied to '(string, int)'",
        ],
      ])
  })

  // covers: [sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment [Conformance]
  // covers: [sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment with annotations [Conformance]
  test('change a deployment, by configuration and by patch', async () => {
    const annotate = 'Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}'
    const mutations: k8s.V1Mutation[] = [
      { patchType: 'ApplyConfiguration', applyConfiguration: { expression: annotate } },
      {
        patchType: 'JSONPatch',
        jsonPatch: { expression: '[JSONPatch{op: "replace", path: "/spec/replicas", value: object.spec.replicas + 1}]' },
      },
    ]
    const name = 'mutating'
    const spec: k8s.V1MutatingAdmissionPolicySpec = { matchConstraints: onDeployments, mutations, reinvocationPolicy: 'Never' }
    await admission.createMutatingAdmissionPolicy({ body: { metadata: { name }, spec } })
    await admission.createMutatingAdmissionPolicyBinding({ body: { metadata: { name }, spec: { policyName: name } } })
    const body = deployment('mutated', 2, { annotations: { own: 'yes' } })
    const made = await apps.createNamespacedDeployment({ namespace, body })
    expect([made.metadata?.annotations, made.spec?.replicas]).toEqual([{ own: 'yes', 'mutated-by': 'admission-policy' }, 3])
  })
})
