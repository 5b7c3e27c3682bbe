// The plugins of the default profile, in the order in which filters run: the cheap and the decisive first.
import type { SchedulerPlugin } from '../plugin.ts'
import type { BindDeps } from '../volumes/bind-volumes.ts'
import { createDynamicResources } from './dynamic-resources.ts'
import { interPodAffinity } from './inter-pod-affinity.ts'
import {
  imageLocality,
  nodeAffinity,
  nodeDeclaredFeatures,
  nodeName,
  nodePorts,
  nodeUnschedulable,
  schedulingGates,
  taintToleration,
} from './node-filters.ts'
import { balancedAllocation, resourcesFit } from './resources.ts'
import { topologySpread } from './topology-spread.ts'
import { createVolumeBinding, createVolumeZone } from './volume-binding.ts'
import { createVolumeRestrictions } from './volume-restrictions.ts'

/** `volumes`: what claims and volumes are seen and bound by; absent: pods are placed without regard to them. */
export function defaultPlugins(volumes?: BindDeps): readonly SchedulerPlugin[] {
  return [
    schedulingGates,
    nodeUnschedulable,
    nodeName,
    taintToleration,
    nodeAffinity,
    nodePorts,
    nodeDeclaredFeatures,
    resourcesFit,
    ...(volumes === undefined
      ? []
      : [createVolumeRestrictions(volumes.view), createVolumeBinding(volumes), createVolumeZone(volumes.view)]),
    topologySpread,
    interPodAffinity,
    ...(volumes === undefined ? [] : [createDynamicResources(volumes)]),
    balancedAllocation,
    imageLocality,
  ]
}
