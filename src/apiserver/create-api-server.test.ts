// The whole API server, pipeline included, reached as clients reach it: over TLS with certificates and tokens, and in process.
import { request as httpsRequest } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allKinds } from '#api/kinds/all'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { createLogger } from '#platform/log'
import { createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { openMemoryStore } from '#storage/memory/memory-store'
import { type ApiServer, createApiServer } from './create-api-server.ts'
import { type ApiListener, listenApi } from './server/listen.ts'

const issuer = 'https://kubernetes.default.svc.cluster.local'
const nowMs = systemClock.now()
const ca = createCa({ commonName: 'cluster', days: 1, nowMs })
const client = (commonName: string, organizations: string[] = []) =>
  issueCertificate({ ca, commonName, organizations, usages: ['client'], days: 1, nowMs })
const admin = client('admin', ['system:masters'])
const jane = client('jane', ['dev'])
const signingKeyPem = createPrivateKeyPem()

let api: ApiServer
let listener: ApiListener
const auditLines: string[] = []
const logLines: string[] = []

beforeAll(async () => {
  const serving = issueCertificate({ ca, commonName: 'api', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
  api = await createApiServer({
    store: openMemoryStore(),
    kinds: allKinds,
    clock: systemClock,
    random: seededRandom(1),
    log: createLogger({ sink: { write: (line) => void logLines.push(line) }, clock: systemClock, level: 'debug' }),
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0+navarch', gitCommit: 'abc', buildDate: '2026-01-01T00:00:00Z' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem, issuer },
    kubeletTls: { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem },
    auditSink: { write: (line) => void auditLines.push(line) },
  })
  listener = await listenApi({
    handle: api.handle,
    tls: { ...serving, clientCaPem: ca.certificatePem },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
  })
  await api.untilReady()
})
afterAll(async () => {
  await listener.close(100)
  await api.close()
})

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every kind
  json: any
}

function as(
  credential: { certificatePem: string; privateKeyPem: string } | { token: string } | undefined,
  more: Record<string, string> = {},
) {
  const tls =
    credential !== undefined && 'certificatePem' in credential ? { cert: credential.certificatePem, key: credential.privateKeyPem } : {}
  const authorization: Record<string, string> =
    credential !== undefined && 'token' in credential ? { authorization: `Bearer ${credential.token}` } : {}
  return {
    call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
      const bytes = body === undefined ? undefined : JSON.stringify(body)
      const all = { ...authorization, ...more, ...(bytes === undefined ? {} : { 'content-type': 'application/json' }), ...headers }
      return new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: listener.port, method, path, headers: all, ca: ca.certificatePem, agent: false, ...tls }
        const request = httpsRequest(options, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk) => chunks.push(chunk))
          response.on('end', () => {
            const whole = Buffer.concat(chunks)
            const text = whole.toString()
            const isJson = (response.headers['content-type'] ?? '').includes('json') && response.headers['content-encoding'] === undefined
            resolve({
              status: response.statusCode!,
              headers: response.headers,
              bytes: whole,
              text,
              json: isJson && text !== '' ? JSON.parse(text) : undefined,
            })
          })
        })
        request.on('error', reject)
        request.end(bytes)
      })
    },
  }
}

const nobody = as(undefined)
const root = as(admin)

