// What rules of the cluster refuse or add: quotas, ranges, pod security, classes, accounts, deletion, eviction.
import { describe, expect, test } from 'vitest'
import { useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()
const { namespace, unique } = cluster

const container = { name: 'c', image: 'navarch.local/web:1' }
const nowhere = { nodeSelector: { 'parity.example.com/nowhere': 'here' } }
const pod = (name: string, spec: object = {}): object => ({
  metadata: { name, labels: { app: name } },
  spec: { containers: [container], ...nowhere, ...spec },
})

/** Makes a namespace of a test's own, with the labels it needs, and waits for its account. */
async function roomOf(name: string, labels: Readonly<Record<string, string>> = {}): Promise<string> {
  const room = `${namespace}-${name}`
  cluster.global('v1', 'namespaces', room)
  expect((await cluster.ask('POST', '/api/v1/namespaces', { body: { metadata: { name: room, labels } } })).status).toBe(201)
  const path = `/api/v1/namespaces/${room}`
  await cluster.until(async () => ((await cluster.ask('GET', `${path}/serviceaccounts/default`)).status === 200 ? true : undefined))
  return path
}

const refusedAs = (code: number, reason: string, message: string) => ({ code, reason, message })

describe('pods', () => {
  const refusals: readonly (readonly [name: string, spec: object, code: number, message: string])[] = [
    [
      'an account that is not there',
      { serviceAccountName: 'nobody' },
      403,
      `pods "p" is forbidden: error looking up service account ${namespace}/nobody: serviceaccount "nobody" not found`,
    ],
    [
      'a priority class that is not there',
      { priorityClassName: 'none' },
      403,
      'pods "p" is forbidden: no PriorityClass with name none was found',
    ],
    [
      'a priority of their own',
      { priority: 7 },
      403,
      'pods "p" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
    [
      'a runtime class that is not there',
      { runtimeClassName: 'none' },
      403,
      'pods "p" is forbidden: pod rejected: RuntimeClass "none" not found',
    ],
  ]
  test.each(refusals)('may not ask for %s', async (_name, spec, code, message) => {
    expect(await cluster.refused('POST', cluster.at('v1', 'pods'), { body: pod('p', spec) })).toEqual(refusedAs(code, 'Forbidden', message))
  })

  test('more than their namespace’s quota allows are refused', async () => {
    const room = await roomOf('quota')
    const made = await cluster.ask('POST', `${room}/resourcequotas`, {
      body: { metadata: { name: 'tight' }, spec: { hard: { 'requests.cpu': '1', 'count/configmaps': '1' } } },
    })
    expect(made.status).toBe(201)
    await cluster.until(async () => {
      const { json } = await cluster.ask('GET', `${room}/resourcequotas/tight`)
      return (json as { status: { used?: object } }).status.used
    })
    expect(await cluster.refused('POST', `${room}/pods`, { body: pod('p') })).toEqual(
      refusedAs(403, 'Forbidden', 'pods "p" is forbidden: failed quota: tight: must specify requests.cpu for: c'),
    )
    const hungry = { containers: [{ ...container, resources: { requests: { cpu: '2' } } }] }
    expect(await cluster.refused('POST', `${room}/pods`, { body: pod('p', hungry) })).toEqual(
      refusedAs(
        403,
        'Forbidden',
        'pods "p" is forbidden: exceeded quota: tight, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1',
      ),
    )
    // The root certificate counts as well.
    expect(await cluster.refused('POST', `${room}/configmaps`, { body: { metadata: { name: 'a' } } })).toEqual(
      refusedAs(
        403,
        'Forbidden',
        'configmaps "a" is forbidden: exceeded quota: tight, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1',
      ),
    )
  })

  test('out of the range of their namespace are refused, and others filled up', async () => {
    const room = await roomOf('range')
    const limits = [
      {
        type: 'Container',
        min: { cpu: '100m' },
        max: { cpu: '1' },
        default: { cpu: '500m' },
        defaultRequest: { cpu: '200m' },
        maxLimitRequestRatio: { cpu: '4' },
      },
      { type: 'PersistentVolumeClaim', max: { storage: '1Gi' } },
    ]
    expect((await cluster.ask('POST', `${room}/limitranges`, { body: { metadata: { name: 'range' }, spec: { limits } } })).status).toBe(201)
    const asking = (requests: object, more: object): object =>
      pod('p', { containers: [{ ...container, resources: { requests, limits: more } }] })
    await cluster.until(async () =>
      (await cluster.ask('POST', `${room}/pods?dryRun=All`, { body: asking({ cpu: '2' }, { cpu: '2' }) })).status === 403
        ? true
        : undefined,
    )
    const refusal = async (body: object): Promise<string> => (await cluster.refused('POST', `${room}/pods`, { body })).message
    expect([
      await refusal(asking({ cpu: '50m' }, { cpu: '100m' })),
      await refusal(asking({ cpu: '2' }, { cpu: '2' })),
      await refusal(asking({ cpu: '100m' }, { cpu: '1' })),
    ]).toEqual([
      'pods "p" is forbidden: minimum cpu usage per Container is 100m, but request is 50m',
      'pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
      'pods "p" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000',
    ])
    const claim = { metadata: { name: 'c' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } } }
    expect(await cluster.refused('POST', `${room}/persistentvolumeclaims`, { body: claim })).toEqual(
      refusedAs(
        403,
        'Forbidden',
        'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi',
      ),
    )
    const { json } = await cluster.ask('POST', `${room}/pods?dryRun=All`, { body: pod('p') })
    const made = json as { metadata: { annotations: object }; spec: { containers: { resources: object }[] } }
    expect([made.metadata.annotations, made.spec.containers[0]?.resources]).toEqual([
      { 'kubernetes.io/limit-ranger': 'LimitRanger plugin set: cpu request for container c; cpu limit for container c' },
      { limits: { cpu: '500m' }, requests: { cpu: '200m' } },
    ])
  })

  test('that are less secure than their namespace asks are refused, or warned of', async () => {
    const room = await roomOf('secure', {
      'pod-security.kubernetes.io/enforce': 'baseline',
      'pod-security.kubernetes.io/warn': 'restricted',
    })
    const risky = pod('p', { hostNetwork: true, containers: [{ ...container, securityContext: { privileged: true } }] })
    expect(await cluster.refused('POST', `${room}/pods`, { body: risky })).toEqual(
      refusedAs(
        403,
        'Forbidden',
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true), privileged (container "c" must not set securityContext.privileged=true)',
      ),
    )
    const { status, headers } = await cluster.ask('POST', `${room}/pods?dryRun=All`, { body: pod('p') })
    expect([status, headers['warning']]).toEqual([
      201,
      '299 - "would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation != false (container \\"c\\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \\"c\\" must set securityContext.capabilities.drop=[\\"ALL\\"]), runAsNonRoot != true (pod or container \\"c\\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \\"c\\" must set securityContext.seccompProfile.type to \\"RuntimeDefault\\" or \\"Localhost\\")"',
    ])
  })
})

