// What to do about a claim. Pure: the world is what the cache shows of it.
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import type { StorageClass as ClassObject } from '#api/generated/storage-v1'
import { betaStorageClassAnnotation, storageClassOf } from '#api/kinds/core/persistent-volumes'
import { keyOf } from '#api/object'
import {
  bindCompleted,
  boundByController,
  defaultClass,
  findVolume,
  hasAnnotation,
  isBoundTo,
  mismatch,
  selectedNode,
  waitsForConsumer,
} from '#api/volumes'

export interface ClaimWorld {
  readonly volume: (name: string) => VolumeObject | undefined
  readonly volumes: readonly VolumeObject[]
  readonly classes: readonly ClassObject[]
  /** Names of pods that name the claim and have no node. */
  readonly waitingPods: () => readonly string[]
}

export interface PlannedEvent {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

export type ClaimPlan =
  /** Claim and volume become each other's, on both sides. */
  | { readonly do: 'bind'; readonly volume: VolumeObject }
  /** Nothing yet; the event tells why. */
  | { readonly do: 'wait'; readonly event?: PlannedEvent; readonly error?: string }
  | { readonly do: 'lose'; readonly event: PlannedEvent }
  | { readonly do: 'assignClass'; readonly name: string }
  /** Somebody else makes volumes of this class. */
  | { readonly do: 'provision'; readonly provisioner: string; readonly migrated: boolean }
  /** Nobody can make one; the claim is left as it is. */
  | { readonly do: 'refuse'; readonly event: PlannedEvent }

// Volume plugins that were once part of Kubernetes, and the CSI drivers that stand in for them.
const migratedDrivers: Readonly<Record<string, string>> = {
  'kubernetes.io/aws-ebs': 'ebs.csi.aws.com',
  'kubernetes.io/gce-pd': 'pd.csi.storage.gke.io',
  'kubernetes.io/azure-disk': 'disk.csi.azure.com',
  'kubernetes.io/azure-file': 'file.csi.azure.com',
  'kubernetes.io/cinder': 'cinder.csi.openstack.org',
  'kubernetes.io/vsphere-volume': 'csi.vsphere.vmware.com',
  'kubernetes.io/portworx-volume': 'pxd.portworx.com',
}

export function planClaim(claim: ClaimObject, world: ClaimWorld): ClaimPlan {
  return hasAnnotation(claim, bindCompleted) ? planBound(claim, world) : planUnbound(claim, world)
}

/** Bound before: only a loss is news. */
function planBound(claim: ClaimObject, { volume: find }: ClaimWorld): ClaimPlan {
  const lost = (reason: string, message: string): ClaimPlan => ({ do: 'lose', event: { type: 'Warning', reason, message } })
  const { volumeName } = claim.spec
  if (!volumeName) return lost('ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!')
  const volume = find(volumeName)
  if (volume === undefined) return lost('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!')
  const { claimRef } = volume.spec
  if (claimRef === undefined || claimRef.uid === claim.metadata.uid) return { do: 'bind', volume }
  return lost('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly')
}

function planUnbound(claim: ClaimObject, world: ClaimWorld): ClaimPlan {
  if (claim.spec.volumeName) return planNamed(claim, claim.spec.volumeName, world)
  const classOf = (name: string): ClassObject | undefined => world.classes.find(({ metadata }) => metadata.name === name)
  const waits = waitsForConsumer(claim, classOf)
  const volume = bestVolume(claim, world.volumes, waits)
  if (volume !== undefined) return { do: 'bind', volume }
  if (claim.spec.storageClassName === undefined && !hasAnnotation(claim, betaStorageClassAnnotation)) {
    const found = defaultClass(world.classes)
    if (found !== undefined) return { do: 'assignClass', name: found.metadata.name }
  }
  if (waits && !hasAnnotation(claim, selectedNode)) return { do: 'wait', event: waitingEvent(world.waitingPods()) }
  const className = storageClassOf(claim)
  if (className !== '') return planProvision(className, classOf(className))
  const message = 'no persistent volumes available for this claim and no storage class is set'
  return { do: 'wait', event: { type: 'Normal', reason: 'FailedBinding', message } }
}

/** Of the volumes with the fewest access modes that suit the claim: what it does not need is left to others. */
function bestVolume(claim: ClaimObject, volumes: readonly VolumeObject[], reservedOnly: boolean): VolumeObject | undefined {
  const groups = new Map<number, VolumeObject[]>()
  for (const volume of volumes) {
    const { accessModes = [] } = volume.spec
    if (!(claim.spec.accessModes ?? []).every((mode) => accessModes.includes(mode))) continue
    const group = groups.get(accessModes.length)
    if (group === undefined) groups.set(accessModes.length, [volume])
    else group.push(volume)
  }
  for (const [, group] of [...groups].sort(([a], [b]) => a - b)) {
    const found = findVolume(claim, group, { reservedOnly })
    if (found !== undefined) return found
  }
  return undefined
}

function waitingEvent(pods: readonly string[]): PlannedEvent {
  if (pods.length === 0) {
    return { type: 'Normal', reason: 'WaitForFirstConsumer', message: 'waiting for first consumer to be created before binding' }
  }
  const message = pods.length === 1 ? `waiting for pod ${pods[0]} to be scheduled` : `waiting for pods ${pods.join(',')} to be scheduled`
  return { type: 'Normal', reason: 'WaitForPodScheduled', message }
}

function planProvision(name: string, found: ClassObject | undefined): ClaimPlan {
  const refuse = (message: string): ClaimPlan => ({ do: 'refuse', event: { type: 'Warning', reason: 'ProvisioningFailed', message } })
  if (found === undefined) return refuse(`storageclass.storage.k8s.io "${name}" not found`)
  const { provisioner } = found
  const driver = migratedDrivers[provisioner]
  if (driver !== undefined) return { do: 'provision', provisioner: driver, migrated: true }
  if (!provisioner.startsWith('kubernetes.io/')) return { do: 'provision', provisioner, migrated: false }
  return refuse(`no volume plugin matched name: ${provisioner}`)
}

/** The user asked for one certain volume. */
function planNamed(claim: ClaimObject, name: string, { volume: find }: ClaimWorld): ClaimPlan {
  const volume = find(name)
  if (volume === undefined) return { do: 'wait' }
  const { claimRef } = volume.spec
  if (claimRef === undefined) {
    const why = mismatch(volume, claim)
    if (why === undefined) return { do: 'bind', volume }
    const message = `Cannot bind to requested volume ${JSON.stringify(name)}: ${why}`
    return { do: 'wait', event: { type: 'Warning', reason: 'VolumeMismatch', message } }
  }
  if (isBoundTo(volume, claim)) return { do: 'bind', volume }
  const event = { type: 'Warning', reason: 'FailedBinding', message: `volume "${name}" already bound to a different claim.` } as const
  if (!hasAnnotation(claim, boundByController)) return { do: 'wait', event }
  const owner = `${claimRef.namespace}/${claimRef.name}`
  const error = `invalid binding of claim "${keyOf(claim)}" to volume "${name}": volume already claimed by "${owner}"`
  return { do: 'wait', event, error }
}
