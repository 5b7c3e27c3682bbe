// Which PersistentVolume suits which claim. The controller that binds, the scheduler that chooses a node by its volumes and the
// node agent that mounts them must agree on it, so it is told once, here. Pure.
import type { ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod, Volume } from './generated/core-v1.ts'
import type { StorageClass } from './generated/storage-v1.ts'
import { storageClassOf } from './kinds/core/persistent-volumes.ts'
import { isDefaultStorageClass } from './kinds/storage/storage-class.ts'
import { labelMatcher } from './label-selectors.ts'
import { nodeSelectorMatcher } from './node-selectors.ts'
import { controllerOf } from './object.ts'
import { compareQuantities, parseQuantity, type Quantity, quantityValue } from './quantity.ts'

/** On a claim: it has been bound once; what is seen of it since then is a loss, not a beginning. */
export const bindCompleted = 'pv.kubernetes.io/bind-completed'
/** On a claim or volume: a controller made the binding, not the user. */
export const boundByController = 'pv.kubernetes.io/bound-by-controller'
/** On a volume: who made it. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by'
/** On a claim or volume: the CSI driver that stands in for a volume plugin that once was part of Kubernetes. */
export const migratedTo = 'pv.kubernetes.io/migrated-to'
/** On a claim: the node for which its volume is to be made. */
export const selectedNode = 'volume.kubernetes.io/selected-node'
/** On a claim: who is to make its volume. */
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner'
export const betaStorageProvisioner = 'volume.beta.kubernetes.io/storage-provisioner'
/** The provisioner of classes whose volumes are made by hand. */
export const noProvisioner = 'kubernetes.io/no-provisioner'

export function hasAnnotation({ metadata }: { metadata: { annotations?: Record<string, string> } }, name: string): boolean {
  return metadata.annotations !== undefined && Object.hasOwn(metadata.annotations, name)
}

/** The claim has its volume for good. */
export function isFullyBound(claim: PersistentVolumeClaim): boolean {
  return Boolean(claim.spec.volumeName) && hasAnnotation(claim, bindCompleted)
}

/** The volume is reserved for the claim, or is its own. */
export function isBoundTo({ spec: { claimRef } }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  if (claimRef === undefined || claimRef.name !== metadata.name || claimRef.namespace !== metadata.namespace) return false
  return !claimRef.uid || claimRef.uid === metadata.uid
}

/** Whether the claim waits for a pod's node before it is bound. A class that is not there makes nobody wait. */
export function waitsForConsumer(claim: PersistentVolumeClaim, classOf: (name: string) => StorageClass | undefined): boolean {
  const name = storageClassOf(claim)
  return name !== '' && classOf(name)?.volumeBindingMode === 'WaitForFirstConsumer'
}

export function volumeModeOf({ spec }: { spec: { volumeMode?: 'Block' | 'Filesystem' } }): 'Block' | 'Filesystem' {
  return spec.volumeMode ?? 'Filesystem'
}

function offersModes(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode))
}

const nothing = parseQuantity('0')

function sizeOf(volume: PersistentVolume): Quantity {
  const text = volume.spec.capacity?.['storage']
  return text === undefined ? nothing : parseQuantity(text)
}

export function requestOf(claim: PersistentVolumeClaim): Quantity {
  const text = claim.spec.resources?.requests?.['storage']
  return text === undefined ? nothing : parseQuantity(text)
}

/** Why a claim that names this volume cannot have it, in Kubernetes' words; undefined: it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (volume.metadata.deletionTimestamp !== undefined) return `the volume is marked for deletion "${volume.metadata.name}"`
  if (quantityValue(sizeOf(volume)) < quantityValue(requestOf(claim))) return 'requested PV is too small'
  if (storageClassOf(volume) !== storageClassOf(claim)) return 'storageClassName does not match'
  if ((volume.spec.volumeAttributesClassName ?? '') !== (claim.spec.volumeAttributesClassName ?? '')) {
    return 'volumeAttributesClassName does not match'
  }
  if (volumeModeOf(volume) !== volumeModeOf(claim)) return 'incompatible volumeMode'
  return offersModes(volume, claim) ? undefined : 'incompatible accessMode'
}

export interface MatchOptions {
  /** A pod's node: only volumes that it reaches. */
  readonly node?: { metadata: { name: string; labels?: Record<string, string> } }
  /** Volumes that are spoken for. */
  readonly except?: ReadonlySet<string>
  /** Only volumes that are reserved for the claim: somebody else chooses among the free ones. */
  readonly reservedOnly?: boolean
}

