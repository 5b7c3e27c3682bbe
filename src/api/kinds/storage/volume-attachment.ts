// VolumeAttachment of storage.k8s.io/v1: a volume that is to be attached to a node.
import type { FieldError } from '../../errors.ts'
import type * as storageV1 from '../../generated/storage-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, required, semanticEqual, tooLong } from '../../validation/field-errors.ts'
import { checkInRange, nameIsDnsSubdomain } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateVolumeSpec } from '../core/persistent-volume.ts'
import { validateCsiDriverName } from '../core/volume-sources.ts'

export type VolumeAttachment = storageV1.VolumeAttachment

const metadataBytesMax = 256 * 1024
const messageBytesMax = 1024
const oneSource = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'

function validate({ spec, status }: VolumeAttachment): FieldError[] {
  const errors = validateCsiDriverName(spec.attacher, 'spec.attacher')
  errors.push(...validateSource(spec.source, 'spec.source'))
  errors.push(...invalidEach('spec.nodeName', spec.nodeName, nameIsDnsSubdomain(spec.nodeName, false)))
  let bytes = 0
  for (const [key, value] of Object.entries(status.attachmentMetadata ?? {})) bytes += byteLength(key) + byteLength(value)
  if (bytes > metadataBytesMax) errors.push(tooLong('status.attachmentMetadata', metadataBytesMax))
  errors.push(...validateVolumeError(status.attachError, 'status.attachError'))
  errors.push(...validateVolumeError(status.detachError, 'status.detachError'))
  const volume = spec.source.persistentVolumeName
  if (volume !== undefined) errors.push(...invalidEach('spec.source.persistentVolumeName', volume, nameIsDnsSubdomain(volume, false)))
  return errors
}

function validateSource({ inlineVolumeSpec, persistentVolumeName }: storageV1.VolumeAttachmentSource, path: string): FieldError[] {
  if (inlineVolumeSpec !== undefined && persistentVolumeName !== undefined) return [forbidden(path, oneSource)]
  if (inlineVolumeSpec !== undefined) return validateVolumeSpec(inlineVolumeSpec, `${path}.inlineVolumeSpec`, true)
  if (persistentVolumeName === undefined) return [required(path, oneSource)]
  return persistentVolumeName === '' ? [required(`${path}.persistentVolumeName`, 'must specify non empty persistentVolumeName')] : []
}

function validateVolumeError(error: storageV1.VolumeError | undefined, path: string): FieldError[] {
  if (error === undefined) return []
  const { message = '', errorCode = 0 } = error
  const errors: FieldError[] = []
  // Compat: Kubernetes names the other limit.
  if (byteLength(message) > messageBytesMax) errors.push(tooLong(`${path}.message`, metadataBytesMax))
  return [...errors, ...invalidEach(`${path}.errorCode`, errorCode, checkInRange(errorCode, 0, 2 ** 31 - 1))]
}

function validateUpdate({ spec }: VolumeAttachment, old: VolumeAttachment): FieldError[] {
  // Compat: shown as Kubernetes' internal structure.
  const { persistentVolumeName = null, inlineVolumeSpec = null } = spec.source
  const source = { PersistentVolumeName: persistentVolumeName, InlineVolumeSpec: inlineVolumeSpec }
  const shown = { Attacher: spec.attacher, Source: source, NodeName: spec.nodeName }
  return semanticEqual(spec, old.spec) ? [] : [invalid('spec', shown, 'field is immutable')]
}

export const VolumeAttachment = defineKind<VolumeAttachment>('storage.k8s.io/v1/volumeattachments', {
  validate,
  validateUpdate,
  validateStatusUpdate: (attachment, old) => [...validate(attachment), ...validateUpdate(attachment, old)],
  allowUnconditionalUpdate: false,
  hasGeneration: false,
  columns: [
    nameColumn,
    column<VolumeAttachment>('Attacher', ({ spec }) => spec.attacher, { format: 'name' }),
    column<VolumeAttachment>('PV', ({ spec }) => spec.source.persistentVolumeName ?? ''),
    column<VolumeAttachment>('Node', ({ spec }) => spec.nodeName),
    column<VolumeAttachment>('Attached', ({ status }) => status.attached, { type: 'boolean' }),
    ageColumn,
  ],
})
