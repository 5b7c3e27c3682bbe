// Volume types that pods and PersistentVolumes share, most of them from before CSI. One small check each.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { forbidden, invalid, invalidEach, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { checkDns1123Label, checkDns1123Subdomain, nameIsDnsLabel, rangeError } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { noBacksteps } from './paths.ts'

type Check<S> = (source: S, path: string) => FieldError[]

function requireFields<S extends object>(...fields: (keyof S & string)[]): Check<S> {
  return (source, path) => fields.filter((field) => !source[field]).map((field) => required(`${path}.${field}`))
}

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']

const hostPath: Check<coreV1.HostPathVolumeSource> = (source, path) => {
  if (!source.path) return [required(`${path}.path`)]
  const errors = noBacksteps(source.path, `${path}.path`)
  if (source.type !== undefined && !hostPathTypes.includes(source.type))
    errors.push(notSupported(`${path}.type`, source.type, hostPathTypes))
  return errors
}

const nfs: Check<coreV1.NFSVolumeSource> = (source, path) => {
  const errors = requireFields<coreV1.NFSVolumeSource>('server', 'path')(source, path)
  if (!source.path?.startsWith('/')) errors.push(invalid(`${path}.path`, source.path ?? '', 'must be an absolute path'))
  return errors
}

