import { expect, test } from 'vitest'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Pod } from '#api/kinds/core/pod'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import { Service } from '#api/kinds/core/service'
import type { Manifest } from '#api/object'
import { startTestCluster } from '../cluster.testing.ts'

const pod = (name: string, resources: object = {}): Manifest<PodObject> => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'main', image: 'i', resources }] },
})

test('a quota counts what is there, refuses what is too much, and takes back what is deleted', async () => {
  const cluster = await startTestCluster()
  const used = async (name: string): Promise<Record<string, string> | undefined> =>
    (await cluster.get(ResourceQuota, name, 'default'))?.status?.used
  await cluster.until(() => cluster.get(ConfigMap, 'kube-root-ca.crt', 'default'))
  await cluster.create(ResourceQuota, {
    metadata: { name: 'q', namespace: 'default' },
    spec: { hard: { pods: '2', services: '5', configmaps: '3', 'requests.cpu': '1' } },
  })
  await cluster.until(async () => (await used('q'))?.['pods'] !== undefined)
  expect(await used('q')).toEqual({ pods: '0', services: '1', configmaps: '1', 'requests.cpu': '0' })

  const silent = cluster.create(Pod, pod('a'))
  await expect(silent).rejects.toThrow('pods "a" is forbidden: failed quota: q: must specify requests.cpu for: main')
  const half = { requests: { cpu: '500m' } }
  await cluster.create(Pod, pod('a', half))
  await cluster.create(Pod, pod('b', { requests: { cpu: '250m' } }))
  expect(await used('q')).toMatchObject({ pods: '2', 'requests.cpu': '750m' })
  await expect(cluster.create(Pod, pod('c', half))).rejects.toThrow(
    'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=2,requests.cpu=750m, limited: pods=2,requests.cpu=1',
  )
  await cluster.client.delete(Pod, { namespace: 'default', name: 'a' })
  await cluster.until(async () => (await used('q'))?.['pods'] === '1')
  await cluster.create(Pod, pod('c', half))
  await cluster.create(Service, { metadata: { name: 's', namespace: 'default' }, spec: { ports: [{ port: 80 }], selector: { a: 'b' } } })
  expect(await used('q')).toMatchObject({ pods: '2', services: '2' })
})

test('MUSTHOLD 24: two writers never spend the same', async () => {
  const cluster = await startTestCluster()
  await cluster.create(ResourceQuota, { metadata: { name: 'q', namespace: 'default' }, spec: { hard: { 'count/secrets': '5' } } })
  await cluster.until(async () => (await cluster.get(ResourceQuota, 'q', 'default'))?.status?.used?.['count/secrets'] !== undefined)
  const attempts = await Promise.allSettled(
    Array.from({ length: 12 }, (_, i) =>
      cluster.client.raw('POST', '/api/v1/namespaces/default/secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: `s${i}` } }),
    ),
  )
  expect(attempts.filter(({ status }) => status === 'fulfilled').length).toBe(5)
})

test('custom resources are counted, and what is deleted of them comes back', async () => {
  const cluster = await startTestCluster()
  const used = async (): Promise<string | undefined> =>
    (await cluster.get(ResourceQuota, 'q', 'default'))?.status?.used?.['count/gardens.example.com']
  await cluster.create(ResourceQuota, {
    metadata: { name: 'q', namespace: 'default' },
    spec: { hard: { 'count/gardens.example.com': '2' } },
  })
  await cluster.until(async () => (await used()) === '0')
  const schema = { openAPIV3Schema: { type: 'object' } }
  await cluster.create(CustomResourceDefinition, {
    metadata: { name: 'gardens.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'gardens', kind: 'Garden' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  })
  const gardens = '/apis/example.com/v1/namespaces/default/gardens'
  await cluster.until(() => cluster.client.raw('GET', gardens).catch(() => undefined))
  const garden = (name: string): Promise<unknown> =>
    cluster.client.raw('POST', gardens, { apiVersion: 'example.com/v1', kind: 'Garden', metadata: { name } })
  await garden('a')
  await garden('b')
  await expect(garden('c')).rejects.toThrow(
    'gardens.example.com "c" is forbidden: exceeded quota: q, requested: count/gardens.example.com=1, used: count/gardens.example.com=2, limited: count/gardens.example.com=2',
  )
  await cluster.client.raw('DELETE', `${gardens}/a`)
  await cluster.until(async () => (await used()) === '1')
  await garden('c')
  await cluster.create(ResourceQuota, {
    metadata: { name: 'late', namespace: 'default' },
    spec: { hard: { 'count/gardens.example.com': '5' } },
  })
  await cluster.until(
    async () => (await cluster.get(ResourceQuota, 'late', 'default'))?.status?.used?.['count/gardens.example.com'] === '2',
  )
  expect(cluster.failures).toEqual([])
})
