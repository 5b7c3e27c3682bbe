// How many nodes are down at once decides how fast their pods are given up: when all are, it is the control plane that is cut off,
// and no pod moves; where a zone has lost most of its nodes, pods move slowly or not at all. Limits are kube-controller-manager's
// defaults (--node-eviction-rate, --secondary-node-eviction-rate, --unhealthy-zone-threshold, --large-cluster-size-threshold).
import type { Node as NodeObject } from '#api/generated/core-v1'

const everyMs = 10_000
const everyMsWhenMostAreDown = 100_000
const mostAreDown = 0.55
const largeZone = 50
const excluded = 'node.kubernetes.io/exclude-disruption'

interface Zone {
  ready: number
  notReady: number
  /** When the next node may lose its pods, on the monotonic clock. */
  nextMs: number
}

/** Counts nodes by zone as they come, change and go, and says which may lose their pods. */
export interface Disruption {
  note(node: NodeObject, ready: boolean): void
  forget(name: string): void
  /** There are nodes, and none is ready. */
  allAreDown(): boolean
  /** Takes the zone's turn for this node and says true; false: not now. */
  admit(node: NodeObject, nowMs: number): boolean
}

export function createDisruption(): Disruption {
  const zones = new Map<string, Zone>()
  const known = new Map<string, { zone: Zone; key: string; ready: boolean }>()
  let readyCount = 0

  const zoneOf = (key: string): Zone => {
    let zone = zones.get(key)
    if (zone === undefined) {
      zone = { ready: 0, notReady: 0, nextMs: Number.NEGATIVE_INFINITY }
      zones.set(key, zone)
    }
    return zone
  }
  const count = (zone: Zone, ready: boolean, by: 1 | -1): void => {
    if (ready) {
      zone.ready += by
      readyCount += by
    } else zone.notReady += by
  }
  const forget = (name: string): void => {
    const before = known.get(name)
    if (before === undefined) return
    known.delete(name)
    count(before.zone, before.ready, -1)
    if (before.zone.ready + before.zone.notReady === 0) zones.delete(before.key)
  }

  return {
    forget,
    note(node, ready) {
      const { name, labels } = node.metadata
      const key = zoneKey(node)
      const before = known.get(name)
      const counts = labels?.[excluded] === undefined
      if (counts && before?.key === key && before.ready === ready) return
      forget(name)
      if (!counts) return
      const zone = zoneOf(key)
      count(zone, ready, 1)
      known.set(name, { zone, key, ready })
    },
    allAreDown: () => known.size > 0 && readyCount === 0,
    admit(node, nowMs) {
      const zone = zones.get(zoneKey(node)) ?? { ready: 0, notReady: 1, nextMs: Number.NEGATIVE_INFINITY }
      if (nowMs < zone.nextMs) return false
      const pause = pauseOf(zone)
      if (pause === undefined) return false
      zone.nextMs = nowMs + pause
      return true
    },
  }
}

/** Milliseconds between two nodes of a zone that lose their pods; undefined: none does. */
function pauseOf({ ready, notReady }: Zone): number | undefined {
  const partial = ready > 0 && notReady > 2 && notReady / (ready + notReady) >= mostAreDown
  if (!partial) return everyMs
  return ready + notReady > largeZone ? everyMsWhenMostAreDown : undefined
}

function zoneKey({ metadata: { labels = {} } }: NodeObject): string {
  const region = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? ''
  const zone = labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? ''
  return `${region}\n${zone}`
}
