// Volumes of a pod: every type, projections, and what containers mount of them.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { isQuantity, parseQuantity, quantitySign } from '../../quantity.ts'
import { duplicate, forbidden, invalid, invalidEach, notFound, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1123Label, nameIsDnsSubdomain } from '../../validation/names.ts'
import { byteLength, goQuote } from '../../validation/text.ts'
import { validateClaimSpec, validateTemplateMeta } from './claim-spec.ts'
import { validateFieldRef, validateResourceFieldRef } from './field-refs.ts'
import { localDescending, localNonReserved, noBacksteps, validateFileMode } from './paths.ts'
import { podSources, type SourceCheck, validateCsiDriverName, validateIscsi, validateSources } from './volume-sources.ts'

export type VolumesByName = ReadonlyMap<string, coreV1.Volume>

/** What the checks must know of the pod around them. */
export interface VolumeContext {
  /** The pod's name; undefined in templates, whose pods have none yet. */
  readonly podName?: string
  /** A pod, not a template. */
  readonly isPod: boolean
  /** A static pod's mirror. */
  readonly isMirror: boolean
}

/** Checks the volumes and returns the valid ones by name, for the containers' mounts. */
export function validateVolumes(
  volumes: readonly coreV1.Volume[] | undefined,
  path: string,
  context: VolumeContext,
): { byName: VolumesByName; errors: FieldError[] } {
  const errors: FieldError[] = []
  const byName = new Map<string, coreV1.Volume>()
  const created = new Set<string>()
  for (const volume of volumes ?? [])
    if (volume.ephemeral !== undefined && context.podName) created.add(`${context.podName}-${volume.name}`)
  for (const [i, volume] of (volumes ?? []).entries()) {
    const at = `${path}[${i}]`
    const own = validateSource(volume, at, context)
    if (!volume.name) own.push(required(`${at}.name`))
    else own.push(...invalidEach(`${at}.name`, volume.name, checkDns1123Label(volume.name)))
    if (byName.has(volume.name)) own.push(duplicate(`${at}.name`, volume.name))
    if (own.length === 0) byName.set(volume.name, volume)
    errors.push(...own)
    const claim = volume.persistentVolumeClaim?.claimName
    if (claim !== undefined && created.has(claim)) {
      const detail = 'must not reference a PVC that gets created for an ephemeral volume'
      errors.push(invalid(`${at}.persistentVolumeClaim.claimName`, claim, detail))
    }
  }
  return { byName, errors }
}

function validateSource(volume: coreV1.Volume, path: string, context: VolumeContext): FieldError[] {
  const { iscsi, ephemeral, image } = volume
  // What these three are checked for depends on the volume; the list for all others is made once.
  const checks = iscsi ?? ephemeral ?? image
  if (checks === undefined) usualChecks ??= checksFor(volume, path, context)
  const { count, errors } = validateSources(volume, path, checks === undefined ? usualChecks! : checksFor(volume, path, context))
  if (count === 0) errors.push(required(path, 'must specify a volume type'))
  return errors
}

let usualChecks: readonly SourceCheck[] | undefined

// In Kubernetes' order; the quirks of paths are its own too.
function checksFor(volume: coreV1.Volume, path: string, context: VolumeContext): SourceCheck[] {
  const simple = (field: keyof typeof podSources, more: Partial<SourceCheck> = {}): SourceCheck => ({
    field,
    check: podSources[field],
    ...more,
  })
  return [
    { field: 'emptyDir', check: emptyDir },
    simple('hostPath'),
    { field: 'gitRepo', check: gitRepo },
    simple('gcePersistentDisk', { inside: 'persistentDisk' }),
    simple('awsElasticBlockStore'),
    { field: 'secret', check: secret },
    simple('nfs'),
    { field: 'iscsi', check: (source: coreV1.ISCSIVolumeSource, at) => iscsi(source, at, volume.name, path) },
    simple('glusterfs'),
    simple('flocker'),
    simple('persistentVolumeClaim'),
    simple('rbd'),
    simple('cinder'),
    simple('cephfs', { second: 'cephFS' }),
    simple('quobyte'),
    { field: 'downwardAPI', second: 'downwarAPI', check: downwardApi },
    simple('fc'),
    simple('flexVolume'),
    { field: 'configMap', check: configMap },
    simple('azureFile'),
    simple('vsphereVolume'),
    simple('photonPersistentDisk'),
    simple('portworxVolume'),
    simple('azureDisk'),
    simple('storageos'),
    { field: 'projected', check: projected },
    simple('scaleIO'),
    { field: 'csi', check: csi },
    { field: 'ephemeral', check: (source: coreV1.EphemeralVolumeSource, at) => ephemeral(source, at, volume.name, path, context) },
    { field: 'image', check: (source: coreV1.ImageVolumeSource, at) => image(source, at, context) },
  ]
}

