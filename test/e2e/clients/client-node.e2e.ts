// The JavaScript client: typed APIs, the object API, patches and apply, watches, informers, and an operator as one is written with it.
import './load-on-node-20.ts'
import * as k8s from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

const polled = { timeout: 60_000 }
const namespace = 'default'

interface Garden extends k8s.KubernetesObject {
  spec: { beds: number }
  status?: { planted?: number; selector?: string; conditions?: { type: string; status: string }[] }
}

describe('@kubernetes/client-node', () => {
  let cluster: ClientCluster
  let config: k8s.KubeConfig
  let core: k8s.CoreV1Api
  let apps: k8s.AppsV1Api
  let custom: k8s.CustomObjectsApi
  beforeAll(async () => {
    cluster = await startClientCluster()
    config = new k8s.KubeConfig()
    config.loadFromString(cluster.kubeconfig)
    core = config.makeApiClient(k8s.CoreV1Api)
    apps = config.makeApiClient(k8s.AppsV1Api)
    custom = config.makeApiClient(k8s.CustomObjectsApi)
  })
  afterAll(() => cluster?.stop())

  const codeOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'succeeded',
      (error: k8s.ApiException<unknown>) => error.code,
    )

  test('typed APIs: create, read, list, replace, delete, and errors by code', async () => {
    const map = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'typed' }, data: { a: 'b' } } })
    expect(map.metadata?.creationTimestamp).toBeInstanceOf(Date)
    expect(await codeOf(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'typed' } } }))).toBe(409)
    await core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: { ...map, data: { a: 'c' } } })
    expect(await codeOf(core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: { ...map, data: { a: 'd' } } }))).toBe(409)
    expect((await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=typed' })).items[0]?.data).toEqual({ a: 'c' })
    await core.deleteNamespacedConfigMap({ name: 'typed', namespace })
    expect(await codeOf(core.readNamespacedConfigMap({ name: 'typed', namespace }))).toBe(404)
    expect(await codeOf(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Not_Valid' } } }))).toBe(422)
  })

  // covers: [sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls [Conformance]
  test('lists in chunks of one state', async () => {
    for (let i = 0; i < 40; i++)
      await core.createNamespacedPodTemplate({ namespace, body: podTemplate(`template-${String(i).padStart(4, '0')}`) })
    const names: string[] = []
    let next: string | undefined
    const versions = new Set<string | undefined>()
    do {
      const list: k8s.V1PodTemplateList = await core.listNamespacedPodTemplate({
        namespace,
        limit: 17,
        ...(next === undefined ? {} : { _continue: next }),
      })
      names.push(...list.items.map(({ metadata }) => metadata!.name!))
      versions.add(list.metadata?.resourceVersion)
      next = list.metadata?._continue
      if (next) expect(list.metadata?.remainingItemCount).toBe(40 - names.length)
      await core.createNamespacedPodTemplate({ namespace, body: podTemplate(`later-${names.length}`) })
    } while (next)
    expect([names, versions.size]).toEqual([Array.from({ length: 40 }, (_, i) => `template-${String(i).padStart(4, '0')}`), 1])
    await core.deleteCollectionNamespacedPodTemplate({ namespace })
  })

  test('patches by every type, and apply with its conflicts', async () => {
    await apps.createNamespacedDeployment({ namespace, body: deployment('patched') })
    const patch = (body: unknown, type: string, more: object = {}) =>
      apps.patchNamespacedDeployment({ name: 'patched', namespace, body, ...more }, k8s.setHeaderOptions('Content-Type', type))
    expect((await patch([{ op: 'replace', path: '/spec/replicas', value: 0 }], k8s.PatchStrategy.JsonPatch)).spec?.replicas).toBe(0)
    expect((await patch({ spec: { replicas: 1 } }, k8s.PatchStrategy.MergePatch)).spec?.replicas).toBe(1)
    const container = { name: 'c', image: 'navarch.local/web:v2' }
    const strategic = await patch({ spec: { template: { spec: { containers: [container] } } } }, k8s.PatchStrategy.StrategicMergePatch)
    expect(strategic.spec?.template.spec?.containers[0]).toMatchObject({ ...container, imagePullPolicy: 'IfNotPresent' })
    const applied = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'patched' }, spec: { replicas: 2 } }
    expect(await codeOf(patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me' }))).toBe(409)
    const forced = await patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me', force: true })
    expect([forced.spec?.replicas, forced.metadata?.managedFields?.find(({ manager }) => manager === 'me')?.operation]).toEqual([
      2,
      'Apply',
    ])
  })

  test('the object API: anything by its kind', async () => {
    const objects = k8s.KubernetesObjectApi.makeApiClient(config)
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'by-kind', namespace }, spec: { ports: [{ port: 80 }] } }
    const made = (await objects.create(service)) as k8s.V1Service
    expect(made.spec?.type).toBe('ClusterIP')
    await objects.patch(
      { ...service, metadata: { ...service.metadata, labels: { a: 'b' } } },
      undefined,
      undefined,
      undefined,
      undefined,
      k8s.PatchStrategy.MergePatch,
    )
    expect((await objects.list('v1', 'Service', namespace, undefined, undefined, undefined, undefined, 'a=b')).items).toHaveLength(1)
    await objects.delete(service)
    expect(await codeOf(objects.read(service))).toBe(404)
  })

  // covers: [sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps [Conformance]
  // covers: [sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector [Conformance]
  test('a watch with a selector sees objects come, change, leave and go', async () => {
    const seen: string[] = []
    const watching = await new k8s.Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      { labelSelector: 'watched=yes' },
      (type, object: k8s.V1ConfigMap) => seen.push(`${type} ${object.data?.['n']}`),
      () => undefined,
    )
    const write = (n: string, label: string): Promise<unknown> =>
      core.replaceNamespacedConfigMap({
        name: 'watched',
        namespace,
        body: { metadata: { name: 'watched', labels: { watched: label } }, data: { n } },
      })
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'watched', labels: { watched: 'yes' } }, data: { n: '0' } },
    })
    await write('1', 'yes')
    await write('2', 'no')
    await write('3', 'no')
    await write('4', 'yes')
    await core.deleteNamespacedConfigMap({ name: 'watched', namespace })
    await expect.poll(() => seen, polled).toEqual(['ADDED 0', 'MODIFIED 1', 'DELETED 1', 'ADDED 4', 'DELETED 4'])
    watching.abort()
  })

  // covers: [sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch [Conformance]
  // covers: [sig-api-machinery] Watchers should be able to start watching from a specific resource version [Conformance]
  // covers: [sig-api-machinery] Watchers should receive events on concurrent watches in same order [Conformance]
  test('watches begin where told, again and side by side, and tell the same in the same order', async () => {
    const first = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'ordered' }, data: { n: '0' } } })
    for (let n = 1; n <= 20; n++)
      await core.replaceNamespacedConfigMap({ name: 'ordered', namespace, body: { metadata: { name: 'ordered' }, data: { n: String(n) } } })
    const follow = async (resourceVersion: string): Promise<{ seen: string[]; versions: string[]; stop: () => void }> => {
      const seen: string[] = []
      const versions: string[] = []
      const watching = await new k8s.Watch(config).watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        { resourceVersion, fieldSelector: 'metadata.name=ordered' },
        (_type, object: k8s.V1ConfigMap) => {
          seen.push(object.data!['n']!)
          versions.push(object.metadata!.resourceVersion!)
        },
        () => undefined,
      )
      return { seen, versions, stop: () => watching.abort() }
    }
    const numbers = (from: number): string[] => Array.from({ length: 21 - from }, (_, i) => String(from + i))
    const side = await Promise.all(Array.from({ length: 10 }, () => follow(first.metadata!.resourceVersion!)))
    for (const { seen, stop } of side) {
      await expect.poll(() => seen, polled).toEqual(numbers(1))
      stop()
    }
    const again = await follow(side[0]!.versions[9]!)
    await expect.poll(() => again.seen, polled).toEqual(numbers(11))
    again.stop()
    await core.deleteNamespacedConfigMap({ name: 'ordered', namespace })
  })

  test('an informer holds what there is', async () => {
    const told: string[] = []
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/secrets`, () => core.listNamespacedSecret({ namespace }))
    for (const verb of ['add', 'update', 'delete'] as const)
      informer.on(verb, ({ metadata }: k8s.V1Secret) => void told.push(`${verb} ${metadata?.name}`))
    await informer.start()
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { a: 'b' } } })
    await expect.poll(() => told, polled).toEqual(['add s'])
    await core.patchNamespacedSecret(
      { name: 's', namespace, body: { metadata: { labels: { a: 'b' } } } },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
    )
    await expect.poll(() => told, polled).toEqual(['add s', 'update s'])
    expect(informer.list().map(({ data }) => data)).toEqual([{ a: 'Yg==' }])
    await core.deleteNamespacedSecret({ name: 's', namespace })
    await expect.poll(() => told, polled).toEqual(['add s', 'update s', 'delete s'])
    await informer.stop()
  })

  describe('an operator', () => {
    const names = { group: 'example.com', version: 'v1', namespace, plural: 'gardens' }
    const finalizer = 'example.com/tidy-up'
    const cleaned: string[] = []
    const errors: unknown[] = []
    let informer: k8s.Informer<Garden> & k8s.ObjectCache<Garden>

    const reconcile = async (garden: Garden): Promise<void> => {
      const { name, deletionTimestamp, finalizers = [], uid } = garden.metadata as k8s.V1ObjectMeta & { name: string }
      const merge = (body: object, subresource: boolean): Promise<unknown> => {
        const request = { ...names, name, body }
        const options = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch)
        return subresource
          ? custom.patchNamespacedCustomObjectStatus(request, options)
          : custom.patchNamespacedCustomObject(request, options)
      }
      if (deletionTimestamp !== undefined) {
        if (!finalizers.includes(finalizer)) return
        cleaned.push(name)
        await merge({ metadata: { finalizers: finalizers.filter((one) => one !== finalizer) } }, false)
        return
      }
      if (!finalizers.includes(finalizer)) return void (await merge({ metadata: { finalizers: [...finalizers, finalizer] } }, false))
      if (garden.status?.planted === garden.spec.beds) return
      const owner = { apiVersion: 'example.com/v1', kind: 'Garden', name, uid: uid!, controller: true, blockOwnerDeletion: true }
      await core
        .createNamespacedConfigMap({ namespace, body: { metadata: { name: `${name}-plan`, ownerReferences: [owner] } } })
        .catch((error: k8s.ApiException<unknown>) => {
          if (error.code !== 409) throw error
        })
      await merge(
        { status: { planted: garden.spec.beds, selector: `garden=${name}`, conditions: [{ type: 'Ready', status: 'True' }] } },
        true,
      )
    }

    beforeAll(async () => {
      const extensions = config.makeApiClient(k8s.ApiextensionsV1Api)
      await extensions.createCustomResourceDefinition({ body: gardens })
      await cluster.kubectl.run('wait', '--for=condition=Established', 'crd/gardens.example.com', '--timeout=60s')
      const list = async () => (await custom.listNamespacedCustomObject(names)) as k8s.KubernetesListObject<Garden>
      informer = k8s.makeInformer<Garden>(config, `/apis/example.com/v1/namespaces/${namespace}/gardens`, list)
      const work = (garden: Garden): void => void reconcile(garden).catch((error) => errors.push(error))
      informer.on('add', work)
      informer.on('update', work)
      await informer.start()
    })
    afterAll(() => informer?.stop())

    const read = async (name: string): Promise<Garden> => (await custom.getNamespacedCustomObject({ ...names, name })) as Garden

    test('brings status and dependents, through finalizers and the status subresource', async () => {
      await custom.createNamespacedCustomObject({
        ...names,
        body: { apiVersion: 'example.com/v1', kind: 'Garden', metadata: { name: 'rose' }, spec: {}, status: { planted: 99 } },
      })
      await expect.poll(async () => (await read('rose')).status?.planted, polled).toBe(3)
      const rose = await read('rose')
      expect([rose.metadata?.finalizers, rose.metadata?.generation, rose.spec]).toEqual([[finalizer], 1, { beds: 3 }])
      expect((await core.readNamespacedConfigMap({ name: 'rose-plan', namespace })).metadata?.ownerReferences?.[0]?.uid).toBe(
        rose.metadata?.uid,
      )
      expect(await cluster.kubectl.run('get', 'gardens')).toMatch(/^NAME +BEDS +READY\nrose +3 +True\n$/)
      expect(await cluster.kubectl.run('wait', '--for=condition=Ready', 'garden/rose')).toBe('garden.example.com/rose condition met\n')
    })

    test('is asked for more by scale', async () => {
      expect(await cluster.kubectl.run('scale', 'garden', 'rose', '--replicas=5')).toBe('garden.example.com/rose scaled\n')
      await expect.poll(async () => (await read('rose')).status?.planted, polled).toBe(5)
      const scale = JSON.parse(await cluster.kubectl.run('get', '--raw', '/apis/example.com/v1/namespaces/default/gardens/rose/scale'))
      expect([scale.kind, scale.spec, scale.status]).toEqual(['Scale', { replicas: 5 }, { replicas: 5, selector: 'garden=rose' }])
    })

    test('tidies up before its object goes, and what it owned goes too', async () => {
      await custom.deleteNamespacedCustomObject({ ...names, name: 'rose' })
      await expect.poll(() => codeOf(read('rose')), polled).toBe(404)
      expect(cleaned).toEqual(['rose'])
      await expect.poll(() => codeOf(core.readNamespacedConfigMap({ name: 'rose-plan', namespace })), polled).toBe(404)
      expect(errors.filter((error) => ![404, 409].includes((error as k8s.ApiException<unknown>).code))).toEqual([])
    })

    test('is one of two, by a lease', async () => {
      const coordination = config.makeApiClient(k8s.CoordinationV1Api)
      const claim = async (holder: string): Promise<unknown> => {
        const body = (resourceVersion?: string): k8s.V1Lease => ({
          metadata: { name: 'operator', ...(resourceVersion === undefined ? {} : { resourceVersion }) },
          spec: { holderIdentity: holder, leaseDurationSeconds: 15, renewTime: new k8s.V1MicroTime(0) },
        })
        const found = await coordination.readNamespacedLease({ name: 'operator', namespace }).catch(() => undefined)
        if (found === undefined) return codeOf(coordination.createNamespacedLease({ namespace, body: body() }))
        return codeOf(coordination.replaceNamespacedLease({ name: 'operator', namespace, body: body(found.metadata?.resourceVersion) }))
      }
      const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map(claim))
      expect(outcomes.sort()).toEqual([409, 409, 409, 'succeeded'])
    })
  })
})

const gardens: k8s.V1CustomResourceDefinition = {
  metadata: { name: 'gardens.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'gardens', singular: 'garden', kind: 'Garden', shortNames: ['gd'], categories: ['all'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.beds', statusReplicasPath: '.status.planted', labelSelectorPath: '.status.selector' },
        },
        additionalPrinterColumns: [
          { name: 'Beds', type: 'integer', jsonPath: '.spec.beds' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { beds: { type: 'integer', minimum: 0, _default: 3 } } },
              status: { type: 'object', x_kubernetes_preserve_unknown_fields: true },
            },
          },
        },
      },
    ],
  },
}

function podTemplate(name: string): k8s.V1PodTemplate {
  return { metadata: { name }, template: { spec: { containers: [{ name: 'c', image: 'navarch.local/web:v1' }] } } }
}

function deployment(name: string): k8s.V1Deployment {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'navarch.local/web:v1' }] } }
  return { metadata: { name }, spec: { replicas: 1, selector: { matchLabels: labels }, template } }
}
