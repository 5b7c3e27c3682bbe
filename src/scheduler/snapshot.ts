// Snapshots: the cluster as one decision sees it, and as it would be if one node were different.
import type { Namespace } from '#api/generated/core-v1'
import type { NodeInfo } from './node-info.ts'
import type { Snapshot } from './plugin.ts'
import { Tally } from './tally.ts'

/** A snapshot over counts that somebody else keeps. */
export function snapshotOver(nodes: readonly NodeInfo[], tally: Tally, namespace: Snapshot['namespace']): Snapshot {
  return {
    nodes,
    namespace,
    get groups() {
      return tally.groups
    },
    get terms() {
      return tally.terms
    },
    domains: (key) => tally.domains(key),
    imageHolders: (image) => tally.imageHolders(image),
  }
}

/** The same cluster with one node changed, as preemption imagines it. Lists and counts are made only when a plugin asks for them. */
export function snapshotWith(base: Snapshot, place: number, changed: NodeInfo): Snapshot {
  let nodes: NodeInfo[] | undefined
  const all = (): NodeInfo[] => {
    if (nodes === undefined) {
      nodes = base.nodes.slice()
      nodes[place] = changed
    }
    return nodes
  }
  let counted: Tally | undefined
  const tally = (): Tally => {
    counted ??= tallyOf(all(), base.namespace)
    return counted
  }
  return {
    get nodes() {
      return all()
    },
    namespace: base.namespace,
    get groups() {
      return tally().groups
    },
    get terms() {
      // Where nobody has terms, nobody has any after some have left.
      return base.terms.size === 0 ? base.terms : tally().terms
    },
    domains: (key) => base.domains(key),
    imageHolders: (image) => base.imageHolders(image),
  }
}

function tallyOf(nodes: readonly NodeInfo[], namespace: (name: string) => Namespace | undefined): Tally {
  const tally = new Tally(namespace)
  for (const node of nodes) tally.addNode(node)
  return tally
}
