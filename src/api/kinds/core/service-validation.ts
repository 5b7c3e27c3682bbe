// The checks of services: ports, cluster addresses and their families, traffic policies, load balancers.
import type { FieldError } from '../../errors.ts'
import type { Service, ServicePort } from '../../generated/core-v1.ts'
import { isLinkLocalMulticast, isLinkLocalUnicast, isLoopback, isUnspecified, parseIp } from '../../ip.ts'
import { duplicate, forbidden, immutable, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { validateLegacyCidr, validateLegacyIp } from '../../validation/ip.ts'
import { checkDns1123Label, checkDns1123Subdomain, checkLabelKey, checkPortNumber } from '../../validation/names.ts'
import { validateLabels } from '../../validation/object-meta.ts'
import { protocols, validatePort } from './pod-containers.ts'
import { isExternallyAccessible, isHeadless, needsHealthCheckNodePort } from './services.ts'

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const affinitySecondsMax = 86_400
const sourceRangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges'

export function validateService(service: Service): FieldError[] {
  const { spec } = service
  const errors = validateTopologyMode(service.metadata.annotations)
  const headless = isHeadless(service)
  const ports = spec.ports ?? []
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') errors.push(required('spec.ports'))
  errors.push(...validateTypeFields(service))
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) errors.push(...validateServicePort(port, ports.length > 1, names, `spec.ports[${i}]`))
  errors.push(...validateLabels(spec.selector, 'spec.selector'))
  errors.push(...validateAffinity(service))
  errors.push(...validateClusterIps(service))
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) {
    const own = validateLegacyIp(`spec.externalIPs[${i}]`, ip)
    errors.push(...(own.length > 0 ? own : validateNonSpecialIp(ip, `spec.externalIPs[${i}]`)))
  }
  if (!spec.type) errors.push(required('spec.type'))
  else if (!types.includes(spec.type)) errors.push(notSupported('spec.type', spec.type, types))
  errors.push(...validatePortsTogether(service))
  errors.push(...validateLoadBalancerFields(service))
  errors.push(...validateTrafficPolicies(service))
  return errors
}

const topologyMode = 'service.kubernetes.io/topology-mode'
export const topologyHints = 'service.kubernetes.io/topology-aware-hints'

// The two are names of the same thing.
function validateTopologyMode(annotations: Readonly<Record<string, string>> | undefined): FieldError[] {
  const [mode, hints] = [annotations?.[topologyMode], annotations?.[topologyHints]]
  if (mode === undefined || hints === undefined || mode === hints) return []
  return [invalid(`metadata.annotations[${topologyMode}]`, mode, `must match annotations[${topologyHints}] when both are specified`)]
}

function validateTypeFields(service: Service): FieldError[] {
  const { spec } = service
  if ((spec.type === 'LoadBalancer' || spec.type === 'NodePort') && isHeadless(service)) {
    return [invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)]
  }
  if (spec.type !== 'ExternalName') return []
  const errors: FieldError[] = []
  const detail = 'may not be set for ExternalName services'
  if ((spec.clusterIPs ?? []).length > 0) errors.push(forbidden('spec.clusterIPs', detail))
  if ((spec.ipFamilies ?? []).length > 0) errors.push(forbidden('spec.ipFamilies', detail))
  if (spec.ipFamilyPolicy !== undefined) errors.push(forbidden('spec.ipFamilyPolicy', detail))
  const name = (spec.externalName ?? '').replace(/\.$/, '')
  if (name === '') errors.push(required('spec.externalName'))
  else errors.push(...invalidEach('spec.externalName', name, checkDns1123Subdomain(name)))
  return errors
}

