// Who owns whom, by uid: the garbage collector's picture of the cluster. Pure bookkeeping.
import type { OwnerReference } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'

/** One object, as far as ownership is concerned. */
export interface GraphNode {
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  owners: readonly OwnerReference[]
  finalizers: readonly string[]
  deleting: boolean
  readonly dependents: Set<GraphNode>
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>()
  /** Dependents of owners that were not seen (yet, or any more). */
  readonly #waiting = new Map<string, Set<GraphNode>>()

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid)
  }

  get size(): number {
    return this.#nodes.size
  }

  put(kind: Kind, { metadata }: KubeObject): GraphNode {
    const owners = metadata.ownerReferences ?? []
    let node = this.#nodes.get(metadata.uid)
    if (node === undefined) {
      node = {
        kind,
        namespace: metadata.namespace ?? '',
        name: metadata.name,
        uid: metadata.uid,
        owners: [],
        finalizers: [],
        deleting: false,
        dependents: this.#waiting.get(metadata.uid) ?? new Set(),
      }
      this.#waiting.delete(metadata.uid)
      this.#nodes.set(metadata.uid, node)
    }
    for (const { uid } of node.owners) if (!owners.some((owner) => owner.uid === uid)) this.#unlink(node, uid)
    for (const { uid } of owners) this.#dependentsOf(uid).add(node)
    node.owners = owners
    node.finalizers = metadata.finalizers ?? []
    node.deleting = metadata.deletionTimestamp !== undefined
    return node
  }

  /** Forgets an object; gives its dependents, which may have to go too. */
  remove(uid: string): GraphNode[] {
    const node = this.#nodes.get(uid)
    if (node === undefined) return []
    this.#nodes.delete(uid)
    for (const owner of node.owners) this.#unlink(node, owner.uid)
    if (node.dependents.size > 0) this.#waiting.set(uid, node.dependents)
    return [...node.dependents]
  }

  #dependentsOf(uid: string): Set<GraphNode> {
    const known = this.#nodes.get(uid)?.dependents ?? this.#waiting.get(uid)
    if (known !== undefined) return known
    const fresh = new Set<GraphNode>()
    this.#waiting.set(uid, fresh)
    return fresh
  }

  #unlink(node: GraphNode, ownerUid: string): void {
    const owner = this.#nodes.get(ownerUid)
    if (owner !== undefined) {
      owner.dependents.delete(node)
      return
    }
    const waiting = this.#waiting.get(ownerUid)
    waiting?.delete(node)
    if (waiting?.size === 0) this.#waiting.delete(ownerUid)
  }
}
