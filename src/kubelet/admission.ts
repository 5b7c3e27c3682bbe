// Whether a pod that was bound to this node may run on it: the scheduler decided on what it knew then. Reasons and messages
// are Kubernetes'; a refused pod fails with them.
import type { Node, Pod } from '#api/generated/core-v1'
import { matchesRequiredNode } from '#api/node-selectors'
import { compareQuantities, parseQuantity, type Quantity, quantityMilliValue, quantityValue } from '#api/quantity'
import { addResources, podRequests, type Resources } from '#api/resources'

export interface AdmissionContext {
  /** Pods that use the node now, without the one in question. */
  readonly others: readonly Pod[]
  readonly allocatable: Readonly<Record<string, string>>
  /** As the API has it; undefined while it is not known. */
  readonly node: Node | undefined
  readonly allowedUnsafeSysctls: readonly string[]
}

export interface Refusal {
  readonly reason: string
  readonly message: string
}

/** Undefined: welcome. */
export function refusePod(pod: Pod, context: AdmissionContext): Refusal | undefined {
  return refuseSysctls(pod, context.allowedUnsafeSysctls) ?? refuseNode(pod, context.node) ?? refuseResources(pod, context)
}

function refuseResources(pod: Pod, { others, allocatable }: AdmissionContext): Refusal | undefined {
  const podsMax = Number(allocatable['pods'] ?? '110')
  if (others.length + 1 > podsMax) return outOf('pods', 1, others.length, podsMax)
  const used: Resources = {}
  for (const other of others) addResources(used, podRequests(other))
  for (const [name, requested] of Object.entries(podRequests(pod))) {
    // What the node does not offer as a resource of its own it does not count.
    const limit = allocatable[name]
    if (limit === undefined) continue
    const total: Resources = { [name]: requested }
    if (used[name] !== undefined) addResources(total, { [name]: used[name] })
    if (compareQuantities(total[name]!, parseQuantity(limit)) <= 0) continue
    const amount = (q: Quantity | undefined): number => (q === undefined ? 0 : name === 'cpu' ? quantityMilliValue(q) : quantityValue(q))
    if (amount(requested) === 0) continue
    return outOf(name, amount(requested), amount(used[name]), amount(parseQuantity(limit)))
  }
  return undefined
}

function outOf(name: string, requested: number, used: number, capacity: number): Refusal {
  const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`
  return { reason: `OutOf${name}`, message }
}

function refuseNode(pod: Pod, node: Node | undefined): Refusal | undefined {
  if (node === undefined || matchesRequiredNode(pod, node)) return undefined
  return { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" }
}

// Those that are confined to the pod's own namespaces and harm nobody else (documentation: "Using sysctls").
const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
])

function refuseSysctls(pod: Pod, allowed: readonly string[]): Refusal | undefined {
  for (const { name } of pod.spec.securityContext?.sysctls ?? []) {
    const plain = name.replaceAll('/', '.')
    const listed = allowed.some((pattern) => (pattern.endsWith('*') ? plain.startsWith(pattern.slice(0, -1)) : plain === pattern))
    const hostWide =
      (plain.startsWith('net.') && pod.spec.hostNetwork === true) || (plain.startsWith('kernel.shm') && pod.spec.hostIPC === true)
    if (hostWide)
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${JSON.stringify(name)} not allowed with host net enabled` }
    if (!listed && !safeSysctls.has(plain)) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${JSON.stringify(name)} not allowlisted` }
    }
  }
  return undefined
}
