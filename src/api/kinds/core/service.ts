// Service of the core group. Addresses and node ports are allocated by the registry's side effects, not here.
import type * as coreV1 from '../../generated/core-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { warningsForCidr, warningsForIp } from '../../validation/ip.ts'
import { nameIsDnsLabel } from '../../validation/names.ts'
import { ageColumn, labelsCell, nameColumn, none, unknown } from '../columns.ts'
import { topologyHints, validateLoadBalancerStatus, validateService, validateServiceUpdate } from './service-validation.ts'
import { dropTypeDependentFields, isExternallyAccessible, keepAllocatedValues, normalizeClusterIps } from './services.ts'

export type Service = coreV1.Service

const affinitySeconds = 10_800

function setDefaults(service: Service): void {
  service.spec ??= {} as coreV1.ServiceSpec
  service.status ??= { loadBalancer: {} }
  service.status.loadBalancer ??= {}
  const { spec, status } = service
  spec.sessionAffinity ||= 'None'
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
  if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) {
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: affinitySeconds } }
  }
  spec.type ||= 'ClusterIP'
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP'
    if (!port.targetPort) port.targetPort = port.port
  }
  if (isExternallyAccessible(service)) spec.externalTrafficPolicy ||= 'Cluster'
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true
    for (const ingress of status.loadBalancer.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP'
  }
}

function loadBalancerAddresses({ status }: Service): string[] {
  const addresses = (status.loadBalancer.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').filter(Boolean)
  return [...new Set(addresses)].sort()
}

function externalIpCell(service: Service): string {
  const { type, externalIPs = [], externalName } = service.spec
  if (type === 'ExternalName') return externalName ?? ''
  if (type === 'ClusterIP' || type === 'NodePort') return externalIPs.join(',') || none
  if (type !== 'LoadBalancer') return unknown
  return [...loadBalancerAddresses(service), ...externalIPs].join(',') || '<pending>'
}

function portsCell({ spec }: Service): string {
  const pieces = (spec.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  )
  return pieces.join(',') || none
}

const columns: readonly Column<Service>[] = [
  nameColumn,
  column<Service>('Type', ({ spec }) => spec.type),
  column<Service>('Cluster-IP', ({ spec }) => spec.clusterIPs?.[0] ?? (spec.clusterIP || none)),
  column<Service>('External-IP', externalIpCell),
  column<Service>('Port(s)', portsCell),
  ageColumn,
  column<Service>('Selector', ({ spec }) => labelsCell(spec.selector), { priority: 1 }),
]

function warnings(service: Service): string[] {
  const { metadata, spec } = service
  const found: string[] = []
  if (metadata.annotations?.[topologyHints] !== undefined) {
    found.push(`annotation ${topologyHints} is deprecated, please use service.kubernetes.io/topology-mode instead`)
  }
  const externalIps = spec.externalIPs ?? []
  const headless = spec.type === 'ClusterIP' && spec.clusterIP === 'None'
  if (spec.clusterIP !== 'None')
    for (const [i, ip] of (spec.clusterIPs ?? []).entries()) found.push(...warningsForIp(`spec.clusterIPs[${i}]`, ip))
  if (headless) {
    if (spec.loadBalancerIP) found.push('spec.loadBalancerIP is ignored for headless services')
    if (externalIps.length > 0) found.push('spec.externalIPs is ignored for headless services')
    if (spec.sessionAffinity !== 'None') found.push('spec.SessionAffinity is ignored for headless services')
  }
  for (const [i, ip] of externalIps.entries()) found.push(...warningsForIp(`spec.externalIPs[${i}]`, ip))
  if (externalIps.length > 0 && !headless && spec.type !== 'ExternalName') {
    found.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters')
  }
  if (spec.loadBalancerIP) found.push(...warningsForIp('spec.loadBalancerIP', spec.loadBalancerIP))
  for (const [i, range] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    found.push(...warningsForCidr(`spec.loadBalancerSourceRanges[${i}]`, range))
  }
  if (spec.type === 'ExternalName' && externalIps.length > 0) found.push('spec.externalIPs is ignored when spec.type is "ExternalName"')
  if (spec.type !== 'ExternalName' && spec.externalName) found.push('spec.externalName is ignored when spec.type is not "ExternalName"')
  if (spec.trafficDistribution === 'PreferClose') {
    found.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
  }
  return found
}

export const Service = defineKind<Service>('core/v1/services', {
  validateName: nameIsDnsLabel,
  setDefaults,
  prepareForCreate(service) {
    service.status = { loadBalancer: {} }
    normalizeClusterIps(service, undefined)
  },
  prepareForUpdate(service, old) {
    service.status = old.status
    keepAllocatedValues(service, old)
    normalizeClusterIps(service, old)
    dropTypeDependentFields(service, old)
  },
  prepareForStatusUpdate({ status }, _old, { warn }) {
    for (const [i, { ip }] of (status.loadBalancer.ingress ?? []).entries()) {
      if (ip) for (const text of warningsForIp(`status.loadBalancer.ingress[${i}]`, ip)) warn?.(text)
    }
  },
  validateCreate: validateService,
  warnings,
  allowCreateOnUpdate: true,
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateLoadBalancerStatus,
  hasGeneration: false,
  columns,
  selectableFields: {
    'spec.clusterIP': ({ spec }) => spec.clusterIP ?? '',
    'spec.type': ({ spec }) => spec.type,
  },
})
