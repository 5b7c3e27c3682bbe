// The kind that the example operator looks after, and the one function that an operator is about: bringing what there is nearer to
// what somebody asked for.
import type * as k8s from '@kubernetes/client-node'

export const group = 'web.example.com'
export const version = 'v1'
export const plural = 'websites'
/** Held until the site's address has been taken out of the directory, which is nobody's dependent. */
export const finalizer = `${group}/directory`
export const directoryName = 'directory'

export interface Website extends k8s.KubernetesObject {
  spec: { page: string; replicas?: number; image?: string }
  status?: {
    observedGeneration?: number
    readyReplicas?: number
    phase?: string
    conditions?: { type: string; status: string; reason: string; message: string; lastTransitionTime: string }[]
  }
}

export const definition: k8s.V1CustomResourceDefinition = {
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural, singular: 'website', kind: 'Website', shortNames: ['ws'], categories: ['all'] },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.readyReplicas' } },
        additionalPrinterColumns: [
          { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
          { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['page'],
                properties: {
                  page: { type: 'string', minLength: 1 },
                  replicas: { type: 'integer', minimum: 0, _default: 1 },
                  image: { type: 'string' },
                },
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer', format: 'int64' },
                  readyReplicas: { type: 'integer' },
                  phase: { type: 'string' },
                  conditions: {
                    type: 'array',
                    x_kubernetes_list_type: 'map',
                    x_kubernetes_list_map_keys: ['type'],
                    items: {
                      type: 'object',
                      required: ['type', 'status'],
                      properties: {
                        type: { type: 'string' },
                        status: { type: 'string' },
                        reason: { type: 'string' },
                        message: { type: 'string' },
                        lastTransitionTime: { type: 'string', format: 'date-time' },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
}

export interface Apis {
  readonly core: k8s.CoreV1Api
  readonly apps: k8s.AppsV1Api
  readonly custom: k8s.CustomObjectsApi
  readonly objects: k8s.KubernetesObjectApi
  /** Headers of a patch of this type. */
  patchOf(type: 'application/merge-patch+json' | 'application/apply-patch+yaml' | 'application/json-patch+json'): object
}

/** One step. May be called as often as one likes, and for objects that are gone. */
export async function reconcile(apis: Apis, namespace: string, name: string): Promise<void> {
  const site = await read(apis, namespace, name)
  if (site === undefined) return
  const finalizers = site.metadata?.finalizers ?? []
  if (site.metadata?.deletionTimestamp !== undefined) {
    if (!finalizers.includes(finalizer)) return
    await writeDirectory(apis, namespace, { [name]: null })
    await patchSite(apis, site, { metadata: { finalizers: finalizers.filter((one) => one !== finalizer) } })
    return
  }
  if (!finalizers.includes(finalizer)) {
    await patchSite(apis, site, { metadata: { finalizers: [...finalizers, finalizer], resourceVersion: site.metadata?.resourceVersion } })
    return
  }
  await applyChildren(apis, site, namespace, name)
  await writeDirectory(apis, namespace, { [name]: `${name}.${namespace}.svc` })
  await writeStatus(apis, site, namespace, name)
}

async function read({ custom }: Apis, namespace: string, name: string): Promise<Website | undefined> {
  try {
    return (await custom.getNamespacedCustomObject({ group, version, plural, namespace, name })) as Website
  } catch (error) {
    if ((error as k8s.ApiException<unknown>).code === 404) return undefined
    throw error
  }
}

function patchSite({ custom, patchOf }: Apis, { metadata }: Website, body: object): Promise<unknown> {
  const at = { group, version, plural, namespace: metadata!.namespace!, name: metadata!.name! }
  return custom.patchNamespacedCustomObject({ ...at, body }, patchOf('application/merge-patch+json'))
}

/** What belongs to a site is applied as a whole each time: what somebody else changed of it is changed back. */
async function applyChildren({ apps, core, patchOf }: Apis, site: Website, namespace: string, name: string): Promise<void> {
  const owner = {
    apiVersion: `${group}/${version}`,
    kind: 'Website',
    name,
    uid: site.metadata!.uid!,
    controller: true,
    blockOwnerDeletion: true,
  }
  const metadata = { name, namespace, labels: { site: name }, ownerReferences: [owner] }
  const how = { fieldManager: 'website-operator', force: true, namespace, name }
  const apply = patchOf('application/apply-patch+yaml')
  await core.patchNamespacedConfigMap(
    { ...how, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'index.html': site.spec.page } } },
    apply,
  )
  const container = {
    name: 'web',
    image: site.spec.image ?? 'navarch.local/web:v1',
    volumeMounts: [{ name: 'pages', mountPath: '/pages' }],
  }
  const pod = { containers: [container], volumes: [{ name: 'pages', configMap: { name } }] }
  const spec = { replicas: site.spec.replicas ?? 1, selector: { matchLabels: { site: name } } }
  const template = { metadata: { labels: { site: name } }, spec: pod }
  await apps.patchNamespacedDeployment(
    { ...how, body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { ...spec, template } } },
    apply,
  )
  const service = { selector: { site: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] }
  await core.patchNamespacedService({ ...how, body: { apiVersion: 'v1', kind: 'Service', metadata, spec: service } }, apply)
}

async function writeDirectory({ core, patchOf }: Apis, namespace: string, data: Readonly<Record<string, string | null>>): Promise<void> {
  const merge = patchOf('application/merge-patch+json')
  try {
    await core.patchNamespacedConfigMap({ namespace, name: directoryName, body: { data } }, merge)
  } catch (error) {
    if ((error as k8s.ApiException<unknown>).code !== 404) throw error
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: directoryName } } })
    await core.patchNamespacedConfigMap({ namespace, name: directoryName, body: { data } }, merge)
  }
}

async function writeStatus({ apps, custom, patchOf }: Apis, site: Website, namespace: string, name: string): Promise<void> {
  const { status: found } = await apps.readNamespacedDeployment({ namespace, name })
  const readyReplicas = found?.readyReplicas ?? 0
  const isReady = readyReplicas === (site.spec.replicas ?? 1)
  const known = site.status?.conditions?.find(({ type }) => type === 'Ready')
  const status = isReady ? 'True' : 'False'
  const condition = {
    type: 'Ready',
    status,
    reason: isReady ? 'AllReplicasReady' : 'ReplicasMissing',
    message: `${readyReplicas} of ${site.spec.replicas ?? 1} replicas are ready`,
    lastTransitionTime: known?.status === status ? known.lastTransitionTime : new Date().toISOString(),
  }
  const wanted = {
    observedGeneration: site.metadata!.generation!,
    readyReplicas,
    phase: isReady ? 'Running' : 'Starting',
    conditions: [condition],
  }
  if (JSON.stringify(sorted(site.status)) === JSON.stringify(sorted(wanted))) return
  await custom.patchNamespacedCustomObjectStatus(
    { group, version, plural, namespace, name, body: { status: wanted } },
    patchOf('application/merge-patch+json'),
  )
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([key, one]) => [key, sorted(one)]),
  )
}