const iscsiNames: Readonly<Record<string, RegExp>> = {
  iqn: /iqn\.\d{4}-\d{2}\.([A-Za-z0-9-.]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[A-Za-z0-9]{16}$/,
  naa: /^naa.[A-Za-z0-9]{32}$/,
}

function checkIscsiName(name: string, path: string, start: string): FieldError[] {
  const pattern = iscsiNames[name.slice(0, 3)]
  if (pattern === undefined) return [invalid(path, name, start)]
  return pattern.test(name) ? [] : [invalid(path, name, 'must be valid format')]
}

/** `volumeName` counts with the portal toward a limit when the initiator is named. */
export function validateIscsi(
  source: coreV1.ISCSIVolumeSource | coreV1.ISCSIPersistentVolumeSource,
  path: string,
  persistent: boolean,
): FieldError[] {
  const start = persistent ? 'must be valid format' : 'must be valid format starting with iqn, eui, or naa'
  const errors = requireFields<coreV1.ISCSIVolumeSource>('targetPortal')(source, path)
  if (!source.iqn) errors.push(required(`${path}.iqn`))
  else errors.push(...checkIscsiName(source.iqn, `${path}.iqn`, start))
  const lun = source.lun ?? 0
  if (lun < 0 || lun > 255) errors.push(invalid(`${path}.lun`, lun, rangeError(0, 255)))
  if ((source.chapAuthDiscovery || source.chapAuthSession) && source.secretRef === undefined) errors.push(required(`${path}.secretRef`))
  if (persistent && source.secretRef !== undefined && !source.secretRef.name) errors.push(required(`${path}.secretRef.name`))
  if (source.initiatorName !== undefined) errors.push(...checkIscsiName(source.initiatorName, `${path}.initiatorname`, start))
  return errors
}

const fc: Check<coreV1.FCVolumeSource> = (source, path) => {
  const errors: FieldError[] = []
  const names = source.targetWWNs ?? []
  const ids = source.wwids ?? []
  if (names.length === 0 && ids.length === 0) {
    errors.push(required(`${path}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'))
  }
  if (names.length > 0 && ids.length > 0) {
    errors.push(invalid(`${path}.targetWWNs`, names, 'targetWWNs and wwids can not be specified simultaneously'))
  }
  if (names.length === 0) return errors
  if (source.lun === undefined) errors.push(required(`${path}.lun`, 'lun is required if targetWWNs is specified'))
  else if (source.lun < 0 || source.lun > 255) errors.push(invalid(`${path}.lun`, source.lun, rangeError(0, 255)))
  return errors
}

function disk<S extends { partition?: number }>(idField: keyof S & string): Check<S> {
  return (source, path) => {
    const errors = requireFields<S>(idField)(source, path)
    const partition = source.partition ?? 0
    if (partition < 0 || partition > 255) errors.push(invalid(`${path}.partition`, partition, rangeError(1, 255)))
    return errors
  }
}

const quobytePairs = 'must be a host:port pair or multiple pairs separated by commas'

const quobyte: Check<coreV1.QuobyteVolumeSource> = (source, path) => {
  const errors: FieldError[] = []
  if (!source.registry) errors.push(required(`${path}.registry`, quobytePairs))
  else if (byteLength(source.tenant ?? '') >= 65) {
    errors.push(required(`${path}.tenant`, 'must be a UUID and may not exceed a length of 64 characters'))
  } else {
    for (const pair of source.registry.split(',')) {
      if (!/^(\[[^\]]*\]|[^:]*):[^:]*$/.test(pair)) errors.push(invalid(`${path}.registry`, source.registry, quobytePairs))
    }
  }
  return [...errors, ...requireFields<coreV1.QuobyteVolumeSource>('volume')(source, path)]
}

const flocker: Check<coreV1.FlockerVolumeSource> = (source, path) => {
  const errors: FieldError[] = []
  if (!source.datasetName && !source.datasetUUID) errors.push(required(path, 'one of datasetName and datasetUUID is required'))
  if (source.datasetName && source.datasetUUID) {
    errors.push(invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'))
  }
  if (source.datasetName?.includes('/')) errors.push(invalid(`${path}.datasetName`, source.datasetName, "must not contain '/'"))
  return errors
}

const monitors: Check<{ monitors: string[] }> = (source, path) =>
  (source.monitors ?? []).length === 0 ? [required(`${path}.monitors`)] : []

const rbd: Check<{ monitors: string[]; image: string }> = (source, path) => [
  ...monitors(source, path),
  ...requireFields<{ image: string }>('image')(source, path),
]

const flexVolume: Check<{ driver: string; options?: Record<string, string> }> = (source, path) => {
  const errors = requireFields<{ driver: string }>('driver')(source, path)
  for (const key of Object.keys(source.options ?? {})) {
    const namespace = `.${(key.includes('/') ? key.slice(0, key.indexOf('/')) : key).toLowerCase()}`
    if (namespace.endsWith('.kubernetes.io') || namespace.endsWith('.k8s.io')) {
      errors.push(invalid(`${path}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved'))
    }
  }
  return errors
}

const azureDisk: Check<coreV1.AzureDiskVolumeSource> = (source, path) => {
  const caching = ['None', 'ReadOnly', 'ReadWrite']
  const kinds = ['Dedicated', 'Managed', 'Shared']
  const managedUri = '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}'
  const blobUri = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd'
  const errors = requireFields<coreV1.AzureDiskVolumeSource>('diskName', 'diskURI')(source, path)
  const { cachingMode, kind, diskURI = '' } = source
  if (cachingMode !== undefined && !caching.includes(cachingMode)) errors.push(notSupported(`${path}.cachingMode`, cachingMode, caching))
  if (kind !== undefined && !kinds.includes(kind)) errors.push(notSupported(`${path}.kind`, kind, kinds))
  if (kind === 'Managed' && !diskURI.startsWith('/subscriptions/')) errors.push(notSupported(`${path}.diskURI`, diskURI, [managedUri]))
  if (kind !== undefined && kind !== 'Managed' && !diskURI.startsWith('https://')) {
    errors.push(notSupported(`${path}.diskURI`, diskURI, [blobUri]))
  }
  return errors
}

function secretName(ref: coreV1.SecretReference | coreV1.ObjectReference | undefined, path: string, persistent: boolean): FieldError[] {
  if (ref === undefined) return []
  const errors = ref.name ? [] : [required(`${path}.secretRef.name`)]
  if (persistent && !ref.namespace) errors.push(required(`${path}.secretRef.namespace`))
  return errors
}

function storageos(
  source: coreV1.StorageOSVolumeSource | coreV1.StorageOSPersistentVolumeSource,
  path: string,
  persistent: boolean,
): FieldError[] {
  const errors: FieldError[] = []
  if (!source.volumeName) errors.push(required(`${path}.volumeName`))
  else errors.push(...invalidEach(`${path}.volumeName`, source.volumeName, checkDns1123Label(source.volumeName)))
  if (source.volumeNamespace) {
    errors.push(...invalidEach(`${path}.volumeNamespace`, source.volumeNamespace, checkDns1123Label(source.volumeNamespace)))
  }
  return [...errors, ...secretName(source.secretRef, path, persistent)]
}

/** A CSI driver's name: a DNS subdomain of at most 63 characters. */
export function validateCsiDriverName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)]
  const errors = byteLength(name) > 63 ? [tooLong(path, 63)] : []
  return [...errors, ...invalidEach(path, name, checkDns1123Subdomain(name.toLowerCase()))]
}