function emptyDir(source: coreV1.EmptyDirVolumeSource, path: string): FieldError[] {
  const limit = source.sizeLimit
  if (limit === undefined || !isQuantity(limit) || quantitySign(parseQuantity(limit)) >= 0) return []
  return [forbidden(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
}

function gitRepo(source: coreV1.GitRepoVolumeSource, path: string): FieldError[] {
  const errors = source.repository ? [] : [required(`${path}.repository`)]
  return [...errors, ...localDescending(source.directory ?? '', `${path}.directory`)]
}

function secret(source: coreV1.SecretVolumeSource, path: string): FieldError[] {
  const errors = source.secretName ? [] : [required(`${path}.secretName`)]
  errors.push(...validateFileMode(source.defaultMode, `${path}.defaultMode`))
  return [...errors, ...keysToPaths(source.items, `${path}.items`)]
}

function configMap(source: coreV1.ConfigMapVolumeSource, path: string): FieldError[] {
  const errors = source.name ? [] : [required(`${path}.name`)]
  errors.push(...validateFileMode(source.defaultMode, `${path}.defaultMode`))
  return [...errors, ...keysToPaths(source.items, `${path}.items`)]
}

function keysToPaths(items: readonly coreV1.KeyToPath[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item, i) => keyToPath(item, `${path}[${i}]`))
}

function keyToPath(item: coreV1.KeyToPath, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!item.key) errors.push(required(`${path}.key`))
  if (!item.path) errors.push(required(`${path}.path`))
  errors.push(...localNonReserved(item.path ?? '', `${path}.path`))
  return [...errors, ...validateFileMode(item.mode, `${path}.mode`)]
}

function iscsi(source: coreV1.ISCSIVolumeSource, path: string, volumeName: string, volumePath: string): FieldError[] {
  const errors = validateIscsi(source, path, false)
  if (source.initiatorName !== undefined && byteLength(`${volumeName}:${source.targetPortal}`) > 64) {
    const detail = 'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.'
    errors.push(invalid(`${volumePath}.name`, volumeName, detail))
  }
  return errors
}

const volumeFieldPaths: ReadonlySet<string> = new Set([
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
])

function downwardApi(source: coreV1.DownwardAPIVolumeSource, path: string): FieldError[] {
  const errors = validateFileMode(source.defaultMode, `${path}.defaultMode`)
  for (const file of source.items ?? []) errors.push(...downwardFile(file, path))
  return errors
}

function downwardFile(file: coreV1.DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!file.path) errors.push(required(`${path}.path`))
  errors.push(...localNonReserved(file.path ?? '', `${path}.path`))
  if (file.fieldRef !== undefined) {
    errors.push(...validateFieldRef(file.fieldRef, volumeFieldPaths, `${path}.fieldRef`))
    if (file.resourceFieldRef !== undefined) {
      errors.push(invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
    }
  } else if (file.resourceFieldRef !== undefined) {
    errors.push(...validateResourceFieldRef(file.resourceFieldRef, `${path}.resourceFieldRef`, true))
  } else errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'))
  return [...errors, ...validateFileMode(file.mode, `${path}.mode`)]
}

