// Resource quotas as their users have them: what they count of pods, of workloads, and by scopes, tried by a real client.
import './load-on-node-20.ts'
import * as k8s from '@kubernetes/client-node'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

const polled = { timeout: 60_000 }
const image = 'navarch.local/app:1'
const labels = { app: 'web' }
const podSpec: k8s.V1PodSpec = { containers: [{ name: 'main', image }] }
const jsonPatch = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch)

/** What a refusal says; fails unless the call is refused. */
const refusal = (call: Promise<unknown>): Promise<{ code: number; reason?: string; message: string }> =>
  call.then(
    () => expect.unreachable('it was not refused'),
    ({ code, body }: k8s.ApiException<string>) => ({ code, ...(JSON.parse(body) as { reason: string; message: string }) }),
  )

describe('quotas', () => {
  let cluster: ClientCluster
  let core: k8s.CoreV1Api
  let apps: k8s.AppsV1Api
  beforeAll(async () => {
    cluster = await startClientCluster()
    const config = new k8s.KubeConfig()
    config.loadFromString(cluster.kubeconfig)
    core = config.makeApiClient(k8s.CoreV1Api)
    apps = config.makeApiClient(k8s.AppsV1Api)
    await core.createNamespace({ body: { metadata: { name: 'quotas' } } })
  })
  afterAll(() => cluster?.stop())

  const inQuotas = { namespace: 'quotas' }
  const quota = (name: string, hard: Record<string, string>, more: Partial<k8s.V1ResourceQuotaSpec> = {}): Promise<unknown> =>
    core.createNamespacedResourceQuota({ ...inQuotas, body: { metadata: { name }, spec: { hard, ...more } } })
  const used = async (name: string): Promise<unknown> => (await core.readNamespacedResourceQuota({ ...inQuotas, name })).status?.used
  const pod = (name: string, resources: k8s.V1ResourceRequirements = {}, spec: Partial<k8s.V1PodSpec> = {}): Promise<unknown> =>
    core.createNamespacedPod({
      ...inQuotas,
      body: { metadata: { name }, spec: { containers: [{ name: 'main', image, resources }], ...spec } },
    })
  const removePod = (name: string): Promise<unknown> => core.deleteNamespacedPod({ ...inQuotas, name, gracePeriodSeconds: 0 })
  afterEach(async () => {
    await core.deleteCollectionNamespacedResourceQuota(inQuotas)
    await core.deleteCollectionNamespacedPod({ ...inQuotas, gracePeriodSeconds: 0 })
  })

  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod. [Conformance]
  test('follow the life of a pod', async () => {
    const hard = {
      pods: '5',
      cpu: '1',
      memory: '500Mi',
      'ephemeral-storage': '50Gi',
      resourcequotas: '1',
      'requests.example.com/dongle': '3',
    }
    await quota('q', hard)
    const none = { pods: '0', cpu: '0', memory: '0', 'ephemeral-storage': '0', resourcequotas: '1', 'requests.example.com/dongle': '0' }
    await expect.poll(() => used('q'), polled).toEqual(none)
    const requests = { cpu: '500m', memory: '252Mi', 'ephemeral-storage': '30Gi', 'example.com/dongle': '2' }
    await pod('a', { requests, limits: { 'example.com/dongle': '2' } })
    const one = {
      pods: '1',
      cpu: '500m',
      memory: '252Mi',
      'ephemeral-storage': '30Gi',
      resourcequotas: '1',
      'requests.example.com/dongle': '2',
    }
    await expect.poll(() => used('q'), polled).toEqual(one)
    const more = (of: Record<string, string>, limits = {}): Promise<{ code: number; message: string }> =>
      refusal(pod('b', { requests: { cpu: '100m', memory: '10Mi', 'ephemeral-storage': '1Gi', ...of }, limits }))
    expect(await more({ cpu: '600m' })).toMatchObject({
      code: 403,
      message: 'pods "b" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=500m, limited: cpu=1',
    })
    expect((await more({ 'example.com/dongle': '2' }, { 'example.com/dongle': '2' })).message).toContain(
      'exceeded quota: q, requested: requests.example.com/dongle=2',
    )
    expect((await refusal(pod('c', { requests: { cpu: '1m' } }))).message).toBe(
      'pods "c" is forbidden: failed quota: q: must specify memory for: main',
    )
    const body = [{ op: 'replace', path: '/spec/containers/0/resources/requests/memory', value: '100Mi' }]
    expect((await refusal(core.patchNamespacedPod({ ...inQuotas, name: 'a', body }, jsonPatch))).code).toBe(422)
    expect(await used('q')).toEqual(one)
    await removePod('a')
    await expect.poll(() => used('q'), polled).toEqual(none)
  })

  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set. [Conformance]
  // covers: [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller. [Conformance]
  test('follow the lives of replica sets and replication controllers', async () => {
    await quota('q', { 'count/replicasets.apps': '1', replicationcontrollers: '1' })
    const none = { 'count/replicasets.apps': '0', replicationcontrollers: '0' }
    await expect.poll(() => used('q'), polled).toEqual(none)
    const template = { metadata: { labels }, spec: podSpec }
    const set = (name: string): Promise<unknown> =>
      apps.createNamespacedReplicaSet({
        ...inQuotas,
        body: { metadata: { name }, spec: { replicas: 0, selector: { matchLabels: labels }, template } },
      })
    const controller = (name: string): Promise<unknown> =>
      core.createNamespacedReplicationController({
        ...inQuotas,
        body: { metadata: { name }, spec: { replicas: 0, selector: labels, template } },
      })
    await set('a')
    await controller('a')
    await expect.poll(() => used('q'), polled).toEqual({ 'count/replicasets.apps': '1', replicationcontrollers: '1' })
    expect((await refusal(set('b'))).message).toContain('exceeded quota: q, requested: count/replicasets.apps=1')
    expect((await refusal(controller('b'))).message).toContain('exceeded quota: q, requested: replicationcontrollers=1')
    await apps.deleteNamespacedReplicaSet({ ...inQuotas, name: 'a' })
    await core.deleteNamespacedReplicationController({ ...inQuotas, name: 'a', propagationPolicy: 'Background' })
    await expect.poll(() => used('q'), polled).toEqual(none)
  })

  const counts = async (names: readonly string[]): Promise<unknown> =>
    Promise.all(names.map(async (name) => ((await used(name)) as Record<string, string> | undefined)?.['pods']))

  // covers: [sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope. [Conformance]
  test('count pods of best effort apart from others', async () => {
    await quota('best', { pods: '5' }, { scopes: ['BestEffort'] })
    await quota('other', { pods: '5' }, { scopes: ['NotBestEffort'] })
    const both = (): Promise<unknown> => counts(['best', 'other'])
    await expect.poll(both, polled).toEqual(['0', '0'])
    await pod('best')
    await expect.poll(both, polled).toEqual(['1', '0'])
    await removePod('best')
    await expect.poll(both, polled).toEqual(['0', '0'])
    await pod('other', { requests: { cpu: '100m', memory: '10Mi' }, limits: { cpu: '200m', memory: '20Mi' } })
    await expect.poll(both, polled).toEqual(['0', '1'])
    await removePod('other')
    await expect.poll(both, polled).toEqual(['0', '0'])
  })

  // covers: [sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes. [Conformance]
  test('count pods that end by themselves apart from others', async () => {
    await quota('ending', { pods: '5', 'requests.cpu': '1', 'limits.memory': '1Gi' }, { scopes: ['Terminating'] })
    await quota('lasting', { pods: '5' }, { scopes: ['NotTerminating'] })
    const both = (): Promise<unknown> => counts(['ending', 'lasting'])
    await expect.poll(both, polled).toEqual(['0', '0'])
    const resources = { requests: { cpu: '500m', memory: '200Mi' }, limits: { cpu: '1', memory: '400Mi' } }
    await pod('lasting', resources)
    await expect.poll(both, polled).toEqual(['0', '1'])
    await removePod('lasting')
    await expect.poll(both, polled).toEqual(['0', '0'])
    await pod('ending', resources, { activeDeadlineSeconds: 3_600 })
    await expect.poll(() => used('ending'), polled).toEqual({ pods: '1', 'requests.cpu': '500m', 'limits.memory': '400Mi' })
    expect(await both()).toEqual(['1', '0'])
    await removePod('ending')
    await expect.poll(both, polled).toEqual(['0', '0'])
  })
})
