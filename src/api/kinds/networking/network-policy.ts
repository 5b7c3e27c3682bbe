// NetworkPolicy of networking.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { cidrContains, networkOf, parseCidr } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { validateLegacyCidr, warningsForCidr } from '../../validation/ip.ts'
import { checkPortName, checkPortNumber } from '../../validation/names.ts'
import { ageColumn, nameColumn, selectorCell } from '../columns.ts'

export type NetworkPolicy = networkingV1.NetworkPolicy

const policyTypes = ['Ingress', 'Egress']
const protocols = ['TCP', 'UDP', 'SCTP']

function setDefaults({ spec }: NetworkPolicy): void {
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= 'TCP'
  if ((spec.policyTypes ?? []).length === 0) spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
}

/** The blocks of a policy, each with its field. */
function* blocks({ ingress, egress }: networkingV1.NetworkPolicySpec): Generator<[field: string, block: string]> {
  for (const [i, { from }] of (ingress ?? []).entries()) yield* blocksOfPeers(from, `spec.ingress[${i}].from`)
  for (const [i, { to }] of (egress ?? []).entries()) yield* blocksOfPeers(to, `spec.egress[${i}].to`)
}

function* blocksOfPeers(peers: readonly networkingV1.NetworkPolicyPeer[] | undefined, path: string): Generator<[string, string]> {
  for (const [i, { ipBlock }] of (peers ?? []).entries()) {
    if (ipBlock === undefined) continue
    yield [`${path}[${i}].ipBlock.cidr`, ipBlock.cidr]
    for (const [j, part] of (ipBlock.except ?? []).entries()) yield [`${path}[${i}].ipBlock.except[${j}]`, part]
  }
}

/** `before`: blocks that the policy had already; they stay valid however they are written. */
function validate({ spec }: NetworkPolicy, before: readonly string[]): FieldError[] {
  const errors = validateLabelSelector(spec.podSelector, 'spec.podSelector')
  for (const [i, { ports, from }] of (spec.ingress ?? []).entries()) {
    const path = `spec.ingress[${i}]`
    errors.push(...validatePorts(ports, path), ...validatePeers(from, before, `${path}.from`))
  }
  for (const [i, { ports, to }] of (spec.egress ?? []).entries()) {
    const path = `spec.egress[${i}]`
    errors.push(...validatePorts(ports, path), ...validatePeers(to, before, `${path}.to`))
  }
  const types = spec.policyTypes ?? []
  if (types.length > policyTypes.length) {
    return [...errors, invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')]
  }
  for (const [i, type] of types.entries()) {
    if (!policyTypes.includes(type)) errors.push(notSupported(`spec.policyTypes[${i}]`, type, policyTypes))
  }
  return errors
}

function validatePorts(ports: readonly networkingV1.NetworkPolicyPort[] | undefined, path: string): FieldError[] {
  return (ports ?? []).flatMap((port, i) => validatePort(port, `${path}.ports[${i}]`))
}

function validatePeers(
  peers: readonly networkingV1.NetworkPolicyPeer[] | undefined,
  before: readonly string[],
  path: string,
): FieldError[] {
  return (peers ?? []).flatMap((peer, i) => validatePeer(peer, before, `${path}[${i}]`))
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

function validatePeer(
  { podSelector, namespaceSelector, ipBlock }: networkingV1.NetworkPolicyPeer,
  before: readonly string[],
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  const count = [podSelector, namespaceSelector, ipBlock].filter((peer) => peer !== undefined).length
  errors.push(...validateLabelSelector(podSelector, `${path}.podSelector`))
  errors.push(...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`))
  if (ipBlock !== undefined) errors.push(...validateIpBlock(ipBlock, before, `${path}.ipBlock`))
  if (ipBlock !== undefined && count > 1) errors.push(forbidden(path, 'may not specify both ipBlock and another peer'))
  if (count === 0) errors.push(required(path, 'must specify a peer'))
  return errors
}

function validateIpBlock({ cidr, except }: networkingV1.IPBlock, before: readonly string[], path: string): FieldError[] {
  if (!cidr) return [required(`${path}.cidr`)]
  const errors = validateLegacyCidr(`${path}.cidr`, cidr, before)
  const block = parseCidr(cidr)
  if (block === undefined) return errors
  for (const [i, part] of (except ?? []).entries()) {
    const at = `${path}.except[${i}]`
    const inner = parseCidr(part)
    errors.push(...validateLegacyCidr(at, part, before))
    if (inner === undefined) continue
    if (inner.prefixLength <= block.prefixLength || !cidrContains(block, networkOf(inner))) {
      errors.push(invalid(at, part, 'must be a strict subset of `cidr`'))
    }
  }
  return errors
}

export const NetworkPolicy = defineKind<NetworkPolicy>('networking.k8s.io/v1/networkpolicies', {
  setDefaults,
  validateCreate: (policy) => validate(policy, []),
  validateUpdate: (policy, old) =>
    validate(
      policy,
      Array.from(blocks(old.spec), ([, block]) => block),
    ),
  warnings: ({ spec }) => Array.from(blocks(spec), ([field, block]) => warningsForCidr(field, block)).flat(),
  columns: [nameColumn, column<NetworkPolicy>('Pod-Selector', ({ spec }) => selectorCell(spec.podSelector)), ageColumn],
})
