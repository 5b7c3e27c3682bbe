// EndpointSlice of discovery.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as discoveryV1 from '../../generated/discovery-v1.ts'
import { parseIp } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import {
  duplicate,
  immutable,
  invalid,
  invalidEach,
  notSupported,
  required,
  semanticEqual,
  tooMany,
} from '../../validation/field-errors.ts'
import { validateIp, validateLegacyIp, warningsForIp } from '../../validation/ip.ts'
import { checkDns1123Label, checkDns1123Subdomain, checkLabelKey, checkLabelValue, nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, firstOf, nameColumn, unset } from '../columns.ts'
import { validateNonSpecialIp } from '../core/service-validation.ts'

export type EndpointSlice = discoveryV1.EndpointSlice

const addressTypes = ['FQDN', 'IPv4', 'IPv6']
const endpointsMax = 1000
const addressesMax = 100
const portsMax = 20_000
const topologyMax = 16
const hintsMax = 8
const protocols = ['SCTP', 'TCP', 'UDP']
const hostnameLabel = 'kubernetes.io/hostname'
/** Controllers whose addresses nobody can mend. */
const ownManagers = ['endpointslice-controller.k8s.io', 'endpointslicemirroring-controller.k8s.io']

function setDefaults(slice: EndpointSlice): void {
  slice.endpoints ??= []
  for (const endpoint of slice.endpoints) endpoint.conditions ??= {}
  for (const port of slice.ports ?? []) {
    port.name ??= ''
    port.protocol ||= 'TCP'
  }
}

function validate(slice: EndpointSlice): FieldError[] {
  const { addressType, ports = [] } = slice
  const errors: FieldError[] = []
  if (!addressType) errors.push(required('addressType'))
  else if (!addressTypes.includes(addressType)) errors.push(notSupported('addressType', addressType, addressTypes))
  if (ports.length > portsMax) errors.push(tooMany('ports', ports.length, portsMax))
  else {
    const names = new Set<string>()
    for (const [i, port] of ports.entries()) errors.push(...validatePort(port, names, `ports[${i}]`))
  }
  return [...errors, ...validateEndpoints(slice)]
}

function validateEndpoints({ addressType, endpoints = [] }: EndpointSlice): FieldError[] {
  if (endpoints.length > endpointsMax) return [tooMany('endpoints', endpoints.length, endpointsMax)]
  const errors: FieldError[] = []
  for (const [i, endpoint] of endpoints.entries()) errors.push(...validateEndpoint(endpoint, addressType, `endpoints[${i}]`))
  return errors
}

function validateEndpoint(endpoint: discoveryV1.Endpoint, addressType: string, path: string): FieldError[] {
  const { addresses = [], deprecatedTopology = {}, nodeName, hostname, hints } = endpoint
  const errors: FieldError[] = []
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'))
  else if (addresses.length > addressesMax) errors.push(tooMany(`${path}.addresses`, addresses.length, addressesMax))
  for (const [i, address] of addresses.entries()) errors.push(...validateAddress(address, addressType, `${path}.addresses`, i))
  if (nodeName !== undefined) errors.push(...invalidEach(`${path}.nodeName`, nodeName, nameIsDnsSubdomain(nodeName, false)))
  const topology = Object.entries(deprecatedTopology)
  if (topology.length > topologyMax) errors.push(tooMany(`${path}.deprecatedTopology`, topology.length, topologyMax))
  for (const [key, value] of topology) {
    errors.push(...invalidEach(`${path}.deprecatedTopology`, key, checkLabelKey(key)))
    errors.push(...invalidEach(`${path}.deprecatedTopology[${key}]`, value, checkLabelValue(value)))
  }
  if (hostname !== undefined) errors.push(...invalidEach(`${path}.hostname`, hostname, checkDns1123Label(hostname)))
  return hints === undefined ? errors : [...errors, ...validateHints(hints, `${path}.hints`)]
}

function validateAddress(address: string, addressType: string, list: string, index: number): FieldError[] {
  const path = `${list}[${index}]`
  if (addressType === 'FQDN') return validateDomain(address, path)
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return []
  const errors = addressType === 'IPv4' ? validateLegacyIp(path, address) : validateIp(path, address)
  if (errors.length > 0) return errors
  const family = addressType === 'IPv4' ? 4 : 6
  // Compat: a wrong family is told of the list.
  if (parseIp(address)?.family !== family) errors.push(invalid(list, address, `must be an ${addressType} address`))
  return [...errors, ...validateNonSpecialIp(address, path)]
}

