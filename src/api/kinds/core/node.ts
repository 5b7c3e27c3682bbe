// Node of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { findNodeCondition, nodeAddress, nodeRoles } from '../../nodes.ts'
import { duplicate, forbidden, invalid, required } from '../../validation/field-errors.ts'
import { validateLegacyCidr } from '../../validation/ip.ts'
import { checkLabelValue } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { ageColumn, nameColumn, none, unknown } from '../columns.ts'
import { validateTaintEffect } from './pod-scheduling.ts'
import { validateAmounts } from './resource-validation.ts'

export type Node = coreV1.Node

function setDefaults(node: Node): void {
  node.spec ??= {}
  node.status ??= {} as coreV1.NodeStatus
  const { spec, status } = node
  status.daemonEndpoints ??= { kubeletEndpoint: { Port: 0 } }
  status.nodeInfo ??= emptyInfo()
  if (status.capacity !== undefined) status.allocatable ??= { ...status.capacity }
  // Compat: podCIDR is the first of podCIDRs; old clients write only the one.
  if (spec.podCIDR && (spec.podCIDRs ?? []).length === 0) spec.podCIDRs = [spec.podCIDR]
  else if (!spec.podCIDR && spec.podCIDRs?.[0] !== undefined) spec.podCIDR = spec.podCIDRs[0]
}

function emptyInfo(): coreV1.NodeSystemInfo {
  return {
    machineID: '',
    systemUUID: '',
    bootID: '',
    kernelVersion: '',
    osImage: '',
    containerRuntimeVersion: '',
    kubeletVersion: '',
    kubeProxyVersion: '',
    operatingSystem: '',
    architecture: '',
  }
}

function validateTaints(taints: readonly coreV1.Taint[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, taint] of (taints ?? []).entries()) {
    const at = `${path}[${i}]`
    errors.push(...validateLabelName(taint.key ?? '', `${at}.key`))
    const messages = checkLabelValue(taint.value ?? '')
    if (messages.length > 0) errors.push(invalid(`${at}.value`, taint.value, messages.join(';')))
    if (taint.effect) errors.push(...validateTaintEffect(taint.effect, `${at}.effect`))
    else errors.push(required(`${at}.effect`))
    const key = `${taint.effect}/${taint.key}`
    if (seen.has(key)) {
      // Compat: shown as Kubernetes' internal structure.
      const shown = { Key: taint.key, Value: taint.value ?? '', Effect: taint.effect, TimeAdded: taint.timeAdded ?? null }
      const error = duplicate(at, shown)
      errors.push({ ...error, detail: `${error.detail}: taints must be unique by key and effect pair` })
    }
    seen.add(key)
  }
  return errors
}

function validate({ spec, status }: Node): FieldError[] {
  const errors = validateTaints(spec.taints, 'metadata.taints')
  errors.push(...validateAmounts(status.capacity, (name) => `status.capacity.${name}`))
  return [...errors, ...validateAmounts(status.allocatable, (name) => `status.allocatable.${name}`)]
}

function validatePodCidrs(cidrs: readonly string[] = []): FieldError[] {
  const errors = cidrs.flatMap((cidr, i) => validateLegacyCidr(`spec.podCIDRs[${i}]`, cidr))
  if (cidrs.length < 2) return errors
  if (cidrs.length > 2 || new Set(cidrs.map((cidr) => cidr.includes(':'))).size < 2) {
    errors.push(invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'))
  }
  for (const [i, cidr] of cidrs.entries()) if (cidrs.indexOf(cidr) < i) errors.push(duplicate(`spec.podCIDRs[${i}]`, cidr))
  return errors
}

function validateUpdate({ spec, status }: Node, old: Node): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { type, address }] of (status.addresses ?? []).entries()) {
    const first = status.addresses!.findIndex((other) => other.type === type && other.address === address)
    if (first < i) errors.push(duplicate(`status.addresses[${i}]`, { Type: type, Address: address }))
  }
  const cidrs = spec.podCIDRs ?? []
  const before = old.spec.podCIDRs ?? []
  const detail = 'node updates may not change podCIDR except from "" to valid'
  if (before.length > 0 && before.length !== cidrs.length) errors.push(forbidden('spec.podCIDRs', detail))
  else for (const [i, cidr] of before.entries()) if (cidr !== cidrs[i]) errors.push(forbidden('spec.podCIDRs', detail))
  if (old.spec.providerID && old.spec.providerID !== spec.providerID) {
    errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'))
  }
  if ((spec.externalID ?? '') !== (old.spec.externalID ?? '')) errors.push(forbidden('spec.externalID', 'may not be updated'))
  return errors
}

function statusCell(node: Node): string {
  const ready = findNodeCondition(node, 'Ready')
  const status = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
  return node.spec.unschedulable ? `${status},SchedulingDisabled` : status
}

export const Node = defineKind<Node>('core/v1/nodes', {
  setDefaults,
  keepsStatusOnCreate: true,
  prepareForUpdate(node, old) {
    node.status = old.status
  },
  prepareForStatusUpdate(node, old) {
    node.spec = old.spec
  },
  validate,
  validateCreate: ({ spec }) => validatePodCidrs(spec.podCIDRs),
  validateUpdate,
  validateStatusUpdate: (node, old) => [...validate(node), ...validateUpdate(node, old)],
  hasGeneration: false,
  columns: [
    nameColumn,
    column<Node>('Status', statusCell),
    column<Node>('Roles', (node) => nodeRoles(node).join(',') || none),
    ageColumn,
    column<Node>('Version', ({ status }) => status.nodeInfo.kubeletVersion),
    column<Node>('Internal-IP', (node) => nodeAddress(node, 'InternalIP') ?? none, { priority: 1 }),
    column<Node>('External-IP', (node) => nodeAddress(node, 'ExternalIP') ?? none, { priority: 1 }),
    column<Node>('OS-Image', ({ status }) => status.nodeInfo.osImage || unknown, { priority: 1 }),
    column<Node>('Kernel-Version', ({ status }) => status.nodeInfo.kernelVersion || unknown, { priority: 1 }),
    column<Node>('Container-Runtime', ({ status }) => status.nodeInfo.containerRuntimeVersion || unknown, { priority: 1 }),
  ],
  selectableFields: { 'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false) },
})
