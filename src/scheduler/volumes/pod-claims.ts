// The claims behind a pod's volumes, sorted by what is left to do for each. Pure over the view.
import type {
  PersistentVolumeClaim as ClaimObject,
  Node as NodeObject,
  Pod as PodObject,
  PersistentVolume as VolumeObject,
} from '#api/generated/core-v1'
import type { StorageClass as ClassObject } from '#api/generated/storage-v1'
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { keyText } from '#api/object'
import { compareQuantities } from '#api/quantity'
import {
  claimNameOf,
  findVolume,
  isFullyBound,
  isReachable,
  noProvisioner,
  notMadeFor,
  requestOf,
  selectedNode,
  waitsForConsumer,
} from '#api/volumes'
import type { StorageView } from './storage-view.ts'

export interface PodClaims {
  readonly bound: readonly ClaimObject[]
  /** Bound once the pod has a node. */
  readonly delayed: readonly ClaimObject[]
}

/** The claims, or why the pod cannot run anywhere yet; undefined: it has none. */
export function claimsOf(pod: PodObject, view: StorageView): PodClaims | string | undefined {
  const bound: ClaimObject[] = []
  const delayed: ClaimObject[] = []
  let immediate = false
  for (const volume of pod.spec.volumes ?? []) {
    const name = claimNameOf(pod, volume)
    if (name === undefined) continue
    const claim = view.claim(keyText(pod.metadata.namespace, name))
    const problem = problemOf(pod, claim, name, volume.ephemeral !== undefined)
    if (problem !== undefined) return problem
    if (claim === undefined) continue
    if (isFullyBound(claim)) bound.push(claim)
    else if (!claim.spec.volumeName && waitsForConsumer(claim, (className) => view.storageClass(className))) delayed.push(claim)
    else immediate = true
  }
  if (immediate) return 'pod has unbound immediate PersistentVolumeClaims'
  return bound.length + delayed.length === 0 ? undefined : { bound, delayed }
}

function problemOf(pod: PodObject, claim: ClaimObject | undefined, name: string, isEphemeral: boolean): string | undefined {
  if (claim === undefined) {
    return isEphemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim ${JSON.stringify(name)}`
      : `persistentvolumeclaim ${JSON.stringify(name)} not found`
  }
  if (claim.status.phase === 'Lost') {
    const volumeName = JSON.stringify(claim.spec.volumeName ?? '')
    return `persistentvolumeclaim ${JSON.stringify(name)} bound to non-existent persistentvolume ${volumeName}`
  }
  if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim ${JSON.stringify(name)} is being deleted`
  return isEphemeral ? notMadeFor(pod, claim) : undefined
}

/** What binding the pod to the node would mean for its claims. */
export interface NodeVolumes {
  readonly bindings: readonly { readonly claim: ClaimObject; readonly volume: VolumeObject }[]
  /** Claims whose volumes are to be made for the node. */
  readonly provisions: readonly ClaimObject[]
}

const nodeConflict = "node(s) didn't match PersistentVolume's node affinity"
const bindConflict = "node(s) didn't find available persistent volumes to bind"
const missingVolume = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'

/** Volumes for the delayed claims on this node, or the reasons why it does not do. */
export function volumesFor({ bound, delayed }: PodClaims, node: NodeObject, view: StorageView): NodeVolumes | readonly string[] {
  const reasons: string[] = []
  const own = checkBound(bound, node, view)
  if (own === nodeConflict) reasons.push(own)
  const free = delayed.length === 0 ? nothingToDo : matchDelayed(delayed, node, view)
  if (free === undefined) reasons.push(bindConflict)
  if (own === missingVolume) reasons.push(own)
  return reasons.length > 0 ? reasons : (free ?? nothingToDo)
}

const nothingToDo: NodeVolumes = { bindings: [], provisions: [] }

function checkBound(claims: readonly ClaimObject[], node: NodeObject, view: StorageView): string | undefined {
  for (const { spec } of claims) {
    const volume = view.volume(spec.volumeName ?? '')
    if (volume === undefined) return missingVolume
    if (!isReachable(volume, node)) return nodeConflict
  }
  return undefined
}

function matchDelayed(claims: readonly ClaimObject[], node: NodeObject, view: StorageView): NodeVolumes | undefined {
  const provisions: ClaimObject[] = []
  const unmatched: ClaimObject[] = []
  for (const claim of claims) {
    const chosen = claim.metadata.annotations?.[selectedNode]
    if (chosen === undefined) unmatched.push(claim)
    else if (chosen !== node.metadata.name) return undefined
    else provisions.push(claim)
  }
  const taken = new Set<string>()
  const bindings: { claim: ClaimObject; volume: VolumeObject }[] = []
  // Small claims choose first, so that each takes the smallest volume that does.
  for (const claim of unmatched.sort((a, b) => compareQuantities(requestOf(a), requestOf(b)))) {
    const volume = findVolume(claim, view.volumesOf(storageClassOf(claim)), { node, except: taken })
    if (volume === undefined) provisions.push(claim)
    else {
      taken.add(volume.metadata.name)
      bindings.push({ claim, volume })
    }
  }
  return provisions.every((claim) => canBeMade(view.storageClass(storageClassOf(claim)), node)) ? { bindings, provisions } : undefined
}

function canBeMade(storageClass: ClassObject | undefined, { metadata }: NodeObject): boolean {
  if (storageClass === undefined || !storageClass.provisioner || storageClass.provisioner === noProvisioner) return false
  const terms = storageClass.allowedTopologies ?? []
  return (
    terms.length === 0 ||
    terms.some(({ matchLabelExpressions: all = [] }) => {
      return all.length > 0 && all.every(({ key, values }) => values.includes(metadata.labels?.[key] ?? ''))
    })
  )
}
