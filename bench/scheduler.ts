// How many pods a second the scheduler places: decisions and what they change, without an API server, on clusters of made-up nodes.
// Prints pods per second of processor time by kind of pod; goals are the floors of Kubernetes' scheduler_perf at 5,000 nodes.   npx tsx bench/scheduler.ts [nodes [preemption]]
import type { Node, Pod, PodSpec } from '#api/generated/core-v1'
import { seededRandom } from '#base/random'
import { ClusterState } from '#scheduler/cluster-state'
import { decide } from '#scheduler/decide'
import { podInfo } from '#scheduler/node-info'
import { defaultPlugins } from '#scheduler/plugins/all'
import { planPreemption } from '#scheduler/preempt'

const plugins = defaultPlugins()

interface Scenario {
  readonly name: string
  /** Pods per second that scheduler_perf asks for at 5,000 nodes. */
  readonly floor: number
  readonly spec: Partial<PodSpec>
}

const term = (topologyKey: string) => ({ topologyKey, labelSelector: { matchLabels: { app: 'web' } } })
const scenarios: readonly Scenario[] = [
  { name: 'basic', floor: 800, spec: {} },
  {
    name: 'node affinity',
    floor: 220,
    spec: {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: ['zone1', 'zone2'] }] }],
          },
        },
      },
    },
  },
  {
    name: 'topology spread',
    floor: 460,
    spec: {
      topologySpreadConstraints: [
        {
          topologyKey: 'topology.kubernetes.io/zone',
          maxSkew: 5,
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: { app: 'web' } },
        },
      ],
    },
  },
  {
    name: 'pod affinity',
    floor: 90,
    spec: { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('topology.kubernetes.io/zone')] } } },
  },
  {
    name: 'pod anti-affinity',
    floor: 90,
    spec: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('kubernetes.io/hostname')] } } },
  },
]

function nodeOf(i: number): Node {
  const name = `node-${i}`
  const labels = { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone${i % 3}` }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', labels },
    spec: {},
    status: {
      allocatable: { cpu: '4', memory: '32Gi', pods: '110' },
      images: [{ names: ['navarch.local/other:1'], sizeBytes: 1_000_000 }],
    },
  } as unknown as Node
}

function podOf(i: number, spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `pod-${i}`,
      namespace: 'default',
      uid: `pod-${i}`,
      resourceVersion: '1',
      creationTimestamp: '',
      generation: 1,
      labels: { app: 'web', 'pod-template-hash': 'abc' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true }],
    },
    spec: {
      containers: [{ name: 'main', image: 'navarch.local/web:1', resources: { requests: { cpu: '100m', memory: '500Mi' } } }],
      schedulerName: 'default-scheduler',
      ...spec,
    },
    status: {},
  } as unknown as Pod
}

function run({ name, floor, spec }: Scenario, nodes: number): void {
  const state = new ClusterState(() => undefined)
  const random = seededRandom(1)
  for (let i = 0; i < nodes; i++) state.setNode(nodeOf(i))
  const before = Math.min(nodes, 1_000)
  let startAt = 0
  let placed = 0
  const place = (i: number): void => {
    const info = podInfo(podOf(i, spec))
    const snapshot = state.snapshot()
    const { decision, examined } = decide({ pod: info, snapshot, plugins, random, startAt, nominatedOn: () => [] })
    startAt = (startAt + examined) % nodes
    if (decision.outcome !== 'node') return
    state.assume(info, decision.node.node.metadata.name)
    placed++
  }
  for (let i = 0; i < before; i++) place(i)
  // Processor time, not time by the clock: what else runs on the machine does not matter then.
  const began = process.cpuUsage()
  const seconds = (): number => {
    const { user, system } = process.cpuUsage(began)
    return (user + system) / 1e6
  }
  let count = 0
  while (seconds() < 2 && count < 5_000) place(before + count++)
  const perSecond = count / seconds()
  const ratio = (perSecond / floor).toFixed(1)
  console.log(
    `${name.padEnd(20)} ${String(nodes).padStart(6)} nodes ${perSecond.toFixed(0).padStart(7)} pods/s   ${ratio} of the floor (${floor}); ${placed} of ${before + count} placed`,
  )
}

/** Full nodes, and pods of a higher priority: a decision, a search for victims, their removal, the placing. */
function runPreemption(nodes: number): void {
  const floor = 570
  const state = new ClusterState(() => undefined)
  const random = seededRandom(1)
  const filling = {
    containers: [{ name: 'main', image: 'navarch.local/web:1', resources: { requests: { cpu: '900m' } } }],
  } as unknown as Partial<PodSpec>
  for (let i = 0; i < nodes; i++) {
    state.setNode(nodeOf(i))
    for (let j = 0; j < 4; j++) state.assume(podInfo(podOf(i * 4 + j, filling)), `node-${i}`)
  }
  const began = process.cpuUsage()
  const seconds = (): number => {
    const { user, system } = process.cpuUsage(began)
    return (user + system) / 1e6
  }
  let count = 0
  for (; seconds() < 2 && count < nodes; count++) {
    const info = podInfo(podOf(1_000_000 + count, { ...filling, priority: 10 }))
    const snapshot = state.snapshot()
    const { decision } = decide({ pod: info, snapshot, plugins, random, startAt: count % nodes, nominatedOn: () => [] })
    if (decision.outcome === 'node') continue
    const plan = planPreemption({ pod: info, snapshot, plugins, rejections: decision.rejections, budgets: [] })
    if (typeof plan === 'string') throw new Error(plan)
    for (const victim of plan.victims) state.removePod(victim.pod.metadata.uid)
    state.assume(info, plan.node.node.metadata.name)
  }
  const perSecond = count / seconds()
  console.log(
    `${'preemption'.padEnd(20)} ${String(nodes).padStart(6)} nodes ${perSecond.toFixed(0).padStart(7)} pods/s   ${(perSecond / floor).toFixed(1)} of the floor (${floor})`,
  )
}

const sizes = process.argv[2] === undefined ? [1_000, 5_000] : [Number(process.argv[2])]
for (const nodes of sizes) {
  if (process.argv[3] !== 'preemption') for (const scenario of scenarios) run(scenario, nodes)
  runPreemption(nodes)
}