/** The volume for a claim: the one that is reserved for it, else the smallest free one that suits. */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
  { node, except, reservedOnly = false }: MatchOptions = {},
): PersistentVolume | undefined {
  const wanted = requestOf(claim)
  const className = storageClassOf(claim)
  const selected = claim.spec.selector === undefined ? () => true : labelMatcher(claim.spec.selector)
  let smallest: PersistentVolume | undefined
  let smallestSize = nothing
  for (const volume of volumes) {
    const { metadata, spec } = volume
    const own = isBoundTo(volume, claim)
    if (except?.has(metadata.name) || (spec.claimRef !== undefined && !own)) continue
    const size = sizeOf(volume)
    if (compareQuantities(size, wanted) < 0 || volumeModeOf(volume) !== volumeModeOf(claim)) continue
    if ((spec.volumeAttributesClassName ?? '') !== (claim.spec.volumeAttributesClassName ?? '')) continue
    if (metadata.deletionTimestamp !== undefined) continue
    // A reserved volume out of the node's reach means that the node does not do, whatever else is free.
    if (own) return node !== undefined && !isReachable(volume, node) ? undefined : volume
    if (reservedOnly || volume.status.phase !== 'Available' || !selected(metadata.labels)) continue
    if (storageClassOf(volume) !== className || !offersModes(volume, claim)) continue
    if (node !== undefined && !isReachable(volume, node)) continue
    if (smallest === undefined || compareQuantities(smallestSize, size) > 0) {
      smallest = volume
      smallestSize = size
    }
  }
  return smallest
}

/** Whether the volume can be used on the node, by its node affinity. */
export function isReachable(volume: PersistentVolume, node: { metadata: { name: string; labels?: Record<string, string> } }): boolean {
  const required = volume.spec.nodeAffinity?.required
  return required === undefined || nodeSelectorMatcher(required)(node)
}

/** The volume as it is once it belongs to the claim, or undefined: it is so already. */
export function boundVolume(volume: PersistentVolume, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const { claimRef } = volume.spec
  const { name, namespace, uid } = claim.metadata
  const isOwn = claimRef?.name === name && claimRef.namespace === namespace && claimRef.uid === uid
  const needsMark = !isBoundTo(volume, claim) && !hasAnnotation(volume, boundByController)
  if (isOwn && !needsMark) return undefined
  const metadata = needsMark
    ? { ...volume.metadata, annotations: { ...volume.metadata.annotations, [boundByController]: 'yes' } }
    : volume.metadata
  return { ...volume, metadata, spec: { ...volume.spec, claimRef: isOwn ? claimRef : claimReference(claim) } }
}

function claimReference({ metadata }: PersistentVolumeClaim): ObjectReference {
  return {
    kind: 'PersistentVolumeClaim',
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    apiVersion: 'v1',
    resourceVersion: metadata.resourceVersion ?? '',
  }
}

/** The class for claims that name none: of several that are marked the newest, then the first by name. */
export function defaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  let newest: StorageClass | undefined
  for (const one of classes) {
    if (!isDefaultStorageClass(one)) continue
    const [a, b] = [one.metadata, newest?.metadata]
    if (b === undefined || a.creationTimestamp > b.creationTimestamp) newest = one
    else if (a.creationTimestamp === b.creationTimestamp && a.name < b.name) newest = one
  }
  return newest
}

/** The claim behind a pod's volume: by name, or the one that is made for an ephemeral volume. */
export function claimNameOf(pod: Pick<Pod, 'metadata'>, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim !== undefined) return volume.persistentVolumeClaim.claimName
  return volume.ephemeral === undefined ? undefined : `${pod.metadata.name}-${volume.name}`
}

/** Why an ephemeral volume's claim is not the pod's own; undefined: it is. */
export function notMadeFor(pod: Pod, claim: PersistentVolumeClaim): string | undefined {
  if (claim.metadata.namespace === pod.metadata.namespace && controllerOf(claim)?.uid === pod.metadata.uid) return undefined
  const of = ({ namespace, name }: { namespace?: string; name: string }): string => `${namespace ?? ''}/${name}`
  return `PVC ${of(claim.metadata)} was not created for pod ${of(pod.metadata)} (pod is not owner)`
}
