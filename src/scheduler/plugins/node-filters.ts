// Filters that look at the node alone: is it the one asked for, open, tolerated, of the right kind, with the ports free.
import type { PodSpec } from '#api/generated/core-v1'
import { nodeSelectorTermMatcher, requiredNodeMatcher } from '#api/node-selectors'
import { findUntolerated, isTolerated, taintUnschedulable } from '#api/taints'
import { type HostPort, normalizedImage } from '../node-info.ts'
import type { Rejection, SchedulerPlugin } from '../plugin.ts'

function rejected(reason: string, resolvable: boolean): Rejection {
  return { reasons: [reason], resolvable }
}

export const nodeName: SchedulerPlugin = {
  name: 'NodeName',
  filter: ({ pod }) => {
    const wanted = pod.spec.nodeName
    return wanted
      ? ({ node }) => (node.metadata.name === wanted ? undefined : rejected("node(s) didn't match the requested node name", false))
      : undefined
  },
  wakesOn: ['nodeAdded'],
}

// Features that pods may need of their node (KEP-5328).
const neededFeatures: readonly (readonly [name: string, needed: (spec: PodSpec) => boolean])[] = [
  [
    'RestartAllContainersOnContainerExits',
    ({ containers, initContainers = [] }) =>
      [...containers, ...initContainers].some(({ restartPolicyRules }) =>
        restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers'),
      ),
  ],
  ['UserNamespacesHostNetworkSupport', ({ hostNetwork, hostUsers }) => hostNetwork === true && hostUsers === false],
]

export const nodeDeclaredFeatures: SchedulerPlugin = {
  name: 'NodeDeclaredFeatures',
  filter: ({ pod: { spec } }) => {
    const needed = neededFeatures.filter(([, of]) => of(spec)).map(([name]) => name)
    if (needed.length === 0) return undefined
    return ({ node }) =>
      needed.every((name) => node.status.declaredFeatures?.includes(name))
        ? undefined
        : rejected("node(s) didn't match Pod's required features", false)
  },
  wakesOn: ['nodeAdded', 'nodeChanged'],
}

export const nodeUnschedulable: SchedulerPlugin = {
  name: 'NodeUnschedulable',
  filter: ({ pod }) => {
    if (isTolerated({ key: taintUnschedulable, effect: 'NoSchedule' }, pod.spec.tolerations)) return undefined
    return ({ node }) => (node.spec.unschedulable ? rejected('node(s) were unschedulable', false) : undefined)
  },
  wakesOn: ['nodeAdded', 'nodeChanged'],
}

export const taintToleration: SchedulerPlugin = {
  name: 'TaintToleration',
  weight: 3,
  filter:
    ({ pod }) =>
    ({ node }) => {
      const { taints } = node.spec
      if (taints === undefined || findUntolerated(taints, pod.spec.tolerations) === undefined) return undefined
      return rejected('node(s) had untolerated taint(s)', false)
    },
  score: ({ pod }) => {
    const tolerations = (pod.spec.tolerations ?? []).filter(({ effect }) => !effect || effect === 'PreferNoSchedule')
    return ({ node: { spec } }) =>
      spec.taints === undefined
        ? 0
        : spec.taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(taint, tolerations)).length
  },
  normalize: 'reversed',
  wakesOn: ['nodeAdded', 'nodeChanged'],
}

export const nodeAffinity: SchedulerPlugin = {
  name: 'NodeAffinity',
  weight: 2,
  filter: ({ pod }) => {
    const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    if (required === undefined && pod.spec.nodeSelector === undefined) return undefined
    const matches = requiredNodeMatcher(pod)
    return ({ node }) => (matches(node) ? undefined : rejected("node(s) didn't match Pod's node affinity/selector", false))
  },
  score: ({ pod }) => {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
    if (preferred.length === 0) return undefined
    const terms = preferred.map(({ weight, preference }) => ({ weight, matches: nodeSelectorTermMatcher(preference) }))
    return ({ node }) => terms.reduce((sum, { weight, matches }) => sum + (matches(node) ? weight : 0), 0)
  },
  normalize: 'highest',
  wakesOn: ['nodeAdded', 'nodeChanged'],
}

export const nodePorts: SchedulerPlugin = {
  name: 'NodePorts',
  filter: ({ hostPorts }) => {
    if (hostPorts.length === 0) return undefined
    return ({ pods }) => {
      const taken = pods.some((other) => other.hostPorts.some((used) => hostPorts.some((wanted) => collide(used, wanted))))
      return taken ? rejected("node(s) didn't have free ports for the requested pod ports", true) : undefined
    }
  },
  wakesOn: ['nodeAdded', 'podRemoved'],
}

function collide(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0')
}

const imageBytesMin = 23 * 1024 * 1024
const imageBytesMaxPerContainer = 1000 * 1024 * 1024

/** Nodes that hold the images already start the pod sooner; images that few nodes hold count less, lest one node take all. */
export const imageLocality: SchedulerPlugin = {
  name: 'ImageLocality',
  score: ({ pod }, snapshot) => {
    const wanted: { image: string; share: number }[] = []
    for (const { image } of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
      const name = normalizedImage(image)
      wanted.push({ image: name, share: snapshot.imageHolders(name) / snapshot.nodes.length })
    }
    if (wanted.every(({ share }) => share === 0)) return undefined
    const most = imageBytesMaxPerContainer * wanted.length
    return ({ images }) => {
      let bytes = 0
      for (const { image, share } of wanted) bytes += (images.get(image) ?? 0) * share
      return (100 * (Math.min(Math.max(bytes, imageBytesMin), most) - imageBytesMin)) / (most - imageBytesMin)
    }
  },
}

export const schedulingGates: SchedulerPlugin = {
  name: 'SchedulingGates',
  preEnqueue: ({ pod }) => {
    const gates = (pod.spec.schedulingGates ?? []).map(({ name }) => name)
    return gates.length === 0 ? undefined : `waiting for scheduling gates: [${gates.join(' ')}]`
  },
}
