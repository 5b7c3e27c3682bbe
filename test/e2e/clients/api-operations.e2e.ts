// What every client may do with every kind: each verb, subresources, discovery, access reviews; asked over the wire as client libraries do.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

interface Answer {
  readonly status: number
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  readonly json: any
}

const polled = { timeout: 60_000 }

describe('the API', () => {
  let cluster: ClientCluster
  let proxy: ReturnType<ClientCluster['kubectl']['start']>
  let base: string
  beforeAll(async () => {
    cluster = await startClientCluster()
    proxy = cluster.kubectl.start('proxy', '--port=0', '--reject-paths=^$')
    base = `http://127.0.0.1:${(await proxy.until(/Starting to serve on 127\.0\.0\.1:(\d+)/))[1]}`
  })
  afterAll(async () => {
    await proxy?.stop()
    await cluster?.stop()
  })

  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(base + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(text === undefined ? {} : { body: text }),
    })
    const answer = await response.text()
    const type = response.headers.get('content-type') ?? ''
    return { status: response.status, type, json: type.includes('json') ? JSON.parse(answer) : answer }
  }
  const merge = { 'content-type': 'application/merge-patch+json' }

  /** Goes through every verb, as the conformance tests of one kind do. */
  const everyVerb = async (
    path: string,
    body: { apiVersion: string; kind: string; metadata?: object; [field: string]: unknown },
  ): Promise<void> => {
    const named = (name: string): object => ({ ...body, metadata: { ...body.metadata, name, labels: { set: 'ops' } } })
    const [group, resource] = [
      path.slice(0, path.lastIndexOf('/')).replace(/\/namespaces\/[^/]+$/, ''),
      path.slice(path.lastIndexOf('/') + 1),
    ]
    expect((await ask('GET', group)).json.resources.map(({ name }: { name: string }) => name)).toContain(resource)
    for (const name of ['a', 'b', 'c'])
      expect(await ask('POST', path, named(name))).toMatchObject({ status: 201, json: { kind: body.kind, metadata: { name } } })
    const read = await ask('GET', `${path}/a`)
    expect(read).toMatchObject({ status: 200, json: { metadata: { name: 'a' } } })
    const list = await ask('GET', `${path}?labelSelector=set%3Dops`)
    expect(list.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['a', 'b', 'c'])
    const watching = fetch(
      `${base}${path}?watch=true&labelSelector=set%3Dops&timeoutSeconds=2&resourceVersion=${list.json.metadata.resourceVersion}`,
    ).then((response) => response.text())
    expect(
      (await ask('PATCH', `${path}/a`, { metadata: { annotations: { patched: 'yes' } } }, merge)).json.metadata.annotations.patched,
    ).toBe('yes')
    const { json: fresh } = await ask('GET', `${path}/a`)
    fresh.metadata.annotations.updated = 'yes'
    expect((await ask('PUT', `${path}/a`, fresh)).json.metadata.annotations).toMatchObject({ patched: 'yes', updated: 'yes' })
    expect(await ask('PUT', `${path}/a`, read.json)).toMatchObject({ status: 409 })
    expect((await ask('DELETE', `${path}/a`)).status).toBe(200)
    await expect.poll(async () => (await ask('GET', `${path}/a`)).status, polled).toBe(404)
    expect((await ask('DELETE', `${path}?labelSelector=set%3Dops`)).status).toBe(200)
    await expect.poll(async () => (await ask('GET', `${path}?labelSelector=set%3Dops`)).json.items, polled).toEqual([])
    const types = (await watching)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type)
    expect(types.slice(0, 3)).toEqual(['MODIFIED', 'MODIFIED', expect.stringMatching(/DELETED|MODIFIED/)])
  }

  // covers: [sig-api-machinery] API priority and fairness should support FlowSchema API operations [Conformance]
  test('FlowSchemas, by every verb', async () => {
    const path = '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas'
    await everyVerb(path, {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      spec: { matchingPrecedence: 9_000, priorityLevelConfiguration: { name: 'global-default' } },
    })
    expect((await ask('GET', '/apis/flowcontrol.apiserver.k8s.io/v1')).json.resources.map(({ name }: { name: string }) => name)).toContain(
      'flowschemas/status',
    )
  })

  // covers: [sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations [Conformance]
  test('PriorityLevelConfigurations, by every verb', async () => {
    const spec = { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } }
    await everyVerb('/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations', {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'PriorityLevelConfiguration',
      spec,
    })
  })

  // covers: [sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations [Conformance]
  // covers: [sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicyBinding API operations [Conformance]
  test('ValidatingAdmissionPolicies and their bindings, by every verb', async () => {
    const [apiVersion, path] = ['admissionregistration.k8s.io/v1', '/apis/admissionregistration.k8s.io/v1']
    const rules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }]
    await everyVerb(`${path}/validatingadmissionpolicies`, {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      spec: { matchConstraints: { resourceRules: rules }, validations: [{ expression: 'true' }] },
    })
    await everyVerb(`${path}/validatingadmissionpolicybindings`, {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      spec: { policyName: 'p', validationActions: ['Deny'] },
    })
  })

  // covers: [sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicy API operations [Conformance]
  // covers: [sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicyBinding API operations [Conformance]
  test('MutatingAdmissionPolicies and their bindings, by every verb', async () => {
    const [apiVersion, path] = ['admissionregistration.k8s.io/v1', '/apis/admissionregistration.k8s.io/v1']
    const rules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }]
    const mutations = [
      { patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"a": "b"}}}' } },
    ]
    await everyVerb(`${path}/mutatingadmissionpolicies`, {
      apiVersion,
      kind: 'MutatingAdmissionPolicy',
      spec: { matchConstraints: { resourceRules: rules }, mutations, reinvocationPolicy: 'Never' },
    })
    await everyVerb(`${path}/mutatingadmissionpolicybindings`, {
      apiVersion,
      kind: 'MutatingAdmissionPolicyBinding',
      spec: { policyName: 'p' },
    })
  })

  // covers: [sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations [Conformance]
  test('CertificateSigningRequests, by every verb, with approval and status', async () => {
    const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
    const pem = createCertificateRequest({ commonName: 'x', privateKeyPem: createPrivateKeyPem() })
    const spec = { request: Buffer.from(pem).toString('base64'), signerName: 'example.com/ours', usages: ['client auth'] }
    const body = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', spec }
    await everyVerb(path, body)
    await ask('POST', path, { ...body, metadata: { name: 'parts' } })
    const condition = (type: string): object => ({ type, status: 'True', reason: 'Test', message: 'set by a test' })
    expect(
      (await ask('PATCH', `${path}/parts/approval`, { status: { conditions: [condition('Approved')] } }, merge)).json.status.conditions[0],
    ).toMatchObject(condition('Approved'))
    const { json: approved } = await ask('GET', `${path}/parts/approval`)
    approved.status.conditions.push(condition('ApprovalUpdated'))
    expect((await ask('PUT', `${path}/parts/approval`, approved)).json.status.conditions).toHaveLength(2)
    expect(
      (
        await ask(
          'PATCH',
          `${path}/parts/status`,
          {
            metadata: { annotations: { p: 'yes' } },
            status: { certificate: Buffer.from(pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')).toString('base64') },
          },
          merge,
        )
      ).status,
    ).toBe(200)
    const { json: signed } = await ask('GET', `${path}/parts/status`)
    expect(signed.metadata.annotations.p).toBe('yes')
    signed.status.conditions.push(condition('StatusUpdated'))
    expect((await ask('PUT', `${path}/parts/status`, signed)).json.status.conditions).toHaveLength(3)
  })

  // covers: [sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed [Conformance]
  // covers: [sig-instrumentation] Events API should delete a collection of events [Conformance]
  // covers: [sig-instrumentation] Events should manage the lifecycle of an event [Conformance]
  // covers: [sig-instrumentation] Events should delete a collection of events [Conformance]
  test('events of both groups, by every verb, and each as the other', async () => {
    const about = { kind: 'Pod', name: 'p', namespace: 'default' }
    await everyVerb('/api/v1/namespaces/default/events', {
      apiVersion: 'v1',
      kind: 'Event',
      involvedObject: about,
      type: 'Normal',
      reason: 'Test',
      message: 'one',
    })
    const event = {
      regarding: about,
      type: 'Normal',
      reason: 'Test',
      note: 'one',
      action: 'Do',
      reportingController: 'test',
      reportingInstance: 'test-1',
      eventTime: '2026-01-01T00:00:00.000000Z',
    }
    const path = '/apis/events.k8s.io/v1/namespaces/default/events'
    await everyVerb(path, { apiVersion: 'events.k8s.io/v1', kind: 'Event', ...event })
    await ask('POST', path, { apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: { name: 'both' }, ...event })
    expect((await ask('GET', '/api/v1/namespaces/default/events/both')).json).toMatchObject({
      message: 'one',
      involvedObject: about,
      reportingComponent: 'test',
      action: 'Do',
    })
    const series = { series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' } }
    expect((await ask('PATCH', `${path}/both`, series, merge)).json.series.count).toBe(2)
    expect((await ask('GET', '/api/v1/events?fieldSelector=reason%3DTest')).json.items).toHaveLength(1)
    await ask('DELETE', `${path}/both`)
  })

  // covers: [sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount [Conformance]
  // covers: [sig-auth] ServiceAccounts should update a ServiceAccount [Conformance]
  // covers: [sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview [Conformance]
  // covers: [sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace [Conformance]
  // covers: [sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer [Conformance]
  test('service accounts: by every verb, their tokens, their issuer, the authority beside them', async () => {
    const path = '/api/v1/namespaces/default/serviceaccounts'
    await everyVerb(path, { apiVersion: 'v1', kind: 'ServiceAccount', automountServiceAccountToken: false })
    await ask('POST', path, { metadata: { name: 'robot' }, automountServiceAccountToken: false })
    expect((await ask('PATCH', `${path}/robot`, { automountServiceAccountToken: true }, merge)).json.automountServiceAccountToken).toBe(
      true,
    )
    const { json: request } = await ask('POST', `${path}/robot/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 600 },
    })
    const review = await ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: request.status.token },
    })
    expect(review.json.status).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:default:robot' } })
    const issuer = (await ask('GET', '/.well-known/openid-configuration')).json
    const [, payload] = request.status.token.split('.')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString()).iss).toBe(issuer.issuer)
    expect((await ask('GET', new URL(issuer.jwks_uri).pathname)).json.keys[0]).toMatchObject({ use: 'sig' })
    const bundle = '/api/v1/namespaces/default/configmaps/kube-root-ca.crt'
    const { json: before } = await ask('GET', bundle)
    await ask('DELETE', bundle)
    await expect.poll(async () => (await ask('GET', bundle)).json.data, polled).toEqual(before.data)
    await ask('PATCH', bundle, { data: { 'ca.crt': 'changed' } }, merge)
    await expect.poll(async () => (await ask('GET', bundle)).json.data, polled).toEqual(before.data)
  })

  // covers: [sig-auth] SubjectReview should support SubjectReview API operations [Conformance]
  test('access reviews, of oneself, of others, in a namespace', async () => {
    const attributes = { namespace: 'default', verb: 'list', resource: 'pods' }
    const review = async (path: string, kind: string, spec: object, metadata: object = {}): Promise<unknown> =>
      (
        await ask('POST', path, {
          apiVersion: 'authorization.k8s.io/v1',
          kind,
          metadata,
          spec: { resourceAttributes: attributes, ...spec },
        })
      ).json.status.allowed
    const root = '/apis/authorization.k8s.io/v1'
    expect(await review(`${root}/selfsubjectaccessreviews`, 'SelfSubjectAccessReview', {})).toBe(true)
    expect(await review(`${root}/subjectaccessreviews`, 'SubjectAccessReview', { user: 'nobody' })).toBe(false)
    expect(
      await review(
        `${root}/namespaces/default/localsubjectaccessreviews`,
        'LocalSubjectAccessReview',
        { user: 'root', groups: ['system:masters'] },
        { namespace: 'default' },
      ),
    ).toBe(true)
  })

  // covers: [sig-api-machinery] Namespaces should apply a finalizer to a Namespace [Conformance] [Serial]
  // covers: [sig-api-machinery] Namespaces should apply an update to a Namespace [Conformance] [Serial]
  // covers: [sig-api-machinery] Namespaces should apply changes to a namespace status [Conformance] [Serial]
  // covers: [sig-api-machinery] Namespaces should patch a Namespace [Conformance] [Serial]
  // covers: [sig-api-machinery] Namespaces should ensure that all pods are removed when a namespace is deleted [Conformance] [Serial]
  // covers: [sig-api-machinery] Namespaces should ensure that all services are removed when a namespace is deleted [Conformance] [Serial]
  test('namespaces: patched, updated, their status, their finalizers, and their end with all that is in them', async () => {
    const path = '/api/v1/namespaces/ops'
    await ask('POST', '/api/v1/namespaces', { metadata: { name: 'ops' } })
    expect((await ask('PATCH', path, { metadata: { labels: { a: 'b' } } }, merge)).json.metadata.labels).toEqual({
      a: 'b',
      'kubernetes.io/metadata.name': 'ops',
    })
    const { json: namespace } = await ask('GET', path)
    namespace.metadata.labels.c = 'd'
    expect((await ask('PUT', path, namespace)).json.metadata.labels.c).toBe('d')
    const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'set by a test' }
    expect((await ask('PATCH', `${path}/status`, { status: { conditions: [condition] } }, merge)).json.status.conditions[0]).toMatchObject(
      condition,
    )
    const { json: withStatus } = await ask('GET', `${path}/status`)
    withStatus.status.conditions.push({ ...condition, type: 'StatusUpdate' })
    expect((await ask('PUT', `${path}/status`, withStatus)).json.status.conditions).toHaveLength(2)
    const { json: current } = await ask('GET', path)
    current.spec.finalizers.push('e2e.example.com/fake')
    expect((await ask('PUT', `${path}/finalize`, current)).json.spec.finalizers).toEqual(['kubernetes', 'e2e.example.com/fake'])
    const { json: finalized } = await ask('GET', path)
    finalized.spec.finalizers.pop()
    await ask('PUT', `${path}/finalize`, finalized)
    await cluster.kubectl.run('run', 'p', '--image=navarch.local/web:v1', '--namespace=ops')
    await cluster.kubectl.run('wait', '--for=condition=Ready', 'pod/p', '--namespace=ops', '--timeout=60s')
    await cluster.kubectl.run('create', 'service', 'clusterip', 's', '--tcp=80', '--namespace=ops')
    expect((await ask('DELETE', path)).json.status.phase).toBe('Terminating')
    await expect.poll(async () => (await ask('GET', path)).status, polled).toBe(404)
    await ask('POST', '/api/v1/namespaces', { metadata: { name: 'ops' } })
    for (const kind of ['pods', 'services']) expect((await ask('GET', `${path}/${kind}`)).json.items).toEqual([])
  })

  test('secrets: no empty keys, and patches', async () => {
    const path = '/api/v1/namespaces/default/secrets'
    expect(await ask('POST', path, { metadata: { name: 'empty' }, data: { '': 'dmFsdWU=' } })).toMatchObject({ status: 422 })
    await ask('POST', path, { metadata: { name: 'patched', labels: { s: 'yes' } }, data: { a: 'Yg==' } })
    expect((await ask('PATCH', `${path}/patched`, { metadata: { labels: { t: 'no' } }, data: { a: 'Yw==' } }, merge)).json).toMatchObject({
      data: { a: 'Yw==' },
      metadata: { labels: { s: 'yes', t: 'no' } },
    })
    await ask('DELETE', `${path}?labelSelector=t%3Dno`)
    expect((await ask('GET', `${path}/patched`)).status).toBe(404)
  })

  // covers: [sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata [Conformance]
  test('a review is no table', async () => {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { nonResourceAttributes: { path: '/', verb: 'get' } },
    }
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    expect(await ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', body, accept)).toMatchObject({
      status: 406,
      json: { reason: 'NotAcceptable' },
    })
  })

  // covers: [sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup [Conformance]
  // covers: [sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup [Conformance]
  // covers: [sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should include webhook resources in discovery documents [Conformance]
  test('discovery: every group prefers a version it has, and every version has resources', async () => {
    const { json: list } = await ask('GET', '/apis')
    expect(list.groups.length).toBeGreaterThan(15)
    for (const { name, versions, preferredVersion } of list.groups) {
      expect(versions).toContainEqual(preferredVersion)
      const { json: group } = await ask('GET', `/apis/${name}`)
      expect(group.preferredVersion).toEqual(preferredVersion)
      for (const { groupVersion } of versions) {
        const { json: resources } = await ask('GET', `/apis/${groupVersion}`)
        expect([resources.kind, resources.groupVersion, resources.resources.length > 0]).toEqual(['APIResourceList', groupVersion, true])
      }
    }
    const { json: admission } = await ask('GET', '/apis/admissionregistration.k8s.io/v1')
    const names = admission.resources.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']))
  })

  // covers: [sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface [Conformance]
  // covers: [sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers [Conformance]
  // covers: [sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs [Conformance]
  // covers: [sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs [Conformance]
  test('discovery in one document, definitions included', async () => {
    const accept = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' }
    for (const path of ['/api', '/apis']) {
      const answer = await ask('GET', path, undefined, accept)
      expect([answer.json.kind, answer.json.apiVersion, answer.type]).toEqual([
        'APIGroupDiscoveryList',
        'apidiscovery.k8s.io/v2',
        'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
      ])
    }
    expect((await ask('GET', '/apis', undefined, { accept: 'application/json' })).json.kind).toBe('APIGroupList')
    const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }]
    const spec = { group: 'found.example.com', scope: 'Cluster', names: { plural: 'things', kind: 'Thing' }, versions }
    await ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { metadata: { name: 'things.found.example.com' }, spec })
    const found = async (): Promise<unknown> => {
      const { json } = await ask('GET', '/apis', undefined, accept)
      const group = json.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === 'found.example.com')
      return group?.versions[0].resources.map(({ resource, scope }: { resource: string; scope: string }) => [resource, scope])
    }
    await expect.poll(found, polled).toEqual([['things', 'Cluster']])
    await ask('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.found.example.com')
    await expect.poll(found, polled).toBeUndefined()
  })

  // covers: [sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object [Conformance]
  // covers: [sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object [Conformance]
  test('unknown and doubled fields are refused, by every way of writing', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments'
    const text = (more: string, metadata = ''): string =>
      `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"strict"${metadata}},"spec":{${more}"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
    const strict = `${path}?fieldValidation=Strict`
    const { message } = (await ask('POST', strict, text('"unknown":1,"paused":true,"paused":true,'))).json
    for (const problem of ['unknown field "spec.unknown"', 'duplicate field "spec.paused"']) expect(message).toContain(problem)
    expect((await ask('POST', strict, text('', ',"unknown":1'))).json.message).toContain('unknown field "metadata.unknown"')
    const apply = { 'content-type': 'application/apply-patch+yaml' }
    expect(
      (await ask('PATCH', `${path}/strict?fieldValidation=Strict&fieldManager=me`, text('"unknown":1,'), apply)).status,
    ).toBeGreaterThanOrEqual(400)
    expect((await ask('POST', path, text('"unknown":1,'))).status).toBe(201)
    expect((await ask('PATCH', `${path}/strict?fieldValidation=Strict`, { spec: { unknown: 1 } }, merge)).json.message).toContain(
      'unknown field "spec.unknown"',
    )
  })

  // covers: [sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota. [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should apply changes to a resourcequota status [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated. [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap. [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret. [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service. [Conformance]
  test('resource quotas: by every verb, and what they count', async () => {
    await ask('POST', '/api/v1/namespaces', { metadata: { name: 'bounded' } })
    const path = '/api/v1/namespaces/bounded/resourcequotas'
    await everyVerb(path, { apiVersion: 'v1', kind: 'ResourceQuota', spec: { hard: { pods: '1' } } })
    await ask('POST', path, {
      metadata: { name: 'q' },
      spec: { hard: { configmaps: '2', secrets: '1', services: '1', 'services.nodeports': '0' } },
    })
    const used = async (): Promise<unknown> => (await ask('GET', `${path}/q`)).json.status.used
    await expect.poll(used, polled).toEqual({ configmaps: '1', secrets: '0', services: '0', 'services.nodeports': '0' })
    const one = (resource: string): string => `/api/v1/namespaces/bounded/${resource}`
    await ask('POST', one('configmaps'), { metadata: { name: 'c' } })
    await ask('POST', one('secrets'), { metadata: { name: 's' } })
    await ask('POST', one('services'), { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } })
    await expect.poll(used, polled).toEqual({ configmaps: '2', secrets: '1', services: '1', 'services.nodeports': '0' })
    expect((await ask('POST', one('configmaps'), { metadata: { name: 'd' } })).json.message).toBe(
      'configmaps "d" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2',
    )
    expect((await ask('PATCH', `${path}/q`, { spec: { hard: { configmaps: '3' } } }, merge)).json.spec.hard.configmaps).toBe('3')
    await expect.poll(async () => (await ask('GET', `${path}/q`)).json.status.hard.configmaps, polled).toBe('3')
    for (const resource of ['configmaps/c', 'secrets/s', 'services/s']) await ask('DELETE', one(resource))
    await expect.poll(used, polled).toEqual({ configmaps: '1', secrets: '0', services: '0', 'services.nodeports': '0' })
    const status = await ask('PATCH', `${path}/q/status`, { status: { hard: { configmaps: '9' } } }, merge)
    expect(status.json.status.hard.configmaps).toBe('9')
    await expect.poll(async () => (await ask('GET', `${path}/q`)).json.status.hard.configmaps, polled).toBe('3')
  })
})
