// Custom resources as owners, as dependents and in namespaces that end, across the life of their definition.
import { expect, test } from 'vitest'
import { isApiError } from '#api/errors'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Namespace } from '#api/kinds/core/namespace'
import type { KubeObject } from '#api/object'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'

const path = (namespace: string, name = ''): string => `/apis/example.com/v1/namespaces/${namespace}/gardens${name && `/${name}`}`

async function define(cluster: TestCluster): Promise<void> {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  await cluster.create(CustomResourceDefinition, {
    metadata: { name: 'gardens.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'gardens', kind: 'Garden' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  })
  await cluster.until(() => list(cluster, 'default').catch(() => undefined))
}

async function list(cluster: TestCluster, namespace: string): Promise<KubeObject[]> {
  return ((await cluster.client.raw('GET', path(namespace))) as { items: KubeObject[] }).items
}

async function garden(cluster: TestCluster, namespace: string, metadata: object): Promise<KubeObject> {
  const body = { apiVersion: 'example.com/v1', kind: 'Garden', metadata }
  return (await cluster.client.raw('POST', path(namespace), body)) as KubeObject
}

function ownedBy({ metadata: { name, uid } }: KubeObject): object[] {
  return [{ apiVersion: 'example.com/v1', kind: 'Garden', name, uid, controller: true, blockOwnerDeletion: true }]
}

test('what a custom resource owns goes with it, and in the foreground before it', async () => {
  const cluster = await startTestCluster()
  await define(cluster)
  for (const policy of ['Background', 'Foreground']) {
    const owner = await garden(cluster, 'default', { name: 'owner' })
    await cluster.create(ConfigMap, { metadata: { name: 'plant', namespace: 'default', ownerReferences: ownedBy(owner) as never } })
    await garden(cluster, 'default', { name: 'bed', ownerReferences: ownedBy(owner) })
    await cluster.client.raw('DELETE', path('default', 'owner'), { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: policy })
    await cluster.until(async () => (await list(cluster, 'default')).length === 0 && !(await cluster.get(ConfigMap, 'plant')))
  }
  expect(cluster.failures).toEqual([])
})

test('a namespace that ends takes its custom resources along', async () => {
  const cluster = await startTestCluster()
  await define(cluster)
  await cluster.create(Namespace, { metadata: { name: 'ending' } })
  await garden(cluster, 'ending', { name: 'one' })
  await cluster.client.delete(Namespace, { namespace: '', name: 'ending' })
  await cluster.until(async () => !(await cluster.get(Namespace, 'ending', '')))
  expect(await list(cluster, 'ending')).toEqual([])
})

test('a definition that ends takes its objects, and those what they own', async () => {
  const cluster = await startTestCluster()
  await define(cluster)
  const owner = await garden(cluster, 'default', { name: 'owner' })
  await cluster.create(ConfigMap, { metadata: { name: 'plant', namespace: 'default', ownerReferences: ownedBy(owner) as never } })
  await cluster.client.delete(CustomResourceDefinition, { namespace: '', name: 'gardens.example.com' })
  await cluster.until(async () => !(await cluster.get(ConfigMap, 'plant')))
  const error = await list(cluster, 'default').catch((reason: unknown) => reason)
  expect(isApiError(error, 'NotFound')).toBe(true)
})