function projected(source: coreV1.ProjectedVolumeSource, path: string): FieldError[] {
  const errors = validateFileMode(source.defaultMode, `${path}.defaultMode`)
  const paths = new Set<string>()
  for (const [i, projection] of (source.sources ?? []).entries()) {
    errors.push(...validateProjection(projection, `${path}.sources[${i}]`, path, paths))
  }
  return errors
}

function validateProjection(projection: coreV1.VolumeProjection, at: string, path: string, paths: Set<string>): FieldError[] {
  const errors: FieldError[] = []
  let count = 0
  const claim = (target: string | undefined, shown: string): void => {
    if (!target) return
    if (paths.has(target)) errors.push(invalid(path, shown, 'conflicting duplicate paths'))
    paths.add(target)
  }
  for (const field of ['secret', 'configMap'] as const) {
    const source = projection[field]
    if (source === undefined) continue
    count++
    if (!source.name) errors.push(required(`${at}.${field}.name`))
    for (const [i, item] of (source.items ?? []).entries()) {
      errors.push(...keyToPath(item, `${at}.${field}.items[${i}]`))
      claim(item.path, source.name ?? '')
    }
  }
  if (projection.downwardAPI !== undefined) {
    count++
    for (const file of projection.downwardAPI.items ?? []) {
      errors.push(...downwardFile(file, `${at}.downwardAPI`))
      claim(file.path, file.path)
    }
  }
  if (projection.serviceAccountToken !== undefined) {
    count++
    errors.push(...tokenProjection(projection.serviceAccountToken, `${at}.serviceAccountToken`, path))
  }
  if (count > 1) errors.push(forbidden(at, 'may not specify more than 1 volume type per source'))
  return errors
}

function tokenProjection(source: coreV1.ServiceAccountTokenProjection, at: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seconds = source.expirationSeconds ?? 3600
  if (seconds < 600) errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'))
  if (seconds > 2 ** 32) errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'))
  if (!source.path) errors.push(required(`${path}.path`))
  else errors.push(...localNonReserved(source.path, `${path}.path`))
  return errors
}

function csi(source: coreV1.CSIVolumeSource, path: string): FieldError[] {
  const errors = validateCsiDriverName(source.driver, `${path}.driver`)
  const ref = source.nodePublishSecretRef
  if (ref === undefined) return errors
  if (!ref.name) return [...errors, required(`${path}.nodePublishSecretRef.name`)]
  return [...errors, ...invalidEach(`${path}.name`, ref.name, nameIsDnsSubdomain(ref.name, false))]
}

function ephemeral(
  source: coreV1.EphemeralVolumeSource,
  path: string,
  volumeName: string,
  volumePath: string,
  { podName }: VolumeContext,
): FieldError[] {
  const template = source.volumeClaimTemplate
  const errors: FieldError[] = []
  if (template === undefined) errors.push(required(`${path}.volumeClaimTemplate`))
  else {
    errors.push(...validateTemplateMeta(template.metadata, `${path}.volumeClaimTemplate.metadata`))
    errors.push(...validateClaimSpec(template.spec, `${path}.volumeClaimTemplate.spec`))
  }
  if (podName && volumeName) {
    const claimName = `${podName}-${volumeName}`
    for (const message of nameIsDnsSubdomain(claimName, false)) {
      errors.push(invalid(`${volumePath}.name`, volumeName, `PVC name ${goQuote(claimName)}: ${message}`))
    }
  }
  return errors
}

const pullPolicies = ['Always', 'IfNotPresent', 'Never']

export function validatePullPolicy(policy: string | undefined, path: string): FieldError[] {
  if (!policy) return [required(path)]
  return pullPolicies.includes(policy) ? [] : [notSupported(path, policy, pullPolicies)]
}

function image(source: coreV1.ImageVolumeSource, path: string, { isPod }: VolumeContext): FieldError[] {
  const errors = isPod && !source.reference ? [required(`${path}.reference`)] : []
  return [...errors, ...validatePullPolicy(source.pullPolicy, `${path}.pullPolicy`)]
}