describe('discovery', () => {
  test('groups, versions and resources, one by one', async () => {
    expect((await root.call('GET', '/api')).json).toEqual({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '192.0.2.1:6443' }],
    })
    const groups = (await root.call('GET', '/apis')).json.groups
    expect(groups.find((group: { name: string }) => group.name === 'autoscaling')).toEqual({
      name: 'autoscaling',
      versions: [
        { groupVersion: 'autoscaling/v2', version: 'v2' },
        { groupVersion: 'autoscaling/v1', version: 'v1' },
      ],
      preferredVersion: { groupVersion: 'autoscaling/v2', version: 'v2' },
    })
    expect((await root.call('GET', '/apis/apps')).json).toMatchObject({ kind: 'APIGroup', name: 'apps' })
    const core = (await root.call('GET', '/api/v1')).json
    expect(core).toMatchObject({ kind: 'APIResourceList', groupVersion: 'v1' })
    const find = (name: string) => core.resources.find((resource: { name: string }) => resource.name === name)
    expect(find('pods')).toEqual({
      name: 'pods',
      singularName: 'pod',
      namespaced: true,
      kind: 'Pod',
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      shortNames: ['po'],
      categories: ['all'],
      storageVersionHash: 'xPOwRZ+Yhw8=',
    })
    expect(find('pods/eviction')).toEqual({
      name: 'pods/eviction',
      singularName: '',
      namespaced: true,
      group: 'policy',
      version: 'v1',
      kind: 'Eviction',
      verbs: ['create'],
    })
    expect(find('pods/log')).toEqual({ name: 'pods/log', singularName: '', namespaced: true, kind: 'Pod', verbs: ['get'] })
    for (const path of ['/apis/none', '/apis/apps/v9', '/api/v2', '/api/v1/pods/x/y/z'])
      expect((await root.call('GET', path)).status).toBe(404)
  })

  test('everything at once, with an ETag, compressed when asked', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
    const answer = await root.call('GET', '/apis', undefined, { accept })
    expect(answer.headers['content-type']).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList')
    const apps = answer.json.items.find((item: { metadata: { name: string } }) => item.metadata.name === 'apps')
    const deployments = apps.versions[0].resources.find((resource: { resource: string }) => resource.resource === 'deployments')
    expect(deployments).toMatchObject({
      responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      scope: 'Namespaced',
      singularResource: 'deployment',
      shortNames: ['deploy'],
    })
    expect(deployments.subresources).toContainEqual({
      subresource: 'scale',
      responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      verbs: ['get', 'patch', 'update'],
    })
    expect((await root.call('GET', '/api', undefined, { accept })).json.items).toHaveLength(1)
    const etag = answer.headers['etag'] as string
    expect(etag).toMatch(/^"[0-9A-F]{128}"$/)
    expect((await root.call('GET', '/apis', undefined, { accept, 'if-none-match': etag })).status).toBe(304)
    const compressed = await root.call('GET', '/apis', undefined, { accept, 'accept-encoding': 'gzip' })
    expect(compressed.headers['content-encoding']).toBe('gzip')
    expect(JSON.parse(gunzipSync(compressed.bytes).toString())).toEqual(answer.json)
    // Debian's kubectl names the plain form first.
    expect((await root.call('GET', '/apis', undefined, { accept: 'application/json, */*' })).json.kind).toBe('APIGroupList')
  })

  test('version, paths, metrics, keys', async () => {
    expect((await nobody.call('GET', '/version')).json).toMatchObject({ major: '1', minor: '36', gitVersion: 'v1.36.0+navarch' })
    expect((await root.call('GET', '/')).json.paths).toEqual(
      expect.arrayContaining(['/api/v1', '/apis/apps/v1', '/healthz/etcd', '/metrics']),
    )
    await root.call('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles')
    const metrics = await root.call('GET', '/metrics')
    expect(metrics.text).toContain(
      'apiserver_request_total{verb="LIST",dry_run="",group="rbac.authorization.k8s.io",version="v1",resource="clusterroles"',
    )
    expect(metrics.text).toContain('# TYPE apiserver_request_duration_seconds histogram')
    const sizes =
      /apiserver_response_sizes_count\{verb="LIST",group="rbac.authorization.k8s.io",version="v1",resource="clusterroles",subresource="",scope="cluster",component="apiserver"\} (\d+)/
    expect(Number(sizes.exec(metrics.text)?.[1])).toBeGreaterThan(0)
    await root.call('GET', '/api/v1/componentstatuses')
    expect((await root.call('GET', '/metrics')).text).toContain(
      'apiserver_requested_deprecated_apis{group="",version="v1",resource="componentstatuses",subresource="",removed_release=""} 1',
    )
    expect((await root.call('GET', '/.well-known/openid-configuration')).json).toMatchObject({
      issuer,
      jwks_uri: 'https://192.0.2.1:6443/openid/v1/jwks',
    })
    expect((await root.call('GET', '/openid/v1/jwks')).json.keys).toMatchObject([{ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' }])
    expect((await root.call('GET', '/nowhere')).json).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 })
  })
})

describe('health', () => {
  test('says ok, names its checks, excludes some, and knows single ones', async () => {
    expect((await nobody.call('GET', '/healthz')).text).toBe('ok')
    expect((await nobody.call('GET', '/readyz?verbose')).text).toMatch(
      /^\[\+\]ping ok\n[\s\S]*\[\+\]informer-sync ok\n[\s\S]*readyz check passed\n$/,
    )
    expect((await nobody.call('GET', '/livez?verbose&exclude=etcd&exclude=nope')).text).toMatch(
      /\[\+\]etcd excluded: ok\n[\s\S]*warn: some health checks cannot be excluded: no matches for "nope"\nlivez check passed\n$/,
    )
    expect((await root.call('GET', '/livez/ping')).text).toBe('ok')
    expect((await root.call('GET', '/livez/nope')).status).toBe(404)
  })
})

