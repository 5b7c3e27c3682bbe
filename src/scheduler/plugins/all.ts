// The plugins of the default profile, in the order in which filters run: the cheap and the decisive first.
import type { SchedulerPlugin } from '../plugin.ts'
import { interPodAffinity } from './inter-pod-affinity.ts'
import { imageLocality, nodeAffinity, nodeName, nodePorts, nodeUnschedulable, schedulingGates, taintToleration } from './node-filters.ts'
import { balancedAllocation, resourcesFit } from './resources.ts'
import { topologySpread } from './topology-spread.ts'

export const defaultPlugins: readonly SchedulerPlugin[] = [
  schedulingGates,
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  resourcesFit,
  topologySpread,
  interPodAffinity,
  balancedAllocation,
  imageLocality,
]