function validateServicePort(port: ServicePort, nameRequired: boolean, names: Set<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (port.name) {
    errors.push(...invalidEach(`${path}.name`, port.name, checkDns1123Label(port.name)))
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name))
    names.add(port.name)
  } else if (nameRequired) errors.push(required(`${path}.name`))
  errors.push(...invalidEach(`${path}.port`, port.port ?? 0, checkPortNumber(port.port ?? 0)))
  if (!port.protocol) errors.push(required(`${path}.protocol`))
  else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${path}.protocol`, port.protocol, protocols))
  errors.push(...validatePort(port.targetPort, `${path}.targetPort`))
  if (port.appProtocol !== undefined) errors.push(...invalidEach(`${path}.appProtocol`, port.appProtocol, checkLabelKey(port.appProtocol)))
  return errors
}

function validateAffinity({ spec }: Service): FieldError[] {
  const path = 'spec.sessionAffinityConfig'
  if (!spec.sessionAffinity) return [required('spec.sessionAffinity')]
  if (spec.sessionAffinity === 'None') {
    const detail = 'must not be set when session affinity is None'
    return spec.sessionAffinityConfig === undefined ? [] : [forbidden(path, detail)]
  }
  if (spec.sessionAffinity !== 'ClientIP') return [notSupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None'])]
  const why = 'when session affinity type is ClientIP'
  const clientIp = spec.sessionAffinityConfig?.clientIP
  if (spec.sessionAffinityConfig === undefined) return [required(path, why)]
  if (clientIp === undefined) return [required(`${path}.clientIP`, why)]
  const seconds = clientIp.timeoutSeconds
  if (seconds === undefined) return [required(`${path}.clientIP.timeoutSeconds`, why)]
  if (seconds > 0 && seconds <= affinitySecondsMax) return []
  return [invalid(`${path}.clientIP.timeoutSeconds`, seconds, `must be greater than 0 and less than ${affinitySecondsMax}`)]
}

const families = ['IPv4', 'IPv6']
const familyPolicies = ['PreferDualStack', 'RequireDualStack', 'SingleStack']

/** Also asked when addresses are allocated. */
export function validateClusterIps(service: Service): FieldError[] {
  const { spec } = service
  if (spec.type === 'ExternalName') return []
  const path = 'spec.clusterIPs'
  const ips = spec.clusterIPs ?? []
  const errors: FieldError[] = []
  if (spec.clusterIP) {
    if (ips.length === 0) errors.push(required(path))
    else if (ips[0] !== spec.clusterIP) errors.push(invalid(path, ips, 'first value must match `clusterIP`'))
  } else if (ips.length > 0) errors.push(invalid(path, ips, 'must be empty when `clusterIP` is not specified'))
  errors.push(...validateFamilies(service))
  let broken = false
  for (const [i, ip] of ips.entries()) {
    if (i === 0 && ip === 'None') {
      if (ips.length > 1) {
        broken = true
        errors.push(invalid(path, ips, "'None' must be the first and only value"))
      }
      continue
    }
    const own = validateLegacyIp(`${path}[${i}]`, ip)
    broken ||= own.length > 0
    errors.push(...own)
  }
  if (ips.length > 2) errors.push(invalid(path, ips, 'may only hold up to 2 values'))
  if (broken) return errors
  if (ips.length > 1 && new Set(ips.map((ip) => parseIp(ip)?.family)).size < 2) {
    errors.push(invalid(path, ips, 'may specify no more than one IP for each IP family'))
  }
  return isHeadless(service) ? errors : [...errors, ...validateIpsMatchFamilies(ips, spec.ipFamilies ?? [])]
}

function validateFamilies({ spec }: Service): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
    if (!families.includes(family)) errors.push(notSupported(`spec.ipFamilies[${i}]`, family, families))
    if (spec.ipFamilies!.indexOf(family) < i) errors.push(duplicate(`spec.ipFamilies[${i}]`, family))
  }
  const policy = spec.ipFamilyPolicy
  if (policy !== undefined && !familyPolicies.includes(policy)) errors.push(notSupported('spec.ipFamilyPolicy', policy, familyPolicies))
  return errors
}

function validateIpsMatchFamilies(ips: readonly string[], wanted: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, ip] of ips.entries()) {
    const family = wanted[i]
    if (family === undefined) break
    const own = parseIp(ip)?.family === 6 ? 'IPv6' : 'IPv4'
    if (own !== family)
      errors.push(invalid(`spec.clusterIPs[${i}]`, ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``))
  }
  return errors
}

/** No addresses that mean this machine or this link only. */
export function validateNonSpecialIp(ip: string, path: string): FieldError[] {
  const address = parseIp(ip)
  if (address === undefined) return [invalid(path, ip, 'must be a valid IP address')]
  const errors: FieldError[] = []
  if (isUnspecified(address)) errors.push(invalid(path, ip, `may not be unspecified (${ip})`))
  if (isLoopback(address)) errors.push(invalid(path, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'))
  if (isLinkLocalUnicast(address)) errors.push(invalid(path, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'))
  if (isLinkLocalMulticast(address)) {
    errors.push(invalid(path, ip, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'))
  }
  return errors
}

function validatePortsTogether({ spec }: Service): FieldError[] {
  const errors: FieldError[] = []
  const ports = spec.ports ?? []
  if (spec.type === 'ClusterIP') {
    for (const [i, { nodePort }] of ports.entries()) {
      if (nodePort) errors.push(forbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"))
    }
  }
  const nodePorts = new Set<string>()
  for (const [i, { protocol, nodePort }] of ports.entries()) {
    if (!nodePort) continue
    if (nodePorts.has(`${protocol}/${nodePort}`)) errors.push(duplicate(`spec.ports[${i}].nodePort`, nodePort))
    nodePorts.add(`${protocol}/${nodePort}`)
  }
  const seen = new Set<string>()
  for (const [i, { protocol, port }] of ports.entries()) {
    // Compat: shown as Kubernetes' internal structure, of which only these two fields are set.
    const shown = { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 }
    if (seen.has(`${protocol}/${port}`)) errors.push(duplicate(`spec.ports[${i}]`, shown))
    seen.add(`${protocol}/${port}`)
  }
  return errors
}

const onlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'"

function validateLoadBalancerFields(service: Service): FieldError[] {
  const { spec, metadata } = service
  const errors: FieldError[] = []
  const isLoadBalancer = spec.type === 'LoadBalancer'
  const ranges = spec.loadBalancerSourceRanges ?? []
  const annotation = metadata.annotations?.[sourceRangesAnnotation]
  if (ranges.length > 0) {
    if (!isLoadBalancer) errors.push(forbidden('spec.LoadBalancerSourceRanges', onlyLoadBalancer))
    for (const [i, range] of ranges.entries()) errors.push(...validateLegacyCidr(`spec.LoadBalancerSourceRanges[${i}]`, range.trim()))
  } else if (annotation !== undefined) {
    const path = `metadata.annotations[${sourceRangesAnnotation}]`
    if (!isLoadBalancer) errors.push(forbidden(path, onlyLoadBalancer))
    const listed = annotation.trim() === '' ? [] : annotation.trim().split(',')
    for (const range of listed) errors.push(...validateLegacyCidr(path, range.trim()))
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !isLoadBalancer) {
    errors.push(forbidden('spec.allocateLoadBalancerNodePorts', onlyLoadBalancer))
  }
  return [...errors, ...validateLoadBalancerClass(service)]
}

function validateLoadBalancerClass({ spec }: Service): FieldError[] {
  const name = spec.loadBalancerClass
  if (name === undefined) return []
  if (spec.type !== 'LoadBalancer') return [forbidden('spec.loadBalancerClass', onlyLoadBalancer)]
  return invalidEach('spec.loadBalancerClass', name, checkLabelKey(name))
}

const trafficPolicies = ['Cluster', 'Local']
const distributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode']

function validateTrafficPolicies(service: Service): FieldError[] {
  const { spec } = service
  const errors: FieldError[] = []
  const external = spec.externalTrafficPolicy
  if (!isExternallyAccessible(service)) {
    if (external) errors.push(invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'))
  } else if (!external) errors.push(required('spec.externalTrafficPolicy'))
  else if (!trafficPolicies.includes(external)) errors.push(notSupported('spec.externalTrafficPolicy', external, trafficPolicies))
  const healthPort = spec.healthCheckNodePort ?? 0
  if (needsHealthCheckNodePort(service)) {
    if (healthPort === 0) errors.push(required('spec.healthCheckNodePort'))
    else errors.push(...invalidEach('spec.healthCheckNodePort', healthPort, checkPortNumber(healthPort)))
  } else if (healthPort !== 0) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    errors.push(invalid('spec.healthCheckNodePort', healthPort, detail))
  }
  const internal = spec.internalTrafficPolicy
  if (internal === undefined) {
    if (spec.type !== 'ExternalName') errors.push(required('spec.internalTrafficPolicy'))
  } else if (!trafficPolicies.includes(internal)) errors.push(notSupported('spec.internalTrafficPolicy', internal, trafficPolicies))
  const distribution = spec.trafficDistribution
  if (distribution !== undefined && !distributions.includes(distribution)) {
    errors.push(notSupported('spec.trafficDistribution', distribution, distributions))
  }
  return errors
}

/** Primary address and family stay; a second one may come and go. */
export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const errors: FieldError[] = []
  if (service.spec.type !== 'ExternalName' && old.spec.type !== 'ExternalName') {
    if (!(isHeadless(old) && isHeadless(service))) errors.push(...validateIpsUpdate(service, old))
    if (!isHeadless(old) && !isHeadless(service)) errors.push(...validateFamiliesUpdate(service, old))
  }
  if (service.spec.type === 'LoadBalancer' && old.spec.type === 'LoadBalancer') {
    const [name, before] = [service.spec.loadBalancerClass, old.spec.loadBalancerClass]
    errors.push(...immutable('spec.loadBalancerClass', name, before, 'may not change once set'))
  }
  errors.push(...validateLoadBalancerClass(service))
  if (
    needsHealthCheckNodePort(old) &&
    needsHealthCheckNodePort(service) &&
    service.spec.healthCheckNodePort !== old.spec.healthCheckNodePort
  ) {
    errors.push(forbidden('spec.healthCheckNodePort', 'field is immutable'))
  }
  return [...errors, ...validateService(service)]
}

function validateIpsUpdate({ spec }: Service, old: Service): FieldError[] {
  const ips = spec.clusterIPs ?? []
  const before = old.spec.clusterIPs ?? []
  const changed = (i: number): FieldError => invalid(`spec.clusterIPs[${i}]`, ips, 'may not change once set')
  if (ips.length === before.length) return before.flatMap((ip, i) => (ip === ips[i] ? [] : [changed(i)]))
  if (ips.length > before.length) return before.length > 0 && ips[0] !== before[0] ? [changed(0)] : []
  if (ips.length === 0) return [invalid('spec.clusterIPs[0]', spec.clusterIPs, 'primary clusterIP can not be unset')]
  const errors = ips[0] === before[0] ? [] : [changed(0)]
  if (ips.length === 1 && spec.ipFamilyPolicy !== 'SingleStack') {
    errors.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
  }
  return errors
}

function validateFamiliesUpdate({ spec }: Service, old: Service): FieldError[] {
  const now = spec.ipFamilies ?? []
  const before = old.spec.ipFamilies ?? []
  const changed = (shown: unknown): FieldError => invalid('spec.ipFamilies[0]', shown, 'may not change once set')
  if (now.length === before.length) return before.flatMap((family, i) => (family === now[i] ? [] : [changed(now)]))
  const primary = now.length > 0 && before.length > 0 && now[0] !== before[0] ? [changed(spec.clusterIPs)] : []
  if (now.length > before.length) return primary
  const errors: FieldError[] = []
  if ((spec.clusterIPs ?? []).length === 0) {
    errors.push(invalid('spec.ipFamilies[0]', spec.ipFamilies, 'primary ipFamily can not be unset'))
  }
  errors.push(...primary)
  if (now.length === 1 && spec.ipFamilyPolicy !== 'SingleStack') {
    errors.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily"))
  }
  return errors
}

export function validateLoadBalancerStatus({ spec, status }: Service, old: Service): FieldError[] {
  const path = 'status.loadBalancer.ingress'
  const ingress = status.loadBalancer.ingress ?? []
  if (spec.type !== 'LoadBalancer' && ingress.length > 0) return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
  const before = (old.status.loadBalancer.ingress ?? []).flatMap(({ ip }) => ip || [])
  const errors: FieldError[] = []
  for (const [i, { ip, ipMode, hostname }] of ingress.entries()) {
    const at = `${path}[${i}]`
    if (ip) errors.push(...validateLegacyIp(`${at}.ip`, ip, before))
    if (ipMode === undefined) {
      if (ip) errors.push(required(`${at}.ipMode`, 'must be specified when `ip` is set'))
    } else if (!ip) errors.push(forbidden(`${at}.ipMode`, 'may not be specified when `ip` is not set'))
    else if (ipMode !== 'VIP' && ipMode !== 'Proxy') errors.push(notSupported(`${at}.ipMode`, ipMode, ['Proxy', 'VIP']))
    if (!hostname) continue
    errors.push(...invalidEach(`${at}.hostname`, hostname, checkDns1123Subdomain(hostname)))
    if (parseIp(hostname) !== undefined) errors.push(invalid(`${at}.hostname`, hostname, 'must be a DNS name, not an IP address'))
  }
  return errors
}