describe('who asks', () => {
  test('nobody may see health and version, and nothing else', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) expect((await nobody.call('GET', path)).status).toBe(200)
    const refused = await nobody.call('GET', '/api/v1/namespaces/default/pods')
    expect([refused.status, refused.json.message]).toEqual([
      403,
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    ])
    expect((await nobody.call('GET', '/apis')).json.message).toBe('forbidden: User "system:anonymous" cannot get path "/apis"')
  })

  test('a token that does not hold is 401, and says nothing of itself', async () => {
    const answer = await as({ token: 'eyJhbGciOiJub25lIn0.e30.' }).call('GET', '/version')
    expect([answer.status, answer.json]).toEqual([
      401,
      { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'Unauthorized', reason: 'Unauthorized', code: 401 },
    ])
  })

  test('every answer carries an audit id and is not cached', async () => {
    const { headers } = await nobody.call('GET', '/version')
    expect(headers).toMatchObject({ 'audit-id': expect.stringMatching(/^[0-9a-f-]{36}$/), 'cache-control': 'no-cache, private' })
  })

  test('a service-account token does what its account may, and reviews say whose it is', async () => {
    await root.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'robot' } })
    const asked = await root.call('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', { spec: { expirationSeconds: 900 } })
    expect(asked.status).toBe(201)
    expect(asked.json).toMatchObject({ kind: 'TokenRequest', spec: { audiences: [issuer], expirationSeconds: 900 } })
    const { token } = asked.json.status
    const robot = as({ token })
    const self = await robot.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
    expect(self.json.status.userInfo).toMatchObject({
      username: 'system:serviceaccount:default:robot',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    })
    expect((await robot.call('GET', '/api/v1/namespaces/default/pods')).status).toBe(403)
    const review = (spec: object) => root.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec })
    expect((await review({ token })).json.status).toMatchObject({
      authenticated: true,
      audiences: [issuer],
      user: { username: 'system:serviceaccount:default:robot' },
    })
    const other = (await review({ token, audiences: ['vault'] })).json.status
    expect([other.authenticated, other.error]).toEqual([undefined, expect.stringContaining('invalid for the target audiences')])
    expect((await review({ token: 'x.y.z' })).json.status.error).toBe('invalid bearer token')
    expect((await review({ token: '' })).json.message).toBe('token is required for TokenReview in authentication')
  })

  test('tokens are refused for what is not there and for times that are too short', async () => {
    const token = (name: string, spec: object) => root.call('POST', `/api/v1/namespaces/default/serviceaccounts/${name}/token`, { spec })
    expect((await token('nobody', {})).json.message).toBe('serviceaccounts "nobody" not found')
    expect((await token('robot', { expirationSeconds: 10 })).json.message).toContain(
      'spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes',
    )
    expect((await token('robot', { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'gone' } })).json.message).toBe(
      'pods "gone" not found',
    )
    expect((await token('robot', { boundObjectRef: { kind: 'Deployment', apiVersion: 'apps/v1', name: 'x' } })).status).toBe(400)
  })
})

