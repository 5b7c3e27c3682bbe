// VolumeBinding and VolumeZone: a pod runs where its volumes can be reached, and claims that wait for a pod get a volume that its
// node reaches (documentation: "Storage Classes", volume binding mode).
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { keyText } from '#api/object'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { Rejection, SchedulerPlugin } from '../plugin.ts'
import { type BindDeps, reserveVolumes } from '../volumes/bind-volumes.ts'
import { claimsOf, volumesFor } from '../volumes/pod-claims.ts'
import type { StorageView } from '../volumes/storage-view.ts'

function hasClaims({ pod }: PodInfo): boolean {
  return pod.spec.volumes?.some((volume) => volume.persistentVolumeClaim !== undefined || volume.ephemeral !== undefined) ?? false
}

export function createVolumeBinding(deps: BindDeps): SchedulerPlugin {
  const { view } = deps
  return {
    name: 'VolumeBinding',
    preFilter(pod) {
      const claims = hasClaims(pod) ? claimsOf(pod.pod, view) : undefined
      return typeof claims === 'string' ? claims : undefined
    },
    filter(pod) {
      const claims = hasClaims(pod) ? claimsOf(pod.pod, view) : undefined
      if (claims === undefined || typeof claims === 'string') return undefined
      const known = new Map<string, Rejection>()
      return ({ node }) => {
        const found = volumesFor(claims, node, view)
        if ('bindings' in found) return undefined
        const text = found.join()
        const rejection = known.get(text) ?? { reasons: found, resolvable: false }
        known.set(text, rejection)
        return rejection
      }
    },
    reserve({ pod }: PodInfo, { node }: NodeInfo) {
      const claims = claimsOf(pod, view)
      if (claims === undefined || typeof claims === 'string' || claims.delayed.length === 0) return undefined
      const found = volumesFor(claims, node, view)
      return 'bindings' in found ? reserveVolumes(pod, node, found, deps) : undefined
    },
    wakesOn: ['nodeAdded', 'nodeChanged', 'storageChanged'],
  }
}

const zoneLabels = [
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
] as const

const currentLabels: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
}

interface ZoneDemand {
  readonly key: string
  readonly values: ReadonlySet<string>
}

/** What the labels of the pod's bound volumes say of zones, or why the pod cannot be placed by them. */
function zonesOf({ pod }: PodInfo, view: StorageView): ZoneDemand[] | string {
  const demands: ZoneDemand[] = []
  for (const { persistentVolumeClaim } of pod.spec.volumes ?? []) {
    if (persistentVolumeClaim === undefined) continue
    const { claimName } = persistentVolumeClaim
    const claim = view.claim(keyText(pod.metadata.namespace, claimName))
    if (claim === undefined) return `persistentvolumeclaim ${JSON.stringify(claimName)} not found`
    const { volumeName } = claim.spec
    if (!volumeName) {
      const className = storageClassOf(claim)
      if (className === '') return 'PersistentVolumeClaim had no pv name and storageClass name'
      const found = view.storageClass(className)
      if (found === undefined) return `storageclass.storage.k8s.io ${JSON.stringify(className)} not found`
      if (found.volumeBindingMode !== 'WaitForFirstConsumer') return 'PersistentVolume had no name'
      continue
    }
    const volume = view.volume(volumeName)
    if (volume === undefined) return `persistentvolume ${JSON.stringify(volumeName)} not found`
    for (const key of zoneLabels) {
      const value = volume.metadata.labels?.[key]
      if (value !== undefined) demands.push({ key, values: new Set(value.split('__')) })
    }
  }
  return demands
}

const wrongZone: Rejection = { reasons: ['node(s) had no available volume zone'], resolvable: false }

export function createVolumeZone(view: StorageView): SchedulerPlugin {
  return {
    name: 'VolumeZone',
    preFilter(pod) {
      const found = hasClaims(pod) ? zonesOf(pod, view) : []
      return typeof found === 'string' ? found : undefined
    },
    filter(pod) {
      const demands = hasClaims(pod) ? zonesOf(pod, view) : []
      if (typeof demands === 'string' || demands.length === 0) return undefined
      return ({ node: { metadata } }) => {
        const labels = metadata.labels ?? {}
        // A node without zones is in a cluster without zones.
        if (!zoneLabels.some((key) => Object.hasOwn(labels, key))) return undefined
        const fits = demands.every(({ key, values }) => values.has(labels[key] ?? labels[currentLabels[key] ?? key] ?? ''))
        return fits ? undefined : wrongZone
      }
    },
    wakesOn: ['nodeAdded', 'nodeChanged', 'storageChanged'],
  }
}
