import { expect, test } from 'vitest'
import { ApiError } from '#api/errors'
import { Event } from '#api/kinds/core/event'
import { Pod } from '#api/kinds/core/pod'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { ResourceClaimTemplate } from '#api/kinds/resource/resource-claim-template'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'
import { claimFrom } from './resource-claim.ts'

const requests = { devices: { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }] } }

async function pod(cluster: TestCluster, more: object): Promise<void> {
  await cluster.create(Pod, {
    metadata: { name: 'train', namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'navarch.local/web:1' }], nodeName: 'node-1', ...more },
  })
}

test('a claim is made from its template once that is there, noted in the pod, and goes when the pod has ended', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await pod(cluster, { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'one-gpu' }] })
  const told = await cluster.until(async () => {
    const { items } = await cluster.client.list(Event)
    return items.find(({ reason }) => reason === 'FailedResourceClaimCreation')?.message
  })
  expect(told).toBe('PodResourceClaim gpu: resource claim template "one-gpu": resourceclaimtemplate.resource.k8s.io "one-gpu" not found')
  await cluster.create(ResourceClaimTemplate, {
    metadata: { name: 'one-gpu', namespace: 'default' },
    spec: { metadata: { labels: { of: 'train' } }, spec: requests },
  })
  const made = await cluster.until(async () => (await cluster.list(ResourceClaim))[0])
  const { name, labels, annotations, ownerReferences } = made.metadata
  expect([name.startsWith('train-gpu-'), labels, annotations, ownerReferences?.[0]?.name]).toEqual([
    true,
    { of: 'train' },
    { 'resource.kubernetes.io/pod-claim-name': 'gpu' },
    'train',
  ])
  await cluster.until(async () => (await cluster.get(Pod, 'train'))?.status.resourceClaimStatuses?.[0]?.resourceClaimName === name)
  node.readiness(() => 'succeeded')
  await cluster.until(async () => (await cluster.list(ResourceClaim)).length === 0)
  expect(cluster.failures.every((text) => text.includes('template "one-gpu"'))).toBe(true)
})

test('a claim is reserved for the pod that runs with it, and free again, allocation and all, when that is gone', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  const finalizers = ['resource.kubernetes.io/delete-protection']
  const claim = await cluster.create(ResourceClaim, { metadata: { name: 'shared', namespace: 'default', finalizers }, spec: requests })
  const result = { request: 'gpu', driver: 'gpu.example.com', pool: 'node-1', device: 'gpu-0' }
  const allocation = { devices: { results: [result] } }
  await cluster.client.updateStatus(ResourceClaim, { ...claim, status: { allocation } }).catch((error: ApiError) => {
    throw new ApiError(error.status)
  })
  await pod(cluster, { resourceClaims: [{ name: 'gpu', resourceClaimName: 'shared' }] })
  await cluster.until(async () => (await cluster.get(ResourceClaim, 'shared'))?.status.reservedFor?.[0]?.name === 'train')
  await cluster.client.delete(Pod, { namespace: 'default', name: 'train' }, { gracePeriodSeconds: 0 })
  await cluster.until(async () => (await cluster.get(ResourceClaim, 'shared'))?.status.allocation === undefined)
  const free = await cluster.until(async () => {
    const found = await cluster.get(ResourceClaim, 'shared')
    return found?.metadata.finalizers === undefined ? found : undefined
  })
  expect(free.status).toEqual({})
  expect(cluster.failures).toEqual([])
})

test('long names are cut so that something of both is left', () => {
  const long = makeObject(Pod, { metadata: { name: 'p'.repeat(60), namespace: 'default' }, spec: { containers: [] } })
  const template = makeObject(ResourceClaimTemplate, { metadata: { name: 't', namespace: 'default' }, spec: { spec: requests } })
  const { generateName = '' } = claimFrom(template, long, 'c'.repeat(30)).metadata as { generateName?: string }
  expect(generateName).toBe(`${'p'.repeat(37)}-${'c'.repeat(18)}`)
})