describe('what they may', () => {
  test('access reviews answer for others, for oneself, and in one namespace', async () => {
    const group = '/apis/authorization.k8s.io/v1'
    const resourceAttributes = { namespace: 'default', verb: 'get', resource: 'pods' }
    const allowed = await root.call('POST', `${group}/subjectaccessreviews`, {
      spec: { resourceAttributes, user: 'x', groups: ['system:masters'] },
    })
    expect([allowed.status, allowed.json.status]).toEqual([201, { allowed: true }])
    expect((await as(jane).call('POST', `${group}/selfsubjectaccessreviews`, { spec: { resourceAttributes } })).json.status).toEqual({
      allowed: false,
    })
    const path = { spec: { nonResourceAttributes: { path: '/healthz', verb: 'get' } } }
    expect((await as(jane).call('POST', `${group}/selfsubjectaccessreviews`, path)).json.status).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"',
    })
    const local = await root.call('POST', `${group}/namespaces/kube-system/localsubjectaccessreviews`, {
      spec: { resourceAttributes, user: 'x' },
    })
    expect(local.json.message).toBe(
      'LocalSubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "default": must match metadata.namespace',
    )
    expect((await root.call('POST', `${group}/subjectaccessreviews`, { spec: { resourceAttributes } })).json.message).toContain(
      'at least one of user or group must be specified',
    )
    const rules = await as(jane).call('POST', `${group}/selfsubjectrulesreviews`, { spec: { namespace: 'default' } })
    expect(rules.json.status.nonResourceRules).toEqual(expect.arrayContaining([expect.objectContaining({ verbs: ['get'] })]))
    expect(rules.json.status.incomplete).toBe(false)
  })

  test('MUSTHOLD 6: impersonation takes the right to it', async () => {
    const claim = { 'impersonate-user': 'system:admin', 'impersonate-group': 'system:masters' }
    const refused = await as(jane, claim).call('GET', '/api/v1/nodes')
    expect([refused.status, refused.json.message]).toEqual([
      403,
      'nodes is forbidden: User "jane" cannot impersonate-on:user-info:list resource "nodes" in API group "" at the cluster scope',
    ])
    const acting = await as(admin, { 'impersonate-user': 'jane', 'impersonate-extra-scopes': 'a' }).call(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      {},
    )
    expect(acting.json.status.userInfo).toEqual({ username: 'jane', groups: ['system:authenticated'], extra: { scopes: ['a'] } })
    expect((await as(admin, { 'impersonate-group': 'x' }).call('GET', '/version')).json).toMatchObject({
      code: 400,
      message: expect.stringContaining('without impersonating a user name'),
    })
    const robot = await as(admin, { 'impersonate-user': 'system:serviceaccount:default:robot' }).call(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      {},
    )
    expect(robot.json.status.userInfo.groups).toEqual(['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'])
  })

  test('MUSTHOLD 10: the editor of roles cannot grow beyond what it holds', async () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
    const bind = (role: string) => ({
      metadata: { name: `jane-${role}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'jane' }],
    })
    expect((await root.call('POST', `${rbac}/rolebindings`, bind('admin'))).status).toBe(201)
    const janeToo = as(jane)
    expect((await janeToo.call('POST', `${rbac}/rolebindings`, bind('view'))).status).toBe(201)
    const refused = await janeToo.call('POST', `${rbac}/rolebindings`, bind('cluster-admin'))
    expect([refused.status, refused.json.message]).toEqual([
      403,
      'rolebindings.rbac.authorization.k8s.io "jane-cluster-admin" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
    ])
    const nodes = { metadata: { name: 'more' }, rules: [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }] }
    expect((await janeToo.call('POST', `${rbac}/roles`, nodes)).json.message).toContain(
      '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}',
    )
    expect((await janeToo.call('GET', '/api/v1/namespaces/kube-system/secrets')).status).toBe(403)
  })

  test('MUSTHOLD 5: encoded dots and slashes lead nowhere', async () => {
    const janeToo = as(jane)
    for (const path of [
      '/api/v1/namespaces/default/../kube-system/secrets',
      '/api/v1/namespaces/default%2f..%2fkube-system/secrets',
      '/api/v1/namespaces/default/secrets/%2e%2e',
    ]) {
      expect((await janeToo.call('GET', path)).status).toBe(400)
    }
  })

  test('a PUT that would create takes the right to create', async () => {
    await root.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles', {
      metadata: { name: 'updater' },
      rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['update', 'get'] }],
    })
    await root.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
      metadata: { name: 'updater' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'updater' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'pat' }],
    })
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec: {} }
    const put = await as(client('pat')).call('PUT', '/apis/coordination.k8s.io/v1/namespaces/default/leases/l', lease)
    expect([put.status, put.json.message]).toEqual([
      403,
      'leases.coordination.k8s.io "l" is forbidden: User "pat" cannot create resource "leases" in API group "coordination.k8s.io" in the namespace "default"',
    ])
  })
})

describe('what is written down', () => {
  test('the audit log says who did what, as whom, and how it ended', async () => {
    auditLines.length = 0
    await as(admin, { 'impersonate-user': 'jane', 'user-agent': 'tester/1' }).call('GET', '/api/v1/namespaces/default/pods/none')
    expect(auditLines.map((line) => JSON.parse(line))).toMatchObject([
      {
        kind: 'Event',
        apiVersion: 'audit.k8s.io/v1',
        level: 'Metadata',
        stage: 'ResponseComplete',
        requestURI: '/api/v1/namespaces/default/pods/none',
        verb: 'get',
        user: { username: 'admin' },
        impersonatedUser: { username: 'jane' },
        sourceIPs: ['127.0.0.1'],
        userAgent: 'tester/1',
        objectRef: { resource: 'pods', namespace: 'default', name: 'none', apiVersion: 'v1' },
        responseStatus: { code: 404 },
        annotations: { 'authorization.k8s.io/decision': 'allow' },
      },
    ])
  })

  test('MUSTHOLD 13: tokens stand neither in the audit log nor in the log', async () => {
    const { token } = (await root.call('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', {})).json.status
    const forged = `${token.slice(0, -8)}AAAAAAAA`
    await as({ token }).call('GET', '/api/v1/nodes')
    await as({ token: forged }).call('GET', '/api/v1/nodes')
    await root.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: forged } })
    const written = [...auditLines, ...logLines].join('')
    expect(written).not.toContain(token.split('.')[1])
    expect(written).not.toContain(forged)
  })
})

describe('the end', () => {
  test('a stopping server says so, and takes nothing new', async () => {
    api.stop()
    const refused = await root.call('GET', '/api/v1/namespaces')
    expect([refused.status, refused.headers['retry-after'], refused.headers['connection']]).toEqual([429, '5', 'close'])
    const ready = await nobody.call('GET', '/readyz')
    expect([ready.status, ready.text]).toEqual([500, expect.stringContaining('[-]shutdown failed: reason withheld\n')])
    expect((await nobody.call('GET', '/livez')).text).toBe('ok')
  })
})
