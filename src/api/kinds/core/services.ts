// What a service's type means, and how an update keeps what was allocated. Pure; used by the kind and by the allocators.
import type { Service, ServicePort } from '../../generated/core-v1.ts'

type SpecOnly = Pick<Service, 'spec'>

/** `clusterIP: None`. */
export function isHeadless({ spec }: SpecOnly): boolean {
  return (spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === 'None') || spec.clusterIP === 'None'
}

export function needsClusterIp({ spec }: SpecOnly): boolean {
  return spec.type === 'ClusterIP' || spec.type === 'NodePort' || spec.type === 'LoadBalancer'
}

export function needsNodePort({ spec }: SpecOnly): boolean {
  return spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
}

/** Reached from outside the cluster: by node port, load balancer or external address. */
export function isExternallyAccessible({ spec }: SpecOnly): boolean {
  return spec.type === 'LoadBalancer' || spec.type === 'NodePort' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0)
}

export function needsHealthCheckNodePort({ spec }: SpecOnly): boolean {
  return spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'
}

/** A field that a client left out of an update keeps what was allocated for it. */
export function keepAllocatedValues(service: Service, old: Service): void {
  const { spec } = service
  if (needsClusterIp(service) && needsClusterIp(old)) {
    if (!spec.clusterIP && old.spec.clusterIP !== undefined) spec.clusterIP = old.spec.clusterIP
    if ((spec.clusterIPs ?? []).length === 0 && spec.clusterIP === old.spec.clusterIP && old.spec.clusterIPs !== undefined) {
      spec.clusterIPs = [...old.spec.clusterIPs]
    }
    if (spec.clusterIP === old.spec.clusterIP) {
      if (old.spec.ipFamilies !== undefined) spec.ipFamilies ??= [...old.spec.ipFamilies]
      if (old.spec.ipFamilyPolicy !== undefined) spec.ipFamilyPolicy ??= old.spec.ipFamilyPolicy
    }
  }
  if (needsNodePort(service) && needsNodePort(old)) keepNodePorts(spec.ports ?? [], old.spec.ports ?? [])
  if (needsHealthCheckNodePort(service) && needsHealthCheckNodePort(old) && old.spec.healthCheckNodePort !== undefined) {
    spec.healthCheckNodePort ||= old.spec.healthCheckNodePort
  }
}

function keepNodePorts(ports: ServicePort[], old: readonly ServicePort[]): void {
  const wanted = new Set(ports.map(({ nodePort }) => nodePort))
  const byName = new Map(old.map(({ name = '', nodePort }) => [name, nodePort]))
  for (const port of ports) {
    const before = byName.get(port.name ?? '')
    if (!port.nodePort && before && !wanted.has(before)) port.nodePort = before
  }
}

/** `clusterIP` is the first of `clusterIPs`: a client that knows only one of them has changed both. */
export function normalizeClusterIps({ spec }: Service, old: Service | undefined): void {
  if (old === undefined) {
    if (spec.clusterIP && (spec.clusterIPs ?? []).length === 0) spec.clusterIPs = [spec.clusterIP]
    return
  }
  const same = sameList(spec.clusterIPs, old.spec.clusterIPs)
  if (old.spec.clusterIP && !spec.clusterIP && same) delete spec.clusterIPs
  else if (spec.clusterIP && spec.clusterIP !== old.spec.clusterIP && same) {
    spec.clusterIPs = [spec.clusterIP, ...(old.spec.clusterIPs ?? []).slice(1)]
  }
}

/** Fields that only another type may have go, unless the client changed them too: then they are an error. */
export function dropTypeDependentFields(service: Service, old: Service): void {
  const { spec } = service
  const before = old.spec
  if (needsClusterIp(old) && !needsClusterIp(service)) {
    if (spec.clusterIP === before.clusterIP && sameList(spec.clusterIPs, before.clusterIPs)) {
      delete spec.clusterIP
      delete spec.clusterIPs
    }
    if (sameList(spec.ipFamilies, before.ipFamilies)) delete spec.ipFamilies
    if (spec.ipFamilyPolicy === before.ipFamilyPolicy) delete spec.ipFamilyPolicy
  }
  if (needsNodePort(old) && !needsNodePort(service) && sameNodePorts(spec.ports, before.ports)) {
    for (const port of spec.ports ?? []) delete port.nodePort
  }
  if (needsHealthCheckNodePort(old) && !needsHealthCheckNodePort(service) && spec.healthCheckNodePort === before.healthCheckNodePort) {
    delete spec.healthCheckNodePort
  }
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts
    if (spec.loadBalancerClass === before.loadBalancerClass) delete spec.loadBalancerClass
  }
  const accessible = isExternallyAccessible(old) && !isExternallyAccessible(service)
  if (accessible && spec.externalTrafficPolicy === before.externalTrafficPolicy) delete spec.externalTrafficPolicy
  if (spec.type !== 'LoadBalancer') service.status = { ...service.status, loadBalancer: {} }
}

function sameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return (a ?? []).join() === (b ?? []).join()
}

// No port that was not there before.
function sameNodePorts(now: readonly ServicePort[] | undefined, before: readonly ServicePort[] | undefined): boolean {
  return (now ?? []).every(({ nodePort }) => !nodePort || (before ?? []).some((port) => port.nodePort === nodePort))
}
