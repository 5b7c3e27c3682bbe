// The status of a claim: what was allocated, what drivers say of it, and who may use it.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { validateConditions } from '../../validation/conditions.ts'
import { forbidden, immutable, invalid, notSupported, required, tooLong, tooMany } from '../../validation/field-errors.ts'
import { validateInterfaceAddress } from '../../validation/ip.ts'
import { byteLength } from '../../validation/text.ts'
import { validateNodeSelector } from '../core/pod-scheduling.ts'
import { requestNames, validateConfiguration, validateRaw, validateRequestRef, validateRequestRefs } from './device-claims.ts'
import { validateList, validateSet } from './lists.ts'
import { validateBinding, validateDriverName, validateLabel, validatePoolName, validateUid } from './names.ts'

type ResourceClaim = resourceV1.ResourceClaim

const reservationsMax = 256
const resultsMax = 32
const configMax = 64
const deviceConditionsMax = 8
const dataBytesMax = 10 * 1024
const interfaceNameBytesMax = 256
const hardwareAddressBytesMax = 128
const addressesMax = 16
const sources = ['FromClaim', 'FromClass']

interface DeviceRef {
  readonly driver: string
  readonly pool: string
  readonly device: string
  readonly shareID?: string
}

// Compat: shown as Kubernetes' internal structure.
function shownDevice({ driver, pool, device, shareID = '' }: DeviceRef): object {
  return { Driver: driver, Pool: pool, Device: device, ShareID: shareID }
}

function deviceKey(device: DeviceRef): string {
  return JSON.stringify(shownDevice(device))
}

function allocatedKeys({ status }: ResourceClaim): Set<string> {
  return new Set((status.allocation?.devices.results ?? []).map(deviceKey))
}

/** What drivers said of devices that are no longer the claim's goes with them. */
export function dropDeallocatedDevices(claim: ResourceClaim, old: ResourceClaim): void {
  const gone = allocatedKeys(old)
  for (const key of allocatedKeys(claim)) gone.delete(key)
  const devices = (claim.status.devices ?? []).filter((device) => !gone.has(deviceKey(device)))
  if (devices.length > 0) claim.status.devices = devices
  else delete claim.status.devices
}

export function validateClaimStatus(claim: ResourceClaim, old: ResourceClaim): FieldError[] {
  const { reservedFor, devices, allocation } = claim.status
  const allocated = allocatedKeys(claim)
  const errors = validateSet(reservedFor, reservationsMax, validateUser, ({ uid }) => uid, 'status.reservedFor')
  const checkDevice = (device: resourceV1.AllocatedDeviceStatus, path: string): FieldError[] => validateDevice(device, allocated, path)
  errors.push(...validateSet(devices, Number.POSITIVE_INFINITY, checkDevice, deviceKey, 'status.devices', shownDevice))
  errors.push(...validateReservations(claim, old))
  if (allocation === undefined) return errors
  const before = old.status.allocation
  if (before !== undefined) return [...errors, ...immutable('status.allocation', allocation, before)]
  return [...errors, ...validateAllocation(allocation, requestNames(claim.spec.devices.requests ?? []), 'status.allocation')]
}

function validateReservations({ metadata, status }: ResourceClaim, old: ResourceClaim): FieldError[] {
  const path = 'status.reservedFor'
  const reserved = status.reservedFor ?? []
  if (reserved.length === 0) return []
  if (status.allocation === undefined) return [forbidden(path, 'may not be specified when `allocated` is not set')]
  const before = new Set((old.status.reservedFor ?? []).map((user) => JSON.stringify(user)))
  if (metadata.deletionTimestamp === undefined || reserved.every((user) => before.has(JSON.stringify(user)))) return []
  return [forbidden(path, 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set')]
}

function validateUser(user: resourceV1.ResourceClaimConsumerReference, path: string): FieldError[] {
  return (['resource', 'name', 'uid'] as const).flatMap((field) => (user[field] ? [] : [required(`${path}.${field}`)]))
}

function validateDeviceRef({ driver, pool, device }: DeviceRef, path: string): FieldError[] {
  return [
    ...validateDriverName(driver, `${path}.driver`),
    ...validatePoolName(pool, `${path}.pool`),
    ...validateLabel(device, `${path}.device`),
  ]
}

function validateDevice(device: resourceV1.AllocatedDeviceStatus, allocated: ReadonlySet<string>, path: string): FieldError[] {
  const { shareID, conditions = [], data, networkData } = device
  const errors = validateDeviceRef(device, path)
  if (shareID !== undefined) errors.push(...validateUid(shareID, `${path}.shareID`))
  if (!allocated.has(deviceKey(device))) errors.push(invalid(path, shownDevice(device), 'must be an allocated device in the claim'))
  if (conditions.length > deviceConditionsMax) errors.push(tooMany(`${path}.conditions`, conditions.length, deviceConditionsMax))
  errors.push(...validateConditions(conditions, `${path}.conditions`))
  if (data !== undefined) errors.push(...validateRaw(data, dataBytesMax, `${path}.data`))
  return networkData === undefined ? errors : [...errors, ...validateNetworkData(networkData, `${path}.networkData`)]
}

function validateNetworkData(data: resourceV1.NetworkDeviceData, path: string): FieldError[] {
  const { interfaceName = '', hardwareAddress = '', ips } = data
  const errors: FieldError[] = []
  if (byteLength(interfaceName) > interfaceNameBytesMax) errors.push(tooLong(`${path}.interfaceName`, interfaceNameBytesMax))
  if (byteLength(hardwareAddress) > hardwareAddressBytesMax) errors.push(tooLong(`${path}.hardwareAddress`, hardwareAddressBytesMax))
  const check = (address: string, at: string): FieldError[] => validateInterfaceAddress(at, address)
  return [...errors, ...validateSet(ips, addressesMax, check, (address) => address, `${path}.ips`)]
}

function validateAllocation(allocation: resourceV1.AllocationResult, names: ReadonlySet<string>, path: string): FieldError[] {
  const { devices, nodeSelector } = allocation
  const errors = validateList(
    devices.results,
    resultsMax,
    (result, at) => [
      ...validateRequestRef(result.request, names, `${at}.request`),
      ...validateDeviceRef(result, at),
      ...validateBinding(result, at),
      ...(result.shareID === undefined ? [] : validateUid(result.shareID, `${at}.shareID`)),
    ],
    `${path}.devices.results`,
  )
  errors.push(
    ...validateList(
      devices.config,
      configMax,
      (config, at) => [
        ...validateSource(config.source, `${at}.source`),
        ...validateRequestRefs(config.requests, names, `${at}.requests`),
        ...validateConfiguration(config, at),
      ],
      `${path}.devices.config`,
    ),
  )
  return nodeSelector === undefined ? errors : [...errors, ...validateNodeSelector(nodeSelector, `${path}.nodeSelector`)]
}

function validateSource(source: string, path: string): FieldError[] {
  if (source === '') return [required(path)]
  return sources.includes(source) ? [] : [notSupported(path, source, sources)]
}
