// VolumeRestrictions: disks that only one pod may use at a time, and claims of the mode ReadWriteOncePod (KEP-2485).
import type { Pod as PodObject, Volume } from '#api/generated/core-v1'
import { keyText } from '#api/object'
import type { PodInfo } from '../node-info.ts'
import type { Rejection, SchedulerPlugin, Snapshot } from '../plugin.ts'
import type { StorageView } from '../volumes/storage-view.ts'

const diskTaken: Rejection = { reasons: ['node(s) had no available disk'], resolvable: true }
const claimTaken: Rejection = {
  reasons: ['node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod'],
  resolvable: true,
}

export function createVolumeRestrictions(view: StorageView): SchedulerPlugin {
  return {
    name: 'VolumeRestrictions',
    readsCluster: true,
    preFilter({ pod }) {
      for (const { persistentVolumeClaim: named } of pod.spec.volumes ?? []) {
        if (named === undefined || view.claim(keyText(pod.metadata.namespace, named.claimName)) !== undefined) continue
        return `persistentvolumeclaim ${JSON.stringify(named.claimName)} not found`
      }
      return undefined
    },
    filter({ pod }, snapshot) {
      const disks = (pod.spec.volumes ?? []).filter(isDisk)
      const isTaken = singleUseClaims(pod, view).some((claimName) => isUsed(claimName, pod, snapshot))
      if (disks.length === 0 && !isTaken) return undefined
      return ({ pods }) =>
        disks.some((disk) => pods.some((other) => conflicts(disk, other))) ? diskTaken : isTaken ? claimTaken : undefined
    },
    wakesOn: ['nodeAdded', 'podRemoved', 'storageChanged'],
  }
}

function singleUseClaims(pod: PodObject, view: StorageView): string[] {
  return (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim: named }) => {
    const claim = named === undefined ? undefined : view.claim(keyText(pod.metadata.namespace, named.claimName))
    return named !== undefined && claim?.spec.accessModes?.includes('ReadWriteOncePod') ? [named.claimName] : []
  })
}

function isUsed(claimName: string, { metadata: { namespace } }: PodObject, { nodes }: Snapshot): boolean {
  return nodes.some(({ pods }) =>
    pods.some(({ pod }) => {
      return pod.metadata.namespace === namespace && pod.spec.volumes?.some((v) => v.persistentVolumeClaim?.claimName === claimName)
    }),
  )
}

function isDisk({ gcePersistentDisk, awsElasticBlockStore, iscsi, rbd }: Volume): boolean {
  return (gcePersistentDisk ?? awsElasticBlockStore ?? iscsi ?? rbd) !== undefined
}

function conflicts(volume: Volume, { pod }: PodInfo): boolean {
  return (pod.spec.volumes ?? []).some((other) => isSameDisk(volume, other))
}

/** Several pods may read one disk; of Amazon's not even that. */
function isSameDisk(a: Volume, b: Volume): boolean {
  const share = (x: { readOnly?: boolean }, y: { readOnly?: boolean }): boolean => x.readOnly === true && y.readOnly === true
  if (a.gcePersistentDisk && b.gcePersistentDisk) {
    if (a.gcePersistentDisk.pdName === b.gcePersistentDisk.pdName && !share(a.gcePersistentDisk, b.gcePersistentDisk)) return true
  }
  if (a.awsElasticBlockStore && b.awsElasticBlockStore) {
    if (a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore.volumeID) return true
  }
  if (a.iscsi && b.iscsi && a.iscsi.iqn === b.iscsi.iqn && !share(a.iscsi, b.iscsi)) return true
  if (!a.rbd || !b.rbd) return false
  const { monitors, pool, image } = b.rbd
  return a.rbd.monitors.some((m) => monitors.includes(m)) && a.rbd.pool === pool && a.rbd.image === image && !share(a.rbd, b.rbd)
}
