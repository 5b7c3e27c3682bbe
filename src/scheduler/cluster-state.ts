// What the scheduler believes of the cluster: nodes with their pods, those it has just assigned itself included.
import type { Namespace, Node, Pod } from '#api/generated/core-v1'
import { isPodTerminal } from '#api/pods'
import { emptyNodeInfo, type NodeInfo, type PodInfo, podInfo, withNode, withoutPod, withPod } from './node-info.ts'
import type { Snapshot } from './plugin.ts'

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
  #snapshot: Snapshot | undefined
  readonly #namespace: (name: string) => Namespace | undefined

  constructor(namespace: (name: string) => Namespace | undefined) {
    this.#namespace = namespace
  }

  setNode(node: Node): void {
    const { name } = node.metadata
    let info = this.#nodes.get(name)
    if (info === undefined) {
      info = emptyNodeInfo(node)
      for (const pod of this.#unknown.get(name)?.values() ?? []) info = withPod(info, pod)
      this.#unknown.delete(name)
    } else info = withNode(info, node)
    this.#put(name, info)
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name)
    if (info === undefined) return
    this.#nodes.delete(name)
    if (info.pods.length > 0) this.#unknown.set(name, new Map(info.pods.map((pod) => [pod.pod.metadata.uid, pod])))
    this.#snapshot = undefined
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
    if (info !== undefined) this.#put(placed.node, withoutPod(info, uid))
    else this.#unknown.get(placed.node)?.delete(uid)
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

  snapshot(): Snapshot {
    if (this.#snapshot === undefined) {
      const nodes = [...this.#nodes.values()]
      this.#snapshot = snapshotOf(nodes, this.#namespace)
    }
    return this.#snapshot
  }

  #place(info: PodInfo, node: string): void {
    this.#placed.set(info.pod.metadata.uid, { info, node })
    const on = this.#nodes.get(node)
    if (on !== undefined) this.#put(node, withPod(on, info))
    else {
      const waiting = this.#unknown.get(node) ?? new Map<string, PodInfo>()
      waiting.set(info.pod.metadata.uid, info)
      this.#unknown.set(node, waiting)
    }
  }

  #put(name: string, info: NodeInfo): void {
    this.#nodes.set(name, info)
    this.#snapshot = undefined
  }
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

export function snapshotOf(nodes: readonly NodeInfo[], namespace: Snapshot['namespace']): Snapshot {
  return {
    nodes,
    withAffinity: nodes.filter(({ pods }) => pods.some(({ hasAffinity }) => hasAffinity)),
    withRequiredAntiAffinity: nodes.filter(({ pods }) => pods.some(({ hasRequiredAntiAffinity }) => hasRequiredAntiAffinity)),
    namespace,
  }
}
