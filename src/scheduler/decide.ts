// One pod, one snapshot, one decision: filter, then score. Pure but for the dice that choose among equals.
import type { Random } from '#base/random'
import { type NodeInfo, type PodInfo, withPod } from './node-info.ts'
import type { Filter, Rejection, SchedulerPlugin, Snapshot } from './plugin.ts'

export type Decision =
  | { readonly outcome: 'node'; readonly node: NodeInfo; readonly scores: () => ReadonlyMap<string, number> }
  // A rejection for each node, in the order of the snapshot.
  // `why`: one reason for all of them.
  | {
      readonly outcome: 'none'
      readonly rejections: readonly NodeRejection[]
      readonly plugins: ReadonlySet<string>
      readonly why?: string
    }

export interface NodeRejection {
  readonly rejection: Rejection
  readonly plugin: string
}

export interface DecideInput {
  readonly pod: PodInfo
  readonly snapshot: Snapshot
  readonly plugins: readonly SchedulerPlugin[]
  readonly random: Random
  /** Pods for which room is kept on a node. */
  readonly nominatedOn: (node: string) => readonly PodInfo[]
  /** Where to begin looking, so that all nodes get their turn; returns with where to begin next. */
  readonly startAt: number
}

// In big clusters a share of the nodes is enough to choose from (Kubernetes' percentageOfNodesToScore, adaptive).
const nodesMin = 100
const percentMin = 5

export function feasibleEnough(total: number): number {
  if (total < nodesMin) return total
  const percent = Math.max(percentMin, Math.floor(50 - total / 125))
  return Math.max(nodesMin, Math.floor((total * percent) / 100))
}

/** A prepared filter, and what it found so far, each finding once. */
export type NamedFilter = { readonly plugin: string; readonly filter: Filter; readonly found: Map<Rejection, NodeRejection> }

export function filtersFor(pod: PodInfo, snapshot: Snapshot, plugins: readonly SchedulerPlugin[]): NamedFilter[] {
  return plugins.flatMap(({ name, filter }) => {
    const prepared = filter?.(pod, snapshot)
    return prepared === undefined ? [] : [{ plugin: name, filter: prepared, found: new Map() }]
  })
}

export function rejectionOf(filters: readonly NamedFilter[], node: NodeInfo): NodeRejection | undefined {
  for (const { plugin, filter, found } of filters) {
    const rejection = filter(node)
    if (rejection === undefined) continue
    let named = found.get(rejection)
    if (named === undefined) {
      named = { rejection, plugin }
      found.set(rejection, named)
    }
    return named
  }
  return undefined
}

/** Where the pod should run, or why it can run nowhere. `examined`: how many nodes were looked at. */
export function decide(input: DecideInput): { decision: Decision; examined: number } {
  const { pod, snapshot, plugins } = input
  const refusal = refusedBeforehand(input)
  if (refusal !== undefined) return { decision: refusal, examined: 0 }
  const filters = filtersFor(pod, snapshot, plugins)
  const enough = feasibleEnough(snapshot.nodes.length)
  const feasible: NodeInfo[] = []
  // Only wanted of a pod that fits nowhere: then every node has one.
  const found: NodeRejection[] = []
  let examined = 0
  for (; examined < snapshot.nodes.length && feasible.length < enough; examined++) {
    const node = snapshot.nodes[(input.startAt + examined) % snapshot.nodes.length] as NodeInfo
    const rejection = rejectionOf(filters, withNominated(node, input))
    if (rejection === undefined) feasible.push(node)
    else if (feasible.length === 0) found.push(rejection)
  }
  if (feasible.length === 0) {
    const turned = found.length - (input.startAt % Math.max(1, found.length))
    const rejections = [...found.slice(turned), ...found.slice(0, turned)]
    const rejecting = new Set<string>()
    for (const { plugin } of rejections) rejecting.add(plugin)
    return { decision: { outcome: 'none', rejections, plugins: rejecting }, examined }
  }
  const totals = scoreAll(input, feasible)
  const scores = (): ReadonlyMap<string, number> => new Map(feasible.map(({ node }, i) => [node.metadata.name, totals[i] as number]))
  return { decision: { outcome: 'node', node: best(feasible, totals, input.random), scores }, examined }
}

/** No node needs to be looked at: the pod itself is not ready for any. */
function refusedBeforehand({ pod, snapshot, plugins }: DecideInput): Decision | undefined {
  for (const { name, preFilter } of plugins) {
    const why = preFilter?.(pod)
    if (why === undefined) continue
    const rejection = { rejection: { reasons: [why], resolvable: false }, plugin: name }
    return { outcome: 'none', rejections: snapshot.nodes.map(() => rejection), plugins: new Set([name]), why }
  }
  return undefined
}

function withNominated(node: NodeInfo, { nominatedOn }: DecideInput): NodeInfo {
  const nominated = nominatedOn(node.node.metadata.name)
  return nominated.length === 0 ? node : nominated.reduce(withPod, node)
}

/** The sum of all plugins' scores for each feasible node. */
function scoreAll({ pod, snapshot, plugins }: DecideInput, feasible: readonly NodeInfo[]): Float64Array {
  const totals = new Float64Array(feasible.length)
  if (feasible.length === 1) return totals
  const raw = new Float64Array(feasible.length)
  for (const plugin of plugins) {
    const score = plugin.score?.(pod, snapshot, feasible)
    if (score === undefined) continue
    let highest = Number.NEGATIVE_INFINITY
    for (let i = 0; i < feasible.length; i++) {
      const value = score(feasible[i] as NodeInfo)
      raw[i] = value
      if (value > highest) highest = value
    }
    const how = plugin.normalize ?? 'none'
    const weight = plugin.weight ?? 1
    for (let i = 0; i < feasible.length; i++) totals[i] = (totals[i] as number) + normalized(raw[i] as number, highest, how) * weight
  }
  return totals
}

function normalized(value: number, highest: number, how: NonNullable<SchedulerPlugin['normalize']>): number {
  if (how === 'none') return value
  if (highest === 0) return how === 'reversed' ? 100 : 0
  const share = (value * 100) / highest
  return how === 'reversed' ? 100 - share : share
}

function best(feasible: readonly NodeInfo[], totals: Float64Array, random: Random): NodeInfo {
  let chosen = 0
  let highest = Number.NEGATIVE_INFINITY
  let equals = 0
  for (const [i, total] of totals.entries()) {
    if (total > highest) {
      highest = total
      chosen = i
      equals = 1
    } else if (total === highest && random() < 1 / ++equals) chosen = i
  }
  return feasible[chosen] as NodeInfo
}

/** `0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.` */
export function explain(rejections: readonly NodeRejection[], nodes: number, why?: string): string {
  if (nodes === 0) return 'no nodes available to schedule pods'
  if (why !== undefined) return `0/${nodes} nodes are available: ${why}.`
  const counts = new Map<string, number>()
  for (const { rejection } of rejections) for (const reason of rejection.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${nodes} nodes are available: ${parts.join(', ')}.`
}