function validateDomain(address: string, path: string): FieldError[] {
  if (address === '') return [required(path)]
  const name = address.replace(/\.$/, '')
  const messages = checkDns1123Subdomain(name)
  if (messages.length > 0) return [invalid(path, name, messages.join(','))]
  const labels = name.split('.')
  if (labels.length < 2) return [invalid(path, name, 'should be a domain with at least two segments separated by dots')]
  for (const label of labels) {
    const problems = checkDns1123Label(label)
    if (problems.length > 0) return [invalid(path, label, problems.join(','))]
  }
  return []
}

function validateHints({ forZones = [], forNodes = [] }: discoveryV1.EndpointHints, path: string): FieldError[] {
  if (forZones.length > hintsMax) return [tooMany(`${path}.forZones`, forZones.length, hintsMax)]
  const errors = validateHintNames(forZones, checkLabelValue, `${path}.forZones`)
  if (forNodes.length > hintsMax) return [...errors, tooMany(`${path}.forNodes`, forNodes.length, hintsMax)]
  return [...errors, ...validateHintNames(forNodes, (name) => nameIsDnsSubdomain(name, false), `${path}.forNodes`)]
}

function validateHintNames(hints: readonly { name: string }[], check: (name: string) => string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { name = '' }] of hints.entries()) {
    if (hints.findIndex((hint) => hint.name === name) < i) errors.push(duplicate(`${path}[${i}].name`, name))
    errors.push(...invalidEach(`${path}[${i}].name`, name, check(name)))
  }
  return errors
}

function validatePort(port: discoveryV1.EndpointPort, names: Set<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  const name = port.name ?? ''
  if (name !== '') errors.push(...invalidEach(`${path}.name`, name, checkDns1123Label(name)))
  if (names.has(name)) errors.push(duplicate(`${path}.name`, name))
  names.add(name)
  if (!port.protocol) errors.push(required(`${path}.protocol`))
  else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${path}.protocol`, port.protocol, protocols))
  if (port.appProtocol !== undefined) errors.push(...invalidEach(`${path}.appProtocol`, port.appProtocol, checkLabelKey(port.appProtocol)))
  return errors
}

// Where an endpoint is has fields of its own in this version; what older ones call topology is not taken.
function dropTopology(slice: EndpointSlice, old?: EndpointSlice): void {
  if (old !== undefined && semanticEqual(slice.endpoints, old.endpoints)) return
  const nodes = new Set((old?.endpoints ?? []).map(({ deprecatedTopology }) => deprecatedTopology?.[hostnameLabel]))
  for (const endpoint of slice.endpoints ?? []) {
    const node = endpoint.deprecatedTopology?.[hostnameLabel]
    if (endpoint.nodeName === undefined && node && nodes.has(node) && nameIsDnsSubdomain(node, false).length === 0) endpoint.nodeName = node
    delete endpoint.deprecatedTopology
  }
}

function prepareForUpdate(slice: EndpointSlice, old: EndpointSlice): void {
  // Labels say which service a slice is of, so they count as what is asked for.
  if (!semanticEqual(slice.metadata.labels, old.metadata.labels)) slice.metadata.generation = (old.metadata.generation ?? 0) + 1
  dropTopology(slice, old)
}

function validateUpdate(slice: EndpointSlice, old: EndpointSlice): FieldError[] {
  return immutable('addressType', slice.addressType, old.addressType)
}

function warnings({ metadata, addressType, endpoints }: EndpointSlice, old: EndpointSlice | undefined): string[] {
  const found = old === undefined && addressType === 'FQDN' ? ['spec.addressType: FQDN endpoints are deprecated'] : []
  if (ownManagers.includes(metadata.labels?.['endpointslice.kubernetes.io/managed-by'] ?? '')) return found
  for (const [i, { addresses }] of (endpoints ?? []).entries()) {
    for (const [j, address] of addresses.entries()) found.push(...warningsForIp(`endpoints[${i}].addresses[${j}]`, address))
  }
  return found
}

const shownMax = 3

export const EndpointSlice = defineKind<EndpointSlice>('discovery.k8s.io/v1/endpointslices', {
  setDefaults,
  prepareForCreate: (slice) => dropTopology(slice),
  prepareForUpdate,
  validate,
  validateUpdate,
  warnings,
  hasGeneration: true,
  columns: [
    nameColumn,
    column<EndpointSlice>('AddressType', ({ addressType }) => addressType),
    column<EndpointSlice>(
      'Ports',
      ({ ports = [] }) =>
        firstOf(
          ports.map(({ port, name }) => String(port ?? name ?? '*')),
          shownMax,
        ) || unset,
    ),
    column<EndpointSlice>(
      'Endpoints',
      ({ endpoints = [] }) =>
        firstOf(
          endpoints.flatMap(({ addresses }) => addresses),
          shownMax,
        ) || unset,
    ),
    ageColumn,
  ],
})
