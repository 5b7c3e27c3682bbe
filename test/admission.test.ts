// What webhooks are shown of every write: each verb of each resource and subresource, as it is, and as the first version of the
// resource that a rule may name. The mutating ones add a field that no kind has, which must do no harm.
import { Agent, request as httpsRequest } from 'node:https'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Review, startWebhookServer, type WebhookServer } from '#apiserver/admission/webhooks/webhook-server.testing'
import { collectionPath, customDefinition, manifestOf, objectPath, type Resource, resources } from './fuzz/manifests.ts'
import { startTarget, type Target } from './fuzz/target.ts'

let target: Target
let server: WebhookServer
const agent = new Agent({ keepAlive: true })

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  readonly json: any
}

function ask(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
  const { port, caPem, admin } = target
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
  const headers = { 'content-length': bytes.length, ...(body === undefined ? {} : { 'content-type': type }) }
  return new Promise((resolve, reject) => {
    const tls = { ca: caPem, cert: admin.certificatePem, key: admin.privateKeyPem }
    const request = httpsRequest({ host: '127.0.0.1', port, method, path, headers, agent, ...tls }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const isJson = String(response.headers['content-type']).includes('json')
        resolve({ status: response.statusCode ?? 0, json: isJson && text !== '' ? JSON.parse(text) : text })
      })
    })
    request.on('error', reject)
    request.end(bytes)
  })
}

async function ok(method: string, path: string, body?: unknown, type?: string): Promise<Answer> {
  const answer = await ask(method, path, body, type)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.json?.message ?? answer.json)}`)
  return answer
}

const merge = 'application/merge-patch+json'
const everything = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }
const ns = 'admission'
const phases = ['mutate-v1beta1', 'validate-v1']

async function register(phase: string): Promise<void> {
  const [verb, version] = phase.split('-') as [string, string]
  const kind = verb === 'mutate' ? 'MutatingWebhookConfiguration' : 'ValidatingWebhookConfiguration'
  const patch = Buffer.from('[{"op":"add","path":"/foo","value":"test"}]').toString('base64')
  server.answer(`/${phase}`, (request: Review) =>
    verb === 'mutate' && request.object !== null ? { allowed: true, patchType: 'JSONPatch', patch } : { allowed: true },
  )
  await ok('POST', `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}s`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: phase },
    webhooks: [
      {
        name: `${phase}.webhooks.test`,
        rules: [everything],
        clientConfig: server.clientConfig(`/${phase}`),
        sideEffects: 'None',
        admissionReviewVersions: [version],
      },
    ],
  })
}

beforeAll(async () => {
  target = await startTarget()
  server = await startWebhookServer()
  await ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ns } })
  await ok('POST', `/api/v1/namespaces/${ns}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  }).catch(() => undefined)
  await ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customDefinition)
  await vi.waitFor(() => ok('GET', `/apis/fuzz.example.com/v1/namespaces/${ns}/things`))
  for (const phase of phases) await register(phase)
})
afterAll(async () => {
  agent.destroy()
  await target?.close()
  await server?.close()
})
beforeEach(() => {
  server.asked.length = 0
})

interface Expected {
  readonly operation: string
  /** `group/version/resource`, and the subresource behind another slash. */
  readonly path: string
  readonly name: string
  readonly namespace: string
  /** Kinds of the new object, the old one and the options. */
  readonly kinds: readonly (string | null)[]
}

/** What each of the webhooks was shown of the client's writes since the last look. */
function shown(): Record<string, Expected[]> {
  const seen: Record<string, Expected[]> = Object.fromEntries(phases.map((phase) => [phase, []]))
  for (const { path, request } of server.asked) {
    if (request.userInfo.username !== 'admin') continue
    const { group, version, resource } = request.resource
    seen[path.slice(1)]!.push({
      operation: request.operation,
      path: [group, version, resource, ...(request.subResource === undefined ? [] : [request.subResource])].join('/'),
      namespace: request.namespace ?? '',
      name: request.name ?? '',
      kinds: [request.object, request.oldObject, request.options].map((one) => one?.kind ?? null),
    })
  }
  server.asked.length = 0
  return seen
}

/** Each of the webhooks was shown this, once, and nothing else. */
function expectShown(what: string, expected: Expected): void {
  expect(shown(), what).toEqual(Object.fromEntries(phases.map((phase) => [phase, [expected]])))
}

