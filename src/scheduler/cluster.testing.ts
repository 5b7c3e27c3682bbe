// Nodes, pods and snapshots for the scheduler's tests, from the few fields that matter to them.
import type { Namespace as NamespaceObject, Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { Namespace } from '#api/kinds/core/namespace'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { ClusterState } from './cluster-state.ts'
import { type NodeInfo, podInfo } from './node-info.ts'
import type { SchedulerPlugin, Snapshot } from './plugin.ts'

export interface NodeTraits {
  readonly labels?: Record<string, string>
  readonly cpu?: string
  readonly memory?: string
  readonly pods?: string
  readonly spec?: Manifest<NodeObject['spec']>
  readonly status?: Manifest<NodeObject['status']>
}

export function node(
  name: string,
  { labels, cpu = '4', memory = '8Gi', pods = '110', spec = {}, status = {} }: NodeTraits = {},
): NodeObject {
  return makeObject(Node, {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec,
    status: { allocatable: { cpu, memory, pods }, ...status },
  })
}

export interface PodTraits {
  readonly on?: string
  readonly cpu?: string
  readonly memory?: string
  readonly labels?: Record<string, string>
  readonly namespace?: string
  readonly priority?: number
  readonly created?: string
  readonly spec?: Manifest<PodObject['spec']>
}

export function pod(name: string, traits: PodTraits = {}): PodObject {
  const { on, cpu, memory, labels, namespace = 'default', priority = 0, created = '2026-01-01T00:00:00Z', spec } = traits
  const requests = { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) }
  return makeObject(Pod, {
    metadata: { name, namespace, creationTimestamp: created, ...(labels === undefined ? {} : { labels }) },
    spec: {
      containers: [{ name: 'main', image: 'navarch.local/app:1', resources: { requests } }],
      priority,
      ...(on === undefined ? {} : { nodeName: on }),
      ...spec,
    },
  })
}

export function stateOf(
  nodes: readonly NodeObject[],
  pods: readonly PodObject[] = [],
  namespaces: Record<string, Record<string, string>> = {},
): ClusterState {
  const byName = new Map<string, NamespaceObject>(
    Object.entries(namespaces).map(([name, labels]) => [name, makeObject(Namespace, { metadata: { name, labels } })]),
  )
  const state = new ClusterState((name) => byName.get(name))
  for (const one of nodes) state.setNode(one)
  for (const one of pods) state.setPod(one)
  return state
}

/** What the plugin says of each node: its reasons, or `ok`. */
export function filtered(plugin: SchedulerPlugin, of: PodObject, snapshot: Snapshot): Record<string, string> {
  const filter = plugin.filter?.(podInfo(of), snapshot)
  return Object.fromEntries(snapshot.nodes.map((info) => [info.node.metadata.name, filter?.(info)?.reasons.join() ?? 'ok']))
}

/** Raw scores by node name; undefined when the plugin has no opinion. */
export function scored(plugin: SchedulerPlugin, of: PodObject, snapshot: Snapshot): Record<string, number> | undefined {
  const score = plugin.score?.(podInfo(of), snapshot, snapshot.nodes as readonly NodeInfo[])
  if (score === undefined) return undefined
  return Object.fromEntries(snapshot.nodes.map((info) => [info.node.metadata.name, Math.round(score(info) * 100) / 100]))
}
