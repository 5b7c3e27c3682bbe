// Questions that controllers, scheduler and columns ask of a node.
import type { Node, NodeCondition } from './generated/core-v1.ts'

export const labelHostname = 'kubernetes.io/hostname'
export const labelArch = 'kubernetes.io/arch'
export const labelOs = 'kubernetes.io/os'
export const labelZone = 'topology.kubernetes.io/zone'
export const labelRegion = 'topology.kubernetes.io/region'
export const labelExcludeFromLoadBalancers = 'node.kubernetes.io/exclude-from-external-load-balancers'
const rolePrefix = 'node-role.kubernetes.io/'

export function findNodeCondition(node: Pick<Node, 'status'>, type: string): NodeCondition | undefined {
  return node.status.conditions?.find((condition) => condition.type === type)
}

export function isNodeReady(node: Pick<Node, 'status'>): boolean {
  return findNodeCondition(node, 'Ready')?.status === 'True'
}

/** The first address of a type, e.g. `InternalIP`. */
export function nodeAddress(node: Pick<Node, 'status'>, type: string): string | undefined {
  return node.status.addresses?.find((address) => address.type === type)?.address
}

/** Roles by label, sorted. */
export function nodeRoles(node: Pick<Node, 'metadata'>): string[] {
  const roles = new Set<string>()
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length))
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value)
  }
  return [...roles].sort()
}
