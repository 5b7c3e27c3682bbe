// Node of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { findNodeCondition, nodeAddress, nodeRoles } from '../../nodes.ts'
import { duplicate, forbidden, invalid, required } from '../../validation/field-errors.ts'
import { validateLegacyCidr, warningsForCidr } from '../../validation/ip.ts'
import { checkLabelValue } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { byteLength, goQuote } from '../../validation/text.ts'
import { ageColumn, nameColumn, none, unknown } from '../columns.ts'
import { validateNodeAnnotations } from './node-annotations.ts'
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

function validateResources({ status }: Node): FieldError[] {
  const errors = validateAmounts(status.capacity, (name) => `status.capacity.${name}`)
  return [...errors, ...validateAmounts(status.allocatable, (name) => `status.allocatable.${name}`)]
}

const featureBytesMax = 253
const featureWords =
  "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"

// KEP-5328: features that a node says it has, sorted.
function validateFeatures({ status }: Node): FieldError[] {
  const errors: FieldError[] = []
  const features = status.declaredFeatures ?? []
  for (const [i, name] of features.entries()) {
    const path = `status.declaredFeatures[${i}]`
    if (byteLength(name) > featureBytesMax) {
      errors.push(invalid(path, name, `invalid feature name ${goQuote(name)}: must be no more than ${featureBytesMax} characters`))
    } else if (!/^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/.test(name)) {
      errors.push(invalid(path, name, `invalid feature name ${goQuote(name)}: ${featureWords}`))
    }
    const next = features[i + 1]
    const nextPath = `status.declaredFeatures[${i + 1}]`
    if (next === name) errors.push(duplicate(nextPath, next))
    else if (next !== undefined && name > next) errors.push(invalid(nextPath, next, 'list must be sorted alphabetically'))
  }
  return errors
}

function validate(node: Node): FieldError[] {
  const { metadata, spec, status } = node
  const errors = validateNodeAnnotations(metadata.annotations, validateTaints)
  errors.push(...validateTaints(spec.taints, 'metadata.taints'))
  errors.push(...validateResources(node))
  const swap = status.nodeInfo.swap?.capacity
  if (swap !== undefined && swap <= 0) errors.push(invalid('metadata.nodeSwapStatus.capacity', swap, 'must be greater than zero'))
  errors.push(...validateFeatures(node))
  const cidrs = spec.podCIDRs ?? []
  for (const [i, cidr] of cidrs.entries()) errors.push(...validateLegacyCidr(`spec.podCIDRs[${i}]`, cidr))
  if (cidrs.length > 2 || (cidrs.length === 2 && new Set(cidrs.map((cidr) => cidr.includes(':'))).size < 2)) {
    errors.push(invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'))
  }
  return errors
}

function validateUpdate(node: Node, old: Node): FieldError[] {
  const { metadata, spec, status } = node
  const errors = validateNodeAnnotations(metadata.annotations, validateTaints)
  errors.push(...validateResources(node), ...validateFeatures(node))
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
  errors.push(...validateTaints(spec.taints, 'metadata.taints'))
  if ((spec.externalID ?? '') !== (old.spec.externalID ?? '')) errors.push(forbidden('spec.externalID', 'may not be updated'))
  return errors
}

function warnings({ spec }: Node): string[] {
  const found: string[] = []
  if (spec.externalID) found.push('spec.externalID: this field is deprecated, and is unused by Kubernetes')
  for (const [i, cidr] of (spec.podCIDRs ?? []).entries()) found.push(...warningsForCidr(`spec.podCIDRs[${i}]`, cidr))
  return found
}

function statusCell(node: Node): string {
  const ready = findNodeCondition(node, 'Ready')
  const status = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
  return node.spec.unschedulable ? `${status},SchedulingDisabled` : status
}

function kernelCell({ status }: Node): string {
  const { kernelVersion, architecture } = status.nodeInfo
  return `${kernelVersion || unknown}${architecture ? ` (${architecture})` : ''}`
}

export const Node = defineKind<Node>('core/v1/nodes', {
  setDefaults,
  keepsStatusOnCreate: true,
  // The kubelet's configuration from a ConfigMap is a feature of the past.
  prepareForCreate({ spec, status }) {
    delete spec.configSource
    delete status.config
  },
  prepareForUpdate(node, old) {
    node.status = old.status
    delete node.spec.configSource
  },
  prepareForStatusUpdate(node, old) {
    node.spec = old.spec
    delete node.status.config
  },
  validate,
  validateUpdate,
  validateStatusUpdate: validateUpdate,
  warnings,
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
    column<Node>('Kernel-Version', kernelCell, { priority: 1 }),
    column<Node>('Container-Runtime', ({ status }) => status.nodeInfo.containerRuntimeVersion || unknown, { priority: 1 }),
  ],
  selectableFields: { 'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false) },
})