const local: Check<coreV1.LocalVolumeSource> = (source, path) =>
  source.path ? noBacksteps(source.path, `${path}.path`) : [required(`${path}.path`)]

const glusterfs = requireFields<coreV1.GlusterfsVolumeSource>('endpoints', 'path')

const glusterfsPersistent: Check<coreV1.GlusterfsPersistentVolumeSource> = (source, path) => {
  const errors = glusterfs(source, path)
  const at = `${path}.endpointsNamespace`
  if (source.endpointsNamespace === '') {
    errors.push(invalid(at, '', 'if the endpointnamespace is set, it must be a valid namespace name'))
  } else if (source.endpointsNamespace !== undefined) {
    errors.push(...invalidEach(at, source.endpointsNamespace, nameIsDnsLabel(source.endpointsNamespace, false)))
  }
  return errors
}

const azureFilePersistent: Check<coreV1.AzureFilePersistentVolumeSource> = (source, path) => {
  const errors = requireFields<coreV1.AzureFilePersistentVolumeSource>('secretName', 'shareName')(source, path)
  if (source.secretNamespace === '') errors.push(required(`${path}.secretNamespace`))
  return errors
}

function csiSecret(ref: coreV1.SecretReference | undefined, path: string): FieldError[] {
  if (ref === undefined) return []
  const errors: FieldError[] = []
  if (!ref.name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, ref.name, checkDns1123Subdomain(ref.name)))
  if (!ref.namespace) errors.push(required(`${path}.namespace`))
  else errors.push(...invalidEach(`${path}.namespace`, ref.namespace, checkDns1123Label(ref.namespace)))
  return errors
}

const csiPersistent: Check<coreV1.CSIPersistentVolumeSource> = (source, path) => [
  ...validateCsiDriverName(source.driver, `${path}.driver`),
  ...requireFields<coreV1.CSIPersistentVolumeSource>('volumeHandle')(source, path),
  ...csiSecret(source.controllerPublishSecretRef, `${path}.controllerPublishSecretRef`),
  ...csiSecret(source.controllerExpandSecretRef, `${path}.controllerExpandSecretRef`),
  ...csiSecret(source.nodePublishSecretRef, `${path}.nodePublishSecretRef`),
  ...csiSecret(source.nodeExpandSecretRef, `${path}.nodeExpandSecretRef`),
]

const scaleIO = requireFields<coreV1.ScaleIOVolumeSource>('gateway', 'system', 'volumeName')

export interface SourceCheck {
  readonly field: string
  /** Where Kubernetes reports errors inside, when not the field's own name. */
  readonly inside?: string
  /** And the complaint that there is another source already. */
  readonly second?: string
  /** A method, so that each entry's check may ask for the type of its own field. */
  check(source: object, path: string): FieldError[]
}