type Mounting = Pick<coreV1.Container, 'volumeMounts' | 'volumeDevices' | 'securityContext'>

export function validateVolumeMounts(container: Mounting, volumes: VolumesByName, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  const devices = container.volumeDevices ?? []
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}[${i}]`
    if (!mount.name) errors.push(required(`${at}.name`))
    const volume = volumes.get(mount.name)
    if (volume === undefined) errors.push(notFound(`${at}.name`, mount.name ?? ''))
    if (!mount.mountPath) errors.push(required(`${at}.mountPath`))
    if (seen.has(mount.mountPath)) errors.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'))
    seen.add(mount.mountPath)
    if (devices.some(({ name }) => name === mount.name)) {
      errors.push(invalid(`${at}.name`, mount.name, 'must not already exist in volumeDevices'))
    }
    if (devices.some(({ devicePath }) => devicePath === mount.mountPath)) {
      errors.push(invalid(`${at}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices'))
    }
    errors.push(...validateSubPaths(mount, at, path))
    errors.push(...validatePropagation(mount, container, `${path}.mountPropagation`))
    errors.push(...validateRecursiveReadOnly(mount, `${path}.recursiveReadOnly`))
  }
  return errors
}

function validateSubPaths(mount: coreV1.VolumeMount, at: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (mount.subPath) errors.push(...localDescending(mount.subPath, `${path}.subPath`))
  if (!mount.subPathExpr) return errors
  if (mount.subPath) errors.push(invalid(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'))
  return [...errors, ...localDescending(mount.subPathExpr, `${path}.subPathExpr`)]
}

const propagations = ['Bidirectional', 'HostToContainer', 'None']

function validatePropagation({ mountPropagation }: coreV1.VolumeMount, container: Mounting, path: string): FieldError[] {
  if (mountPropagation === undefined) return []
  const errors = propagations.includes(mountPropagation) ? [] : [notSupported(path, mountPropagation, propagations)]
  if (mountPropagation === 'Bidirectional' && container.securityContext?.privileged !== true) {
    errors.push(forbidden(path, 'Bidirectional mount propagation is available only to privileged containers'))
  }
  return errors
}

function validateRecursiveReadOnly(mount: coreV1.VolumeMount, path: string): FieldError[] {
  const value = mount.recursiveReadOnly
  if (value === undefined || value === 'Disabled') return []
  if (value !== 'Enabled' && value !== 'IfPossible') return [notSupported(path, value, ['Disabled', 'Enabled', 'IfPossible'])]
  const errors = mount.readOnly ? [] : [forbidden(path, 'may only be specified when readOnly is true')]
  if (mount.mountPropagation !== undefined && mount.mountPropagation !== 'None') {
    errors.push(forbidden(path, 'may only be specified when mountPropagation is None or not specified'))
  }
  return errors
}

export function validateVolumeDevices(container: Mounting, volumes: VolumesByName, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  const paths = new Set<string>()
  const mounts = container.volumeMounts ?? []
  for (const [i, device] of (container.volumeDevices ?? []).entries()) {
    const at = `${path}[${i}]`
    const { name = '', devicePath = '' } = device
    if (!name) errors.push(required(`${at}.name`))
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, 'must be unique'))
    const volume = volumes.get(name)
    if (volume === undefined) errors.push(notFound(`${at}.name`, name))
    else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined) {
      errors.push(invalid(`${at}.name`, name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode'))
    }
    if (!devicePath) errors.push(required(`${at}.devicePath`))
    if (paths.has(devicePath)) errors.push(invalid(`${at}.devicePath`, devicePath, 'must be unique'))
    if (noBacksteps(devicePath, '').length > 0) errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"))
    else paths.add(devicePath)
    if (mounts.some((mount) => mount.name === name)) errors.push(invalid(`${at}.name`, name, 'must not already exist in volumeMounts'))
    if (mounts.some((mount) => mount.mountPath === devicePath)) {
      errors.push(invalid(`${at}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts'))
    }
    if (name) names.add(name)
  }
  return errors
}
