// Endpoints of the core group: the older form of EndpointSlice.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { validateLegacyIp, warningsForIp } from '../../validation/ip.ts'
import { checkDns1123Label, checkLabelKey, checkPortNumber, nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'
import { protocols } from './pod-containers.ts'
import { validateNonSpecialIp } from './service-validation.ts'

export type Endpoints = coreV1.Endpoints

function validate({ subsets }: Endpoints): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, subset] of (subsets ?? []).entries()) {
    const path = `subsets[${i}]`
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'))
    }
    for (const [j, address] of addresses.entries()) errors.push(...validateAddress(address, `${path}.addresses[${j}]`))
    for (const [j, address] of notReadyAddresses.entries()) errors.push(...validateAddress(address, `${path}.notReadyAddresses[${j}]`))
    for (const [j, port] of ports.entries()) errors.push(...validatePort(port, ports.length > 1, `${path}.ports[${j}]`))
  }
  return errors
}

function validateAddress({ ip = '', hostname, nodeName }: coreV1.EndpointAddress, path: string): FieldError[] {
  const errors = validateLegacyIp(`${path}.ip`, ip)
  if (hostname) errors.push(...invalidEach(`${path}.hostname`, hostname, checkDns1123Label(hostname)))
  if (nodeName !== undefined) errors.push(...invalidEach(`${path}.nodeName`, nodeName, nameIsDnsSubdomain(nodeName, false)))
  return [...errors, ...validateNonSpecialIp(ip, `${path}.ip`)]
}

function validatePort(port: coreV1.EndpointPort, nameRequired: boolean, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (port.name) errors.push(...invalidEach(`${path}.name`, port.name, checkDns1123Label(port.name)))
  else if (nameRequired) errors.push(required(`${path}.name`))
  errors.push(...invalidEach(`${path}.port`, port.port ?? 0, checkPortNumber(port.port ?? 0)))
  if (!port.protocol) errors.push(required(`${path}.protocol`))
  else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${path}.protocol`, port.protocol, protocols))
  if (port.appProtocol !== undefined) errors.push(...invalidEach(`${path}.appProtocol`, port.appProtocol, checkLabelKey(port.appProtocol)))
  return errors
}

const shownMax = 3

function endpointsCell({ subsets = [] }: Endpoints): string {
  if (subsets.length === 0) return none
  const all = subsets.flatMap(({ addresses = [], ports = [] }) => {
    if (ports.length === 0) return addresses.map(({ ip }) => ip)
    return ports.flatMap(({ port }) => addresses.map(({ ip }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)))
  })
  const shown = all.slice(0, shownMax).join(',')
  return all.length > shownMax ? `${shown} + ${all.length - shownMax} more...` : shown
}

// Nobody reads what the controller is warned of.
function warnings({ metadata, subsets = [] }: Endpoints): string[] {
  if (metadata.labels?.['endpoints.kubernetes.io/managed-by'] === 'endpoint-controller') return []
  const found: string[] = []
  for (const [i, subset] of subsets.entries()) {
    for (const field of ['addresses', 'notReadyAddresses'] as const) {
      for (const [j, { ip }] of (subset[field] ?? []).entries()) found.push(...warningsForIp(`subsets[${i}].${field}[${j}].ip`, ip ?? ''))
    }
  }
  return found
}

export const Endpoints = defineKind<Endpoints>('core/v1/endpoints', {
  setDefaults({ subsets }) {
    for (const { ports } of subsets ?? []) for (const port of ports ?? []) port.protocol ||= 'TCP'
  },
  validateCreate: validate,
  // What was let in once, by an older server, may stay as it is.
  validateUpdate: (endpoints, old) => (semanticEqual(endpoints.subsets, old.subsets) ? [] : validate(endpoints)),
  allowCreateOnUpdate: true,
  warnings,
  columns: [nameColumn, column<Endpoints>('Endpoints', endpointsCell), ageColumn],
})
