// NetworkPolicy of networking.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { cidrContains, networkOf, parseCidr } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { validateLegacyCidr } from '../../validation/ip.ts'
import { checkPortName, checkPortNumber } from '../../validation/names.ts'
import { ageColumn, nameColumn, selectorCell } from '../columns.ts'
import { protocols } from '../core/pod-containers.ts'

export type NetworkPolicy = networkingV1.NetworkPolicy

const policyTypes = ['Egress', 'Ingress']

function setDefaults({ spec }: NetworkPolicy): void {
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= 'TCP'
  if ((spec.policyTypes ?? []).length === 0) spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
}

function validate({ spec }: NetworkPolicy): FieldError[] {
  const errors = validateLabelSelector(spec.podSelector, 'spec.podSelector')
  for (const [i, { ports, from }] of (spec.ingress ?? []).entries()) errors.push(...validateRule(ports, from, 'from', `spec.ingress[${i}]`))
  for (const [i, { ports, to }] of (spec.egress ?? []).entries()) errors.push(...validateRule(ports, to, 'to', `spec.egress[${i}]`))
  const types = spec.policyTypes ?? []
  if (types.length > policyTypes.length) {
    return [...errors, invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')]
  }
  for (const [i, type] of types.entries()) {
    if (!policyTypes.includes(type)) errors.push(notSupported(`spec.policyTypes[${i}]`, type, policyTypes))
  }
  return errors
}

function validateRule(
  ports: readonly networkingV1.NetworkPolicyPort[] | undefined,
  peers: readonly networkingV1.NetworkPolicyPeer[] | undefined,
  side: string,
  path: string,
): FieldError[] {
  return [
    ...(ports ?? []).flatMap((port, i) => validatePort(port, `${path}.ports[${i}]`)),
    ...(peers ?? []).flatMap((peer, i) => validatePeer(peer, `${path}.${side}[${i}]`)),
  ]
}

function validatePort({ protocol, port, endPort }: networkingV1.NetworkPolicyPort, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (protocol !== undefined && !protocols.includes(protocol)) errors.push(notSupported(`${path}.protocol`, protocol, protocols))
  if (port === undefined) {
    if (endPort !== undefined) errors.push(invalid(`${path}.endPort`, endPort, 'may not be specified when `port` is not specified'))
  } else if (typeof port === 'number') {
    errors.push(...invalidEach(`${path}.port`, port, checkPortNumber(port)))
    if (endPort === undefined) return errors
    if (endPort < port) errors.push(invalid(`${path}.endPort`, port, 'must be greater than or equal to `port`'))
    errors.push(...invalidEach(`${path}.endPort`, endPort, checkPortNumber(endPort)))
  } else {
    if (endPort !== undefined) errors.push(invalid(`${path}.endPort`, endPort, 'may not be specified when `port` is non-numeric'))
    errors.push(...invalidEach(`${path}.port`, port, checkPortName(port)))
  }
  return errors
}

function validatePeer({ podSelector, namespaceSelector, ipBlock }: networkingV1.NetworkPolicyPeer, path: string): FieldError[] {
  const errors: FieldError[] = []
  const count = [podSelector, namespaceSelector, ipBlock].filter((peer) => peer !== undefined).length
  errors.push(...validateLabelSelector(podSelector, `${path}.podSelector`))
  errors.push(...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`))
  if (ipBlock !== undefined) errors.push(...validateIpBlock(ipBlock, `${path}.ipBlock`))
  if (ipBlock !== undefined && count > 1) errors.push(forbidden(path, 'may not specify both ipBlock and another peer'))
  if (count === 0) errors.push(required(path, 'must specify a peer'))
  return errors
}

function validateIpBlock({ cidr, except }: networkingV1.IPBlock, path: string): FieldError[] {
  if (!cidr) return [required(`${path}.cidr`)]
  const errors = validateLegacyCidr(`${path}.cidr`, cidr)
  const block = parseCidr(cidr)
  for (const [i, part] of (except ?? []).entries()) {
    const at = `${path}.except[${i}]`
    const own = validateLegacyCidr(at, part)
    const inner = parseCidr(part)
    errors.push(...own)
    if (own.length > 0 || block === undefined || inner === undefined) continue
    if (inner.prefixLength <= block.prefixLength || !cidrContains(block, networkOf(inner))) {
      errors.push(invalid(at, part, 'must be a strict subset of `cidr`'))
    }
  }
  return errors
}

export const NetworkPolicy = defineKind<NetworkPolicy>('networking.k8s.io/v1/networkpolicies', {
  setDefaults,
  validate,
  columns: [nameColumn, column<NetworkPolicy>('Pod-Selector', ({ spec }) => selectorCell(spec.podSelector)), ageColumn],
})
