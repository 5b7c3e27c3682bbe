// Storage object in use protection (KEP-498 and its successors): claims, volumes and volume attributes classes bear a finalizer,
// which goes when they are to be deleted and nobody uses them any more.
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import type { VolumeAttributesClass as ClassObject } from '#api/generated/storage-v1'
import type { Kind } from '#api/kind'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { VolumeAttributesClass } from '#api/kinds/storage/volume-attributes-class'
import { controllerOf, type KubeObject, keyText, type Manifest } from '#api/object'
import type { Client } from '#client/client'
import { type Controller, defineController, type Watch } from '#client/controller'
import { watchKind } from '../watches.ts'

interface Protection<O extends KubeObject> {
  readonly name: string
  readonly kind: Kind<O>
  readonly finalizer: string
  /** Whose changes may end a use. */
  readonly users: readonly Watch[]
  /** Whether somebody uses the object, by what the API server says now: a cache may not know of a user yet. */
  readonly isUsed: (object: O, client: Client) => boolean | Promise<boolean>
}

function protect<O extends KubeObject>({ name, kind, finalizer, users, isUsed }: Protection<O>): Controller {
  return defineController({
    name,
    watches: [watchKind(kind, (object) => isDue(object, finalizer)), ...users],
    concurrency: 1,
    async reconcile(key, { cache, client }) {
      const object = cache.get(kind, key)
      if (object === undefined || !isDue(object, finalizer)) return
      const { deletionTimestamp, finalizers = [] } = object.metadata
      if (deletionTimestamp !== undefined && (await isUsed(object, client))) return
      const wanted = deletionTimestamp === undefined ? [...finalizers, finalizer] : finalizers.filter((f) => f !== finalizer)
      await client.update(kind, { ...object, metadata: { ...object.metadata, finalizers: wanted } } as Manifest<O>)
      return
    },
  })
}

/** Whether the finalizer may have to come (the object is older than the protection) or to go. */
function isDue({ metadata }: KubeObject, finalizer: string): boolean {
  return (metadata.deletionTimestamp !== undefined) === (metadata.finalizers?.includes(finalizer) ?? false)
}

/** The claims that a pod names in its volumes: by name, or as the ones made for its ephemeral volumes. */
function claimsOf(pod: PodObject): string[] {
  return (pod.spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    persistentVolumeClaim ? [persistentVolumeClaim.claimName] : ephemeral ? [`${pod.metadata.name}-${name}`] : [],
  )
}

/** A pod uses a claim from when it is scheduled until it is removed, also when it has ended. */
function usesClaim(pod: PodObject, claim: ClaimObject): boolean {
  if (!pod.spec.nodeName) return false
  return (pod.spec.volumes ?? []).some(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return persistentVolumeClaim.claimName === claim.metadata.name
    const isMade = ephemeral !== undefined && `${pod.metadata.name}-${name}` === claim.metadata.name
    return isMade && controllerOf(claim)?.uid === pod.metadata.uid && pod.metadata.deletionGracePeriodSeconds !== 0
  })
}

const claimProtection = protect<ClaimObject>({
  name: 'pvc-protection-controller',
  kind: PersistentVolumeClaim,
  finalizer: 'kubernetes.io/pvc-protection',
  users: [
    {
      kind: Pod,
      keysOf: (pod) => claimsOf(pod as PodObject).map((claim) => keyText(pod.metadata.namespace, claim)),
      when: (pod, old) => old !== undefined && claimsOf(pod as PodObject).length > 0,
    },
  ],
  async isUsed(claim, client) {
    const { items } = await client.list(Pod, { namespace: claim.metadata.namespace })
    return items.some((pod) => usesClaim(pod, claim))
  },
})

const volumeProtection = protect<VolumeObject>({
  name: 'pv-protection-controller',
  kind: PersistentVolume,
  finalizer: 'kubernetes.io/pv-protection',
  users: [],
  isUsed: (volume) => volume.status?.phase === 'Bound',
})

/** Names of the classes that a claim asks for, has, or is about to have. */
function classesOfClaim({ spec, status }: ClaimObject): (string | undefined)[] {
  return [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ]
}

const namesOf = (names: readonly (string | undefined)[]): string[] => names.filter((name) => name !== undefined && name !== '') as string[]

const classProtection = protect<ClassObject>({
  name: 'volumeattributesclass-protection-controller',
  kind: VolumeAttributesClass,
  finalizer: 'kubernetes.io/vac-protection',
  users: [
    {
      kind: PersistentVolumeClaim,
      keysOf: (claim, old) => namesOf([claim, old].flatMap((c) => (c === undefined ? [] : classesOfClaim(c as ClaimObject)))),
      when: (_claim, old) => old !== undefined,
    },
    {
      kind: PersistentVolume,
      keysOf: (volume, old) => namesOf([volume, old].map((v) => (v as VolumeObject | undefined)?.spec.volumeAttributesClassName)),
      when: (_volume, old) => old !== undefined,
    },
  ],
  async isUsed({ metadata: { name } }, client) {
    const [claims, volumes] = await Promise.all([client.list(PersistentVolumeClaim), client.list(PersistentVolume)])
    return (
      claims.items.some((claim) => classesOfClaim(claim).includes(name)) ||
      volumes.items.some(({ spec }) => spec.volumeAttributesClassName === name)
    )
  },
})

/** One for each kind that is protected. */
export const storageProtectionControllers: readonly Controller[] = [claimProtection, volumeProtection, classProtection]
