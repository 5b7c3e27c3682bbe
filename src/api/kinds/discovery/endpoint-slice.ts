// EndpointSlice of discovery.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as discoveryV1 from '../../generated/discovery-v1.ts'
import { parseIp } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { duplicate, immutable, invalid, invalidEach, notSupported, required, tooMany } from '../../validation/field-errors.ts'
import { validateLegacyIp } from '../../validation/ip.ts'
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelKey,
  checkLabelValue,
  checkPortNumber,
  nameIsDnsSubdomain,
} from '../../validation/names.ts'
import { ageColumn, firstOf, nameColumn, unset } from '../columns.ts'
import { protocols } from '../core/pod-containers.ts'
import { validateNonSpecialIp } from '../core/service-validation.ts'

export type EndpointSlice = discoveryV1.EndpointSlice

const addressTypes = ['FQDN', 'IPv4', 'IPv6']
const endpointsMax = 1000
const addressesMax = 100
const portsMax = 20_000
const topologyMax = 16
const hintsMax = 8

function setDefaults(slice: EndpointSlice): void {
  slice.endpoints ??= []
  for (const endpoint of slice.endpoints) endpoint.conditions ??= {}
  for (const port of slice.ports ?? []) {
    port.name ??= ''
    port.protocol ||= 'TCP'
  }
}

function validate(slice: EndpointSlice): FieldError[] {
  const { addressType, endpoints = [], ports = [] } = slice
  const errors: FieldError[] = []
  if (!addressType) errors.push(required('addressType'))
  else if (!addressTypes.includes(addressType)) errors.push(notSupported('addressType', addressType, addressTypes))
  if (endpoints.length > endpointsMax) return [...errors, tooMany('endpoints', endpoints.length, endpointsMax)]
  for (const [i, endpoint] of endpoints.entries()) errors.push(...validateEndpoint(endpoint, addressType, `endpoints[${i}]`))
  if (ports.length > portsMax) return [...errors, tooMany('ports', ports.length, portsMax)]
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) errors.push(...validatePort(port, names, `ports[${i}]`))
  return errors
}

function validateEndpoint(endpoint: discoveryV1.Endpoint, addressType: string, path: string): FieldError[] {
  const { addresses = [], deprecatedTopology = {}, nodeName, hostname, hints } = endpoint
  const errors: FieldError[] = []
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'))
  else if (addresses.length > addressesMax) errors.push(tooMany(`${path}.addresses`, addresses.length, addressesMax))
  for (const [i, address] of addresses.entries()) errors.push(...validateAddress(address, addressType, `${path}.addresses[${i}]`))
  const topology = Object.entries(deprecatedTopology)
  if (topology.length > topologyMax) errors.push(tooMany(`${path}.deprecatedTopology`, topology.length, topologyMax))
  for (const [key, value] of topology) {
    errors.push(...invalidEach(`${path}.deprecatedTopology`, key, checkLabelKey(key)))
    errors.push(...invalidEach(`${path}.deprecatedTopology[${key}]`, value, checkLabelValue(value)))
  }
  if (nodeName !== undefined) errors.push(...invalidEach(`${path}.nodeName`, nodeName, nameIsDnsSubdomain(nodeName, false)))
  if (hostname !== undefined) errors.push(...invalidEach(`${path}.hostname`, hostname, checkDns1123Label(hostname)))
  if (hints?.forZones !== undefined) errors.push(...validateHints(hints.forZones, `${path}.hints.forZones`))
  if (hints?.forNodes !== undefined) errors.push(...validateHints(hints.forNodes, `${path}.hints.forNodes`))
  return errors
}

function validateAddress(address: string, addressType: string, path: string): FieldError[] {
  if (addressType === 'FQDN') {
    const name = address.replace(/\.$/, '')
    const messages = checkDns1123Subdomain(name)
    if (messages.length > 0) return [invalid(path, name, messages.join(','))]
    return name.includes('.') ? [] : [invalid(path, name, 'should be a domain with at least two segments separated by dots')]
  }
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return []
  const errors = validateLegacyIp(path, address)
  if (errors.length > 0) return errors
  const family = addressType === 'IPv4' ? 4 : 6
  if (parseIp(address)?.family !== family) return [invalid(path, address, `must be an ${addressType} address`)]
  return validateNonSpecialIp(address, path)
}

function validateHints(hints: readonly { name: string }[], path: string): FieldError[] {
  if (hints.length > hintsMax) return [tooMany(path, hints.length, hintsMax)]
  const errors: FieldError[] = []
  for (const [i, { name = '' }] of hints.entries()) {
    if (hints.findIndex((hint) => hint.name === name) < i) errors.push(duplicate(`${path}[${i}].name`, name))
    errors.push(...invalidEach(`${path}[${i}].name`, name, checkLabelValue(name)))
  }
  return errors
}

function validatePort(port: discoveryV1.EndpointPort, names: Set<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  const name = port.name ?? ''
  if (names.has(name)) errors.push(duplicate(`${path}.name`, name))
  names.add(name)
  if (name !== '') errors.push(...invalidEach(`${path}.name`, name, checkDns1123Label(name)))
  if (!port.protocol) errors.push(required(`${path}.protocol`))
  else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${path}.protocol`, port.protocol, protocols))
  if (port.port !== undefined) errors.push(...invalidEach(`${path}.port`, port.port, checkPortNumber(port.port)))
  if (port.appProtocol !== undefined) errors.push(...invalidEach(`${path}.appProtocol`, port.appProtocol, checkLabelKey(port.appProtocol)))
  return errors
}

const shownMax = 3

export const EndpointSlice = defineKind<EndpointSlice>('discovery.k8s.io/v1/endpointslices', {
  setDefaults,
  validate,
  validateUpdate: (slice, old) => immutable('addressType', slice.addressType, old.addressType),
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