/** In the order in which Kubernetes looks at a PersistentVolume's source. */
export const persistentSources: readonly SourceCheck[] = [
  { field: 'hostPath', check: hostPath },
  { field: 'gcePersistentDisk', inside: 'persistentDisk', check: disk<coreV1.GCEPersistentDiskVolumeSource>('pdName') },
  { field: 'awsElasticBlockStore', check: disk<coreV1.AWSElasticBlockStoreVolumeSource>('volumeID') },
  { field: 'glusterfs', check: glusterfsPersistent },
  { field: 'flocker', check: flocker },
  { field: 'nfs', check: nfs },
  { field: 'rbd', check: rbd },
  { field: 'quobyte', check: quobyte },
  { field: 'cephfs', second: 'cephFS', check: monitors },
  { field: 'iscsi', check: (source: coreV1.ISCSIPersistentVolumeSource, path) => validateIscsi(source, path, true) },
  {
    field: 'cinder',
    check: (source: coreV1.CinderPersistentVolumeSource, path) => [
      ...requireFields<coreV1.CinderPersistentVolumeSource>('volumeID')(source, path),
      ...secretName(source.secretRef, path, true),
    ],
  },
  { field: 'fc', check: fc },
  { field: 'flexVolume', check: flexVolume },
  { field: 'azureFile', check: azureFilePersistent },
  { field: 'vsphereVolume', check: requireFields<coreV1.VsphereVirtualDiskVolumeSource>('volumePath') },
  { field: 'photonPersistentDisk', check: requireFields<coreV1.PhotonPersistentDiskVolumeSource>('pdID') },
  { field: 'portworxVolume', check: requireFields<coreV1.PortworxVolumeSource>('volumeID') },
  { field: 'azureDisk', check: azureDisk },
  { field: 'scaleIO', check: scaleIO },
  { field: 'local', check: local },
  { field: 'storageos', check: (source: coreV1.StorageOSPersistentVolumeSource, path) => storageos(source, path, true) },
  { field: 'csi', check: csiPersistent },
]

/** Pod volumes whose checks need nothing but the source itself. */
export const podSources = {
  hostPath,
  gcePersistentDisk: disk<coreV1.GCEPersistentDiskVolumeSource>('pdName'),
  awsElasticBlockStore: disk<coreV1.AWSElasticBlockStoreVolumeSource>('volumeID'),
  nfs,
  glusterfs,
  flocker,
  persistentVolumeClaim: requireFields<coreV1.PersistentVolumeClaimVolumeSource>('claimName'),
  rbd,
  cinder: (source: coreV1.CinderVolumeSource, path: string) => [
    ...requireFields<coreV1.CinderVolumeSource>('volumeID')(source, path),
    ...secretName(source.secretRef, path, false),
  ],
  cephfs: monitors,
  quobyte,
  fc,
  flexVolume,
  azureFile: requireFields<coreV1.AzureFileVolumeSource>('secretName', 'shareName'),
  vsphereVolume: requireFields<coreV1.VsphereVirtualDiskVolumeSource>('volumePath'),
  photonPersistentDisk: requireFields<coreV1.PhotonPersistentDiskVolumeSource>('pdID'),
  portworxVolume: requireFields<coreV1.PortworxVolumeSource>('volumeID'),
  azureDisk,
  storageos: (source: coreV1.StorageOSVolumeSource, path: string) => storageos(source, path, false),
  scaleIO,
} as const

/** Checks each source that is set; a second one is forbidden. Returns how many there are. */
export function validateSources(source: object, path: string, checks: readonly SourceCheck[]): { count: number; errors: FieldError[] } {
  const errors: FieldError[] = []
  let count = 0
  for (const { field, inside, second, check } of checks) {
    const value = (source as Record<string, unknown>)[field]
    if (value === undefined || value === null) continue
    count++
    if (count > 1) errors.push(forbidden(`${path}.${second ?? field}`, 'may not specify more than 1 volume type'))
    else errors.push(...check(value as object, `${path}.${inside ?? field}`))
  }
  return { count, errors }
}
