// `SchedulerPlugin`: optional hooks over an immutable Snapshot (KEP-624, the scheduling framework, in the parts that plugins need).
import type { Namespace } from '#api/generated/core-v1'
import type { NodeInfo, PodInfo } from './node-info.ts'
import type { PodGroup, StandingTerm } from './tally.ts'

/** The cluster at one moment. It is read within one decision and not kept: its counts move on with the cluster. */
export interface Snapshot {
  /** All nodes, in a fixed order. */
  readonly nodes: readonly NodeInfo[]
  /** All placed pods, those alike together. */
  readonly groups: Iterable<PodGroup>
  /** Affinity terms of placed pods: usually few or none. */
  readonly terms: ReadonlyMap<string, StandingTerm>
  /** How many nodes are in which domain of a node label. */
  domains(key: string): ReadonlyMap<string, number>
  /** How many nodes hold the image. */
  imageHolders(image: string): number
  namespace(name: string): Namespace | undefined
}

/** Why a node does not do. `resolvable`: removing pods from it could help. */
export interface Rejection {
  /** In Kubernetes' words, as they stand in FailedScheduling: `Insufficient cpu`. */
  readonly reasons: readonly string[]
  readonly resolvable: boolean
}

export type Filter = (node: NodeInfo) => Rejection | undefined
/** Any number; `normalize` brings all nodes' numbers into 0..100. */
export type Score = (node: NodeInfo) => number

export interface SchedulerPlugin {
  readonly name: string
  /** Share of the score in the sum; default 1. */
  readonly weight?: number
  /** Whether the pod may be tried at all; a text says why not. */
  readonly preEnqueue?: (pod: PodInfo) => string | undefined
  /** Whether any node may do; a text says, once for all of them, why none does. */
  readonly preFilter?: (pod: PodInfo) => string | undefined
  /** Prepares a filter for this pod; undefined: there is nothing to check. */
  readonly filter?: (pod: PodInfo, snapshot: Snapshot) => Filter | undefined
  /** The filter looks at other nodes than the one in hand: it must be prepared anew when any of them changes. */
  readonly readsCluster?: boolean
  /** Prepares a score for this pod; undefined: all nodes are equal. */
  readonly score?: (pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[]) => Score | undefined
  /** How raw scores become 0..100: as they are (default), relative to the highest, or the highest being worst. */
  readonly normalize?: 'none' | 'highest' | 'reversed'
  /** Sets aside for the pod what it needs beside the node, before the next pod is decided; undefined: nothing. */
  readonly reserve?: (pod: PodInfo, node: NodeInfo) => Reservation | undefined
  /** Changes of the cluster after which a pod that this plugin rejected is worth another try. */
  readonly wakesOn?: readonly ClusterChange[]
}

/** What was set aside for a pod. */
export interface Reservation {
  /** Makes it so. The pod is bound when this resolves, and scheduled anew when it rejects. */
  commit(): Promise<void>
  /** Takes it back. */
  undo(): void
}

export type ClusterChange = 'nodeAdded' | 'nodeChanged' | 'podAdded' | 'podRemoved' | 'podChanged' | 'namespaceChanged' | 'storageChanged'
