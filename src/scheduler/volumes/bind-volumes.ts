// Binding the volumes of a pod before the pod itself: the decision is assumed at once, then written, and the pod waits until
// the persistent-volume binder has completed it.
import type {
  PersistentVolumeClaim as ClaimObject,
  Node as NodeObject,
  Pod as PodObject,
  PersistentVolume as VolumeObject,
} from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { keyOf, type Manifest } from '#api/object'
import { boundVolume, isFullyBound, isReachable, selectedNode } from '#api/volumes'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'
import type { Reservation } from '../plugin.ts'
import type { NodeVolumes } from './pod-claims.ts'
import type { StorageView } from './storage-view.ts'

export interface BindDeps {
  readonly cache: Cache
  readonly client: Client
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly view: StorageView
  /** Claims to devices have changed, since the first pod asked for one. */
  readonly onClaims?: () => void
}

// A pod whose volumes are not there after this long is scheduled anew.
const bindMsMax = 600_000

/** Assumes the volumes for the pod on the node. */
export function reserveVolumes(pod: PodObject, node: NodeObject, { bindings, provisions }: NodeVolumes, deps: BindDeps): Reservation {
  const { view, client } = deps
  const nodeName = node.metadata.name
  const volumes = bindings.map(({ claim, volume }) => boundVolume(volume, claim) ?? volume)
  const claims = provisions.map((claim): ClaimObject => {
    const annotations = { ...claim.metadata.annotations, [selectedNode]: nodeName }
    return { ...claim, metadata: { ...claim.metadata, annotations } }
  })
  for (const volume of volumes) view.assumeVolume(volume)
  for (const claim of claims) view.assumeClaim(claim)
  return {
    undo: () => view.forget(volumes, claims),
    async commit() {
      const written: Written = { volumes: new Map(), claims: new Map() }
      for (const [i, volume] of volumes.entries()) {
        const saved = await client.update(PersistentVolume, volume as Manifest<VolumeObject>)
        written.volumes.set((bindings[i] as { claim: ClaimObject }).claim, saved)
      }
      for (const claim of claims)
        written.claims.set(keyOf(claim), await client.update(PersistentVolumeClaim, claim as Manifest<ClaimObject>))
      await untilBound(pod, nodeName, written, deps)
    },
  }
}

interface Written {
  readonly volumes: Map<ClaimObject, VolumeObject>
  readonly claims: Map<string, ClaimObject>
}

const isOlder = (shown: { metadata: { resourceVersion?: string } }, than: { metadata: { resourceVersion?: string } }): boolean =>
  Number(shown.metadata.resourceVersion) < Number(than.metadata.resourceVersion)

/** Whether all is bound. Throws when it will not be any more. */
function isComplete(pod: PodObject, nodeName: string, written: Written, cache: Cache): boolean {
  const node = cache.get(Node, nodeName)
  if (node === undefined) throw new Error(`failed to get node "${nodeName}": node "${nodeName}" not found`)
  const current = cache.get(Pod, keyOf(pod))
  if (current === undefined) throw new Error(`pod does not exist any more: pod "${pod.metadata.name}" not found`)
  const checkReach = (volume: VolumeObject): void => {
    if (!isReachable(volume, node)) {
      throw new Error(`pv "${volume.metadata.name}" node affinity doesn't match node "${nodeName}": no matching NodeSelectorTerms`)
    }
  }
  for (const [asked, saved] of written.volumes) {
    const volume = cache.get(PersistentVolume, saved.metadata.name)
    const claim = cache.get(PersistentVolumeClaim, keyOf(asked))
    if (volume === undefined || claim === undefined) {
      const gone = volume === undefined ? `persistentvolume "${saved.metadata.name}"` : `persistentvolumeclaim "${keyOf(asked)}"`
      throw new Error(`failed to check binding: ${gone} not found`)
    }
    if (isOlder(volume, saved)) return false
    checkReach(volume)
    if (!volume.spec.claimRef?.uid) throw new Error(`ClaimRef got reset for pv "${volume.metadata.name}"`)
    if (!isFullyBound(claim)) return false
  }
  for (const [key, saved] of written.claims) {
    const claim = cache.get(PersistentVolumeClaim, key)
    if (claim === undefined) throw new Error(`failed to check provisioning pvc: persistentvolumeclaim "${key}" not found`)
    if (isOlder(claim, saved)) return false
    // A provisioner that fails takes the annotation away: the pod may do better elsewhere.
    if (claim.metadata.annotations?.[selectedNode] !== nodeName) {
      throw new Error(`provisioning failed for PVC "${claim.metadata.name}"`)
    }
    const volume = claim.spec.volumeName ? cache.get(PersistentVolume, claim.spec.volumeName) : undefined
    if (claim.spec.volumeName && volume === undefined) return false
    if (volume !== undefined) checkReach(volume)
    if (!isFullyBound(claim)) return false
  }
  return true
}

/** Looks again at every change of a claim, a volume or the pod. */
function untilBound(pod: PodObject, nodeName: string, written: Written, { cache, clock, signal }: BindDeps): Promise<void> {
  return new Promise((resolve, reject) => {
    let settled = false
    const stops: (() => void)[] = []
    const settle = (error?: unknown): void => {
      if (settled) return
      settled = true
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      for (const stop of stops) stop()
      if (error === undefined) resolve()
      else reject(new Error(`binding volumes: ${(error as Error).message}`, { cause: error }))
    }
    const onAbort = (): void => settle(signal.reason)
    const timer = clock.after(bindMsMax, () => settle(new Error('context deadline exceeded')), { background: true })
    const look = (): void => {
      if (settled) return
      try {
        if (isComplete(pod, nodeName, written, cache)) settle()
      } catch (error) {
        settle(error)
      }
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const { uid } = pod.metadata
    stops.push(
      cache.informer(PersistentVolumeClaim).subscribe(look, { replay: false }),
      cache.informer(PersistentVolume).subscribe(look, { replay: false }),
      cache.informer(Pod).subscribe(({ type, object }) => type === 'deleted' && object.metadata.uid === uid && look(), { replay: false }),
    )
    if (signal.aborted) onAbort()
    else look()
  })
}
