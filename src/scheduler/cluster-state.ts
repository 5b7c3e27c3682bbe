// What the scheduler believes of the cluster: nodes with their pods, those it has just assigned itself included.
import type { Namespace, Node, Pod } from '#api/generated/core-v1'
import { isPodTerminal } from '#api/pods'
import { emptyNodeInfo, type NodeInfo, type PodInfo, podInfo, withNode, withoutPod, withPod } from './node-info.ts'
import type { Snapshot } from './plugin.ts'
import { snapshotOver } from './snapshot.ts'
import { Tally } from './tally.ts'

interface Placed {
  readonly info: PodInfo
  readonly node: string
}

export class ClusterState {
  readonly #nodes = new Map<string, NodeInfo>()
  /** Nodes that pods name but that are not known (yet): their pods wait here. */
  readonly #unknown = new Map<string, Map<string, PodInfo>>()
  readonly #placed = new Map<string, Placed>()
  readonly #assumed = new Set<string>()
  readonly #nominated = new Map<string, { node: string; info: PodInfo }>()
  /** The nodes in a fixed order, and each one's place in it. */
  readonly #order: NodeInfo[] = []
  readonly #places = new Map<string, number>()
  readonly #tally: Tally
  readonly #snapshot: Snapshot

  constructor(namespace: (name: string) => Namespace | undefined) {
    this.#tally = new Tally(namespace)
    this.#snapshot = snapshotOver(this.#order, this.#tally, namespace)
  }

  setNode(node: Node): void {
    const { name } = node.metadata
    const before = this.#nodes.get(name)
    let info = before === undefined ? emptyNodeInfo(node) : withNode(before, node)
    if (before === undefined) {
      for (const pod of this.#unknown.get(name)?.values() ?? []) info = withPod(info, pod)
      this.#unknown.delete(name)
      this.#places.set(name, this.#order.length)
      this.#order.push(info)
      this.#tally.addNode(info)
    } else if (!sameForCounting(before, info)) {
      this.#tally.removeNode(before)
      this.#tally.addNode(info)
    }
    this.#put(name, info)
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name)
    const place = this.#places.get(name)
    if (info === undefined || place === undefined) return
    this.#tally.removeNode(info)
    this.#nodes.delete(name)
    this.#places.delete(name)
    // The last one takes the place: the order of the others stays.
    const last = this.#order.pop() as NodeInfo
    if (last !== info) {
      this.#order[place] = last
      this.#places.set(last.node.metadata.name, place)
    }
    if (info.pods.length > 0) this.#unknown.set(name, new Map(info.pods.map((pod) => [pod.pod.metadata.uid, pod])))
  }

  /** A pod as the API shows it: on its node if it has one and has not ended. */
  setPod(pod: Pod): void {
    const { uid } = pod.metadata
    const { nodeName } = pod.spec
    if (!nodeName || isPodTerminal(pod)) {
      // The bind of an assumed pod may not have come back yet.
      if (!this.#assumed.has(uid) || isPodTerminal(pod)) this.removePod(uid)
      return
    }
    this.#assumed.delete(uid)
    this.#nominated.delete(uid)
    const before = this.#placed.get(uid)
    // Only resources and labels matter here, and resources change by resize alone: a status update costs nothing.
    if (before?.node === nodeName && sameForPlacing(before.info.pod, pod)) return
    this.removePod(uid)
    this.#place(podInfo(pod), nodeName)
  }

  removePod(uid: string): void {
    const placed = this.#placed.get(uid)
    this.#assumed.delete(uid)
    this.#nominated.delete(uid)
    if (placed === undefined) return
    this.#placed.delete(uid)
    const info = this.#nodes.get(placed.node)
    if (info !== undefined) {
      this.#put(placed.node, withoutPod(info, uid))
      this.#tally.removePod(placed.info, placed.node)
    } else this.#unknown.get(placed.node)?.delete(uid)
  }

  /** Counts the pod on the node before the API says so. */
  assume(info: PodInfo, node: string): void {
    this.#assumed.add(info.pod.metadata.uid)
    this.#nominated.delete(info.pod.metadata.uid)
    this.#place(info, node)
  }

  /** Takes an assumption back, unless the API has confirmed it. */
  forget(uid: string): void {
    if (this.#assumed.has(uid)) this.removePod(uid)
  }

  /** Keeps room on a node for a pod whose way is being cleared. */
  nominate(info: PodInfo, node: string): void {
    this.#nominated.set(info.pod.metadata.uid, { node, info })
  }

  /** Pods with room kept on this node that a pod of `priority` must not take. */
  nominatedOn(node: string, priority: number, exceptUid: string): PodInfo[] {
    if (this.#nominated.size === 0) return []
    return [...this.#nominated.values()]
      .filter(
        (entry) => entry.node === node && entry.info.pod.metadata.uid !== exceptUid && (entry.info.pod.spec.priority ?? 0) >= priority,
      )
      .map(({ info }) => info)
  }

  /** The cluster as it is now; the same object moves on with it. */
  snapshot(): Snapshot {
    return this.#snapshot
  }

  #place(info: PodInfo, node: string): void {
    this.#placed.set(info.pod.metadata.uid, { info, node })
    const on = this.#nodes.get(node)
    if (on !== undefined) {
      this.#put(node, withPod(on, info))
      this.#tally.addPod(info, node)
    } else {
      const waiting = this.#unknown.get(node) ?? new Map<string, PodInfo>()
      waiting.set(info.pod.metadata.uid, info)
      this.#unknown.set(node, waiting)
    }
  }

  #put(name: string, info: NodeInfo): void {
    this.#nodes.set(name, info)
    this.#order[this.#places.get(name) as number] = info
  }
}

function sameForCounting(a: NodeInfo, b: NodeInfo): boolean {
  return (
    JSON.stringify(a.node.metadata.labels) === JSON.stringify(b.node.metadata.labels) &&
    JSON.stringify(a.node.status.images) === JSON.stringify(b.node.status.images)
  )
}

/** The spec changes with its generation, and labels are compared as they are; nothing else of a pod concerns other pods. */
function sameForPlacing(a: Pod, b: Pod): boolean {
  return (
    a.metadata.generation !== undefined &&
    a.metadata.generation === b.metadata.generation &&
    (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) &&
    JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels)
  )
}