const exempt = (resource: Resource): boolean => resource.group === 'admissionregistration.k8s.io'
const tested = resources.filter((resource) => !exempt(resource) && resource.resource !== 'customresourcedefinitions')

describe('every stored resource is shown', () => {
  test.each(tested.map((resource) => [resource.id, resource] as const))('%s', async (_, resource) => {
    const { kind } = resource
    const manifest = manifestOf(resource, ns, 'shown')
    const { name } = manifest['metadata'] as { name: string }
    const collection = collectionPath(resource, ns)
    const path = objectPath(resource, ns, 'shown')
    const about = {
      path: `${resource.group}/${resource.version}/${resource.resource}`,
      name,
      namespace: resource.resource === 'namespaces' ? name : resource.namespaced ? ns : '',
    }
    await ok('POST', collection, manifest)
    expectShown('create', { ...about, operation: 'CREATE', kinds: [kind, null, 'CreateOptions'] })
    const updated = { ...about, operation: 'UPDATE', kinds: [kind, kind, 'UpdateOptions'] }
    const current = (await ok('GET', path)).json
    current.metadata.annotations = { ...current.metadata.annotations, update: 'true' }
    await ok('PUT', path, current)
    expectShown('update', updated)
    await ok('PATCH', path, { metadata: { annotations: { patch: 'true' } } }, merge)
    expectShown('patch', updated)
    const applied = { apiVersion: resource.apiVersion, kind, metadata: { name, annotations: { applied: 'true' } } }
    await ok('PATCH', `${path}?fieldManager=applier`, applied, 'application/apply-patch+yaml')
    expectShown('apply', updated)

    for (const { subresource, bodyKind, verbs } of writable(resource)) {
      const part = `${path}/${subresource}`
      const want = { ...updated, path: `${about.path}/${subresource}`, kinds: [bodyKind, bodyKind, 'UpdateOptions'] }
      const body = (await ok('GET', verbs.includes('get') ? part : path)).json
      body.metadata.annotations = { ...body.metadata.annotations, [subresource]: 'true' }
      await ok('PUT', part, body)
      expectShown(`update ${subresource}`, want)
      if (!verbs.includes('patch')) continue
      await ok('PATCH', part, { metadata: { annotations: { patched: 'true' } } }, merge)
      expectShown(`patch ${subresource}`, want)
    }

    const deleted = { ...about, operation: 'DELETE', kinds: [null, kind, 'DeleteOptions'] }
    await ok('DELETE', path, { gracePeriodSeconds: 0, propagationPolicy: 'Background' })
    expectShown('delete', deleted)
    if (resource.resource === 'namespaces') return
    await ask('PATCH', path, { metadata: { finalizers: null } }, merge)
    const { json: again } = await ok('POST', collection, manifest)
    shown()
    await ok('DELETE', `${collection}?fieldSelector=metadata.name%3D${again.metadata.name}`)
    expectShown('delete a collection', { ...deleted, name: '' })
    await ask('PATCH', path, { metadata: { finalizers: null } }, merge)
  })
})

interface Writable {
  readonly subresource: string
  readonly bodyKind: string
  readonly verbs: readonly string[]
}

/** Subresources that are written as objects. */
function writable({ kind, subresources, builtIn }: Resource): Writable[] {
  return subresources.flatMap((subresource) => {
    const facts = builtIn?.subresources.find(({ name }) => name === subresource)
    const verbs = facts?.verbs ?? ['get', 'patch', 'update']
    const bodyKind = facts?.kind ?? (subresource === 'scale' ? 'Scale' : kind)
    return verbs.includes('update') && subresource !== 'proxy' ? [{ subresource, bodyKind, verbs }] : []
  })
}