describe('deletion', () => {
  test('waits for finalizers, and lets nobody add one', async () => {
    await cluster.create('v1', 'configmaps', { metadata: { name: 'held', finalizers: ['parity.example.com/hold'] } })
    const path = cluster.at('v1', 'configmaps', 'held')
    const gone = await cluster.ask('DELETE', path)
    expect([gone.status, (gone.json as { metadata: object }).metadata]).toMatchObject([
      200,
      { deletionTimestamp: expect.stringMatching(/Z$/), deletionGracePeriodSeconds: 0, finalizers: ['parity.example.com/hold'] },
    ])
    const patch = (finalizers: string[]) => ({
      body: { metadata: { finalizers } },
      contentType: 'application/merge-patch+json',
    })
    expect(await cluster.refused('PATCH', path, patch(['parity.example.com/hold', 'parity.example.com/more']))).toEqual(
      refusedAs(
        422,
        'Invalid',
        'ConfigMap "held" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"parity.example.com/more"}',
      ),
    )
    expect((await cluster.ask('PATCH', path, patch([]))).status).toBe(200)
    expect((await cluster.ask('GET', path)).status).toBe(404)
  })

  test('of what holds nothing is told as a Status', async () => {
    const { metadata } = await cluster.create('v1', 'configmaps', { metadata: { name: 'plain' } })
    expect((await cluster.ask('DELETE', cluster.at('v1', 'configmaps', 'plain'))).json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'plain', kind: 'configmaps', uid: metadata.uid },
    })
  })

  test('of a pod that stands on no node takes no time', async () => {
    const { json } = await cluster.ask('POST', cluster.at('v1', 'pods'), { body: pod('unplaced') })
    expect((json as { kind: string }).kind).toBe('Pod')
    const gone = await cluster.ask('DELETE', cluster.at('v1', 'pods', 'unplaced'))
    expect(gone.json).toMatchObject({
      kind: 'Pod',
      metadata: { deletionGracePeriodSeconds: 0, deletionTimestamp: expect.any(String), generation: 2 },
    })
    expect((await cluster.ask('GET', cluster.at('v1', 'pods', 'unplaced'))).status).toBe(404)
  })

  test('of a namespace closes it for what is new', async () => {
    const room = await roomOf('closing')
    const body = { metadata: { name: 'held', finalizers: ['parity.example.com/hold'] } }
    expect((await cluster.ask('POST', `${room}/configmaps`, { body })).status).toBe(201)
    expect((await cluster.ask('DELETE', room)).json).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } })
    const name = room.split('/').at(-1)
    expect(await cluster.refused('POST', `${room}/configmaps`, { body: { metadata: { name: 'late' } } })).toEqual(
      refusedAs(
        403,
        'Forbidden',
        `configmaps "late" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
      ),
    )
    await cluster.ask('PATCH', `${room}/configmaps/held`, {
      body: { metadata: { finalizers: null } },
      contentType: 'application/merge-patch+json',
    })
    await cluster.until(async () => ((await cluster.ask('GET', room)).status === 404 ? true : undefined))
  })

  test('namespaces that the cluster needs stay', async () => {
    expect(await cluster.refused('DELETE', '/api/v1/namespaces/kube-system')).toEqual(
      refusedAs(403, 'Forbidden', 'namespaces "kube-system" is forbidden: this namespace may not be deleted'),
    )
  })
})

describe('subresources', () => {
  test('an eviction of what is not there', async () => {
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'nobody' } }
    expect(await cluster.refused('POST', cluster.at('v1', 'pods', 'nobody', 'eviction'), { body })).toEqual(
      refusedAs(404, 'NotFound', 'pods "nobody" not found'),
    )
  })

  test('a token lives as long as is asked for, within bounds, and says whose it is', async () => {
    const path = cluster.at('v1', 'serviceaccounts', 'default', 'token')
    const ask = (expirationSeconds: number) => ({ body: { spec: { audiences: ['parity'], expirationSeconds } } })
    expect(await cluster.refused('POST', path, ask(60))).toEqual(
      refusedAs(
        422,
        'Invalid',
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
      ),
    )
    const { status, json } = await cluster.ask('POST', path, ask(600))
    const { token } = (json as { status: { token: string } }).status
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
    expect([status, claims['aud'], claims['sub'], Number(claims['exp']) - Number(claims['iat'])]).toEqual([
      201,
      ['parity'],
      `system:serviceaccount:${namespace}:default`,
      600,
    ])
  })

  test('reviews say who may what', async () => {
    const review = async (kind: string, spec: object): Promise<unknown> => {
      const path = `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`
      const { json } = await cluster.ask('POST', path, { body: { apiVersion: 'authorization.k8s.io/v1', kind, spec } })
      return (json as { status: unknown }).status
    }
    const resourceAttributes = { verb: 'get', resource: 'pods', namespace }
    expect([
      await review('SelfSubjectAccessReview', { resourceAttributes }),
      await review('SubjectAccessReview', { user: 'jane', resourceAttributes }),
    ]).toMatchObject([{ allowed: true }, { allowed: false }])
    expect(
      await cluster.refused('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { body: { spec: { user: 'jane' } } }),
    ).toEqual(
      refusedAs(
        422,
        'Invalid',
        'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    )
  })

  test('whoever asks is told who they are', async () => {
    const { json } = await cluster.ask('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      as: `jane-${unique}`,
    })
    expect(json).toMatchObject({ status: { userInfo: { username: `jane-${unique}`, groups: ['system:authenticated'] } } })
  })
})
