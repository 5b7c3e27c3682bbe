// One pod, one snapshot, one decision: filter, then score. Pure but for the dice that choose among equals.
import type { Random } from '#base/random'
import { type NodeInfo, type PodInfo, withPod } from './node-info.ts'
import type { Filter, Rejection, SchedulerPlugin, Snapshot } from './plugin.ts'

export type Decision =
  | { readonly outcome: 'node'; readonly node: NodeInfo; readonly scores: ReadonlyMap<string, number> }
  | { readonly outcome: 'none'; readonly rejections: ReadonlyMap<string, NodeRejection>; readonly plugins: ReadonlySet<string> }

export interface NodeRejection extends Rejection {
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

export type NamedFilter = { readonly plugin: string; readonly filter: Filter }

export function filtersFor(pod: PodInfo, snapshot: Snapshot, plugins: readonly SchedulerPlugin[]): NamedFilter[] {
  return plugins.flatMap(({ name, filter }) => {
    const prepared = filter?.(pod, snapshot)
    return prepared === undefined ? [] : [{ plugin: name, filter: prepared }]
  })
}

export function rejectionOf(filters: readonly NamedFilter[], node: NodeInfo): NodeRejection | undefined {
  for (const { plugin, filter } of filters) {
    const rejection = filter(node)
    if (rejection !== undefined) return { ...rejection, plugin }
  }
  return undefined
}

/** Where the pod should run, or why it can run nowhere. `examined`: how many nodes were looked at. */
export function decide(input: DecideInput): { decision: Decision; examined: number } {
  const { pod, snapshot, plugins } = input
  const filters = filtersFor(pod, snapshot, plugins)
  const enough = feasibleEnough(snapshot.nodes.length)
  const feasible: NodeInfo[] = []
  const rejections = new Map<string, NodeRejection>()
  let examined = 0
  for (; examined < snapshot.nodes.length && feasible.length < enough; examined++) {
    const node = snapshot.nodes[(input.startAt + examined) % snapshot.nodes.length] as NodeInfo
    const rejection = rejectionOf(filters, withNominated(node, input)) ?? undefined
    if (rejection === undefined) feasible.push(node)
    else rejections.set(node.node.metadata.name, rejection)
  }
  if (feasible.length === 0) {
    return { decision: { outcome: 'none', rejections, plugins: new Set([...rejections.values()].map(({ plugin }) => plugin)) }, examined }
  }
  const scores = scoreAll(input, feasible)
  return { decision: { outcome: 'node', node: best(feasible, scores, input.random), scores }, examined }
}

function withNominated(node: NodeInfo, { nominatedOn }: DecideInput): NodeInfo {
  return nominatedOn(node.node.metadata.name).reduce(withPod, node)
}

function scoreAll({ pod, snapshot, plugins }: DecideInput, feasible: readonly NodeInfo[]): Map<string, number> {
  const totals = new Map<string, number>(feasible.map(({ node }) => [node.metadata.name, 0]))
  if (feasible.length === 1) return totals
  for (const plugin of plugins) {
    const score = plugin.score?.(pod, snapshot, feasible)
    if (score === undefined) continue
    const raw = feasible.map(score)
    const highest = Math.max(...raw)
    feasible.forEach(({ node }, i) => {
      const value = normalized(raw[i] ?? 0, highest, plugin.normalize ?? 'none')
      totals.set(node.metadata.name, (totals.get(node.metadata.name) ?? 0) + value * (plugin.weight ?? 1))
    })
  }
  return totals
}

function normalized(value: number, highest: number, how: NonNullable<SchedulerPlugin['normalize']>): number {
  if (how === 'none') return value
  if (highest === 0) return how === 'reversed' ? 100 : 0
  const share = (value * 100) / highest
  return how === 'reversed' ? 100 - share : share
}

function best(feasible: readonly NodeInfo[], scores: ReadonlyMap<string, number>, random: Random): NodeInfo {
  let chosen = feasible[0] as NodeInfo
  let highest = Number.NEGATIVE_INFINITY
  let equals = 0
  for (const node of feasible) {
    const score = scores.get(node.node.metadata.name) ?? 0
    if (score > highest) {
      highest = score
      chosen = node
      equals = 1
    } else if (score === highest && random() < 1 / ++equals) chosen = node
  }
  return chosen
}

/** `0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.` */
export function explain(rejections: ReadonlyMap<string, Rejection>, nodes: number): string {
  if (nodes === 0) return 'no nodes available to schedule pods'
  const counts = new Map<string, number>()
  for (const { reasons } of rejections.values()) for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${nodes} nodes are available: ${parts.join(', ')}.`
}