describe('what is no stored resource is shown', () => {
  const pods = resources.find(({ id }) => id === 'core/v1/pods')!
  const inNs = `/api/v1/namespaces/${ns}`
  const newPod = async (): Promise<void> => {
    await ask('DELETE', `${inNs}/pods/target`, { gracePeriodSeconds: 0 })
    await ok('POST', `${inNs}/pods`, manifestOf(pods, ns, 'target'))
    shown()
  }
  const created = (path: string, name: string, kind: string, namespace = ns): Expected => ({
    operation: 'CREATE',
    path,
    name,
    namespace,
    kinds: [kind, null, 'CreateOptions'],
  })

  test('a pod that is bound, both ways, and what that does to the pod is not', async () => {
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'target' }, target: { kind: 'Node', name: 'node' } }
    for (const [path, shownAs] of [
      ['bindings', '/v1/bindings'],
      ['pods/target/binding', '/v1/pods/binding'],
    ]) {
      await newPod()
      await ok('POST', `${inNs}/${path}`, binding)
      expectShown(path!, created(shownAs!, 'target', 'Binding'))
    }
  })

  test('a pod that is evicted, and the deletion that this is, is not', async () => {
    await newPod()
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'target' }, deleteOptions: { gracePeriodSeconds: 0 } }
    await ok('POST', `${inNs}/pods/target/eviction`, eviction)
    expectShown('eviction', created('/v1/pods/eviction', 'target', 'Eviction'))
  })

  test('a token that is asked for', async () => {
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['api'] } }
    await ok('POST', `${inNs}/serviceaccounts/default/token`, request)
    expectShown('token', created('/v1/serviceaccounts/token', 'default', 'TokenRequest'))
  })

  test.each([
    ['authentication.k8s.io/v1', 'TokenReview', { token: 'token' }],
    ['authentication.k8s.io/v1', 'SelfSubjectReview', undefined],
    ['authorization.k8s.io/v1', 'SubjectAccessReview', { user: 'jane', resourceAttributes: { verb: 'get', resource: 'pods' } }],
    ['authorization.k8s.io/v1', 'SelfSubjectAccessReview', { resourceAttributes: { verb: 'get', resource: 'pods' } }],
    ['authorization.k8s.io/v1', 'SelfSubjectRulesReview', { namespace: ns }],
    [
      'authorization.k8s.io/v1',
      'LocalSubjectAccessReview',
      { user: 'jane', resourceAttributes: { namespace: ns, verb: 'get', resource: 'pods' } },
    ],
  ])('%s %s', async (apiVersion, kind, spec) => {
    const plural = `${kind.toLowerCase()}s`
    const local = kind.startsWith('Local')
    const body = { apiVersion, kind, ...(spec === undefined ? {} : { spec }), metadata: local ? { namespace: ns } : {} }
    await ok('POST', `/apis/${apiVersion}/${local ? `namespaces/${ns}/` : ''}${plural}`, body)
    expectShown(kind, created(`${apiVersion}/${plural}`, '', kind, local ? ns : ''))
  })

  test.each([
    ['GET', 'pods/target/exec?command=true&stdout=true', 'PodExecOptions'],
    ['POST', 'pods/target/exec?command=true&stdout=true', 'PodExecOptions'],
    ['GET', 'pods/target/attach', 'PodAttachOptions'],
    ['POST', 'pods/target/attach', 'PodAttachOptions'],
    ['GET', 'pods/target/portforward', 'PodPortForwardOptions'],
    ['POST', 'pods/target/portforward', 'PodPortForwardOptions'],
    ...['POST', 'GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'].flatMap((method) => [
      [method, 'pods/target/proxy', 'PodProxyOptions'],
      [method, 'services/kubernetes/proxy/some/path', 'ServiceProxyOptions'],
    ]),
  ])('a connection: %s %s', async (method, path, kind) => {
    if (path.startsWith('pods')) await newPod()
    const [resource, name, subresource] = path.split('?')[0]!.split('/')
    await ask(method!, `${inNs}/${path}`)
    expectShown(path!, {
      operation: 'CONNECT',
      path: `/v1/${resource}/${subresource}`,
      name: name!,
      namespace: ns,
      kinds: [kind!, null, null],
    })
  })

  test('a connection to a node', async () => {
    await ask('GET', '/api/v1/nodes/none/proxy/')
    expectShown('node', {
      operation: 'CONNECT',
      path: '/v1/nodes/proxy',
      name: 'none',
      namespace: '',
      kinds: ['NodeProxyOptions', null, null],
    })
  })

  test('nothing at all of admission itself', async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/validate-v1'
    await ok('PATCH', path, { metadata: { annotations: { a: 'b' } } }, merge)
    expect(server.asked).toEqual([])
  })
})
