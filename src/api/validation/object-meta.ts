// Checks of metadata that all kinds share, on create and on update, in Kubernetes' words (API conventions, "Metadata").
import type { FieldError } from '../errors.ts'
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from '../generated/meta-v1.ts'
import { forbidden, immutable, invalid, invalidEach, notSupported, required, tooLong } from './field-errors.ts'
import { checkLabelKey, checkLabelValue, type NameCheck, nameIsDnsLabel, nameIsDnsSubdomain } from './names.ts'
import { byteLength, goQuote, isPrintable } from './text.ts'

export const annotationsBytesMax = 256 * 1024
export const fieldManagerBytesMax = 128
const subresourceBytesMax = 256

/** What the checks must know of the kind. */
export interface MetaRules {
  readonly namespaced: boolean
  /** Default: DNS subdomain. */
  readonly validateName?: NameCheck
  /** Built-in kinds: a finalizer without a domain must be one of Kubernetes' own. Custom resources are not asked. */
  readonly builtIn: boolean
}

type Meta = Partial<ObjectMeta>

/** Metadata of an object about to be created; its name was generated before. */
export function validateObjectMeta(meta: Meta, rules: MetaRules, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = []
  const check = rules.validateName ?? nameIsDnsSubdomain
  if (meta.generateName) errors.push(...invalidEach(`${path}.generateName`, meta.generateName, check(meta.generateName, true)))
  if (!meta.name) errors.push(required(`${path}.name`, 'name or generateName is required'))
  else errors.push(...invalidEach(`${path}.name`, meta.name, check(meta.name, false)))
  errors.push(...validateNamespace(meta, rules, path))
  if ((meta.generation ?? 0) < 0) errors.push(invalid(`${path}.generation`, meta.generation, 'must be greater than or equal to 0'))
  errors.push(...validateLabels(meta.labels, `${path}.labels`))
  errors.push(...validateAnnotations(meta.annotations, `${path}.annotations`))
  errors.push(...validateOwnerReferences(meta.ownerReferences, `${path}.ownerReferences`))
  errors.push(...validateFinalizers(meta.finalizers, `${path}.finalizers`))
  errors.push(...validateManagedFields(meta.managedFields, `${path}.managedFields`))
  if (rules.builtIn) errors.push(...validateStandardFinalizers(meta.finalizers, `${path}.finalizers`))
  return errors
}

function validateNamespace(meta: Meta, rules: MetaRules, path: string): FieldError[] {
  if (!rules.namespaced) return meta.namespace ? [forbidden(`${path}.namespace`, 'not allowed on this type')] : []
  if (!meta.namespace) return [required(`${path}.namespace`)]
  return invalidEach(`${path}.namespace`, meta.namespace, nameIsDnsLabel(meta.namespace, false))
}

/** Metadata of an update: what may not change, and the checks of what may. */
export function validateObjectMetaUpdate(meta: Meta, old: Meta, rules: Pick<MetaRules, 'builtIn'>, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = []
  if (old.deletionTimestamp !== undefined) errors.push(...noNewFinalizers(meta.finalizers ?? [], old.finalizers ?? [], path))
  if (!meta.resourceVersion) errors.push(invalid(`${path}.resourceVersion`, '', 'must be specified for an update'))
  if ((meta.generation ?? 0) < 0) errors.push(invalid(`${path}.generation`, meta.generation, 'must be greater than or equal to 0'))
  if ((meta.generation ?? 0) < (old.generation ?? 0)) {
    errors.push(invalid(`${path}.generation`, meta.generation ?? 0, 'must not be decremented'))
  }
  errors.push(...immutable(`${path}.name`, meta.name ?? '', old.name ?? ''))
  errors.push(...immutable(`${path}.namespace`, meta.namespace ?? '', old.namespace ?? ''))
  errors.push(...immutable(`${path}.uid`, meta.uid ?? '', old.uid ?? ''))
  errors.push(...immutable(`${path}.creationTimestamp`, meta.creationTimestamp, old.creationTimestamp))
  errors.push(...immutable(`${path}.deletionTimestamp`, meta.deletionTimestamp, old.deletionTimestamp))
  errors.push(...immutable(`${path}.deletionGracePeriodSeconds`, meta.deletionGracePeriodSeconds, old.deletionGracePeriodSeconds))
  errors.push(...validateLabels(meta.labels, `${path}.labels`))
  errors.push(...validateAnnotations(meta.annotations, `${path}.annotations`))
  errors.push(...validateOwnerReferences(meta.ownerReferences, `${path}.ownerReferences`))
  errors.push(...validateManagedFields(meta.managedFields, `${path}.managedFields`))
  if (rules.builtIn) errors.push(...validateStandardFinalizers(meta.finalizers, `${path}.finalizers`))
  return errors
}

function noNewFinalizers(finalizers: readonly string[], old: readonly string[], path: string): FieldError[] {
  const added = [...new Set(finalizers)].filter((finalizer) => !old.includes(finalizer)).sort()
  if (added.length === 0) return []
  const shown = `[]string{${added.map(goQuote).join(', ')}}`
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`
  return [forbidden(`${path}.finalizers`, detail)]
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.push(...validateLabelName(key, path))
    errors.push(...invalidEach(path, value, checkLabelValue(value)))
  }
  return errors
}

/** A label key, or another qualified name. */
export function validateLabelName(name: string, path: string): FieldError[] {
  return invalidEach(path, name, checkLabelKey(name))
}

/** Keys are qualified names in which case does not matter; all together are bounded. */
export function validateAnnotations(annotations: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  let bytes = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    errors.push(...invalidEach(path, key, checkLabelKey(key.toLowerCase())))
    bytes += byteLength(key) + byteLength(value)
  }
  if (bytes > annotationsBytesMax) errors.push(tooLong(path, annotationsBytesMax))
  return errors
}

export function validateOwnerReferences(references: readonly OwnerReference[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  let controller: string | undefined
  for (const reference of references ?? []) {
    errors.push(...validateOwnerReference(reference, path))
    if (reference.controller !== true) continue
    const name = `${reference.kind}/${reference.name}`
    if (controller === undefined) controller = name
    else {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`
      errors.push(invalid(path, references, detail))
    }
  }
  return errors
}

function validateOwnerReference(reference: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = []
  const parts = (reference.apiVersion ?? '').split('/')
  const version = parts.length > 2 ? '' : parts.at(-1)!
  if (version === '') errors.push(invalid(`${path}.apiVersion`, reference.apiVersion ?? '', 'version must not be empty'))
  for (const field of ['kind', 'name', 'uid'] as const) {
    if (!reference[field]) errors.push(invalid(`${path}.${field}`, '', 'must not be empty'))
  }
  if (reference.apiVersion === 'v1' && reference.kind === 'Event') {
    errors.push(invalid(path, reference, '/v1, Kind=Event is disallowed from being an owner'))
  }
  return errors
}

const orphan = 'orphan'
const foreground = 'foregroundDeletion'
const standardFinalizers: ReadonlySet<string> = new Set(['kubernetes', orphan, foreground])

export function validateFinalizers(finalizers: readonly string[] | undefined, path: string): FieldError[] {
  if (finalizers === undefined) return []
  const errors = finalizers.flatMap((finalizer) => invalidEach(path, finalizer, checkLabelKey(finalizer)))
  if (finalizers.includes(orphan) && finalizers.includes(foreground)) {
    errors.push(invalid(path, finalizers, `finalizer ${orphan} and ${foreground} cannot be both set`))
  }
  return errors
}

/** One finalizer of a built-in kind; also those in a namespace's spec. */
export function validateStandardFinalizer(finalizer: string, path: string): FieldError[] {
  if (finalizer.includes('/') || standardFinalizers.has(finalizer)) return []
  return [invalid(path, finalizer, 'name is neither a standard finalizer name nor is it fully qualified')]
}

function validateStandardFinalizers(finalizers: readonly string[] | undefined, path: string): FieldError[] {
  return (finalizers ?? []).flatMap((finalizer, i) => validateStandardFinalizer(finalizer, `${path}[${i}]`))
}

export function validateManagedFields(entries: readonly ManagedFieldsEntry[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, entry] of (entries ?? []).entries()) {
    const at = `${path}[${i}]`
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      errors.push(invalid(`${at}.operation`, entry.operation ?? '', 'must be `Apply` or `Update`'))
    }
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1')
      errors.push(invalid(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'))
    errors.push(...validateFieldManager(entry.manager ?? '', `${at}.manager`))
    if (byteLength(entry.subresource ?? '') > subresourceBytesMax) errors.push(tooLong(`${at}.subresource`, subresourceBytesMax))
  }
  return errors
}

/** A field manager's name: bounded and printable. */
export function validateFieldManager(manager: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (byteLength(manager) > fieldManagerBytesMax) errors.push(tooLong(path, fieldManagerBytesMax))
  let position = 0
  for (const char of manager) {
    if (!isPrintable(char)) {
      const code = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
      errors.push(invalid(path, manager, `invalid character U+${code} (at position ${position})`))
    }
    position += byteLength(char)
  }
  return errors
}

/** Query options of writes: `dryRun` and `fieldValidation`. */
export function validateWriteOptions(options: {
  dryRun?: readonly string[]
  fieldManager?: string
  fieldValidation?: string
}): FieldError[] {
  const errors = validateFieldManager(options.fieldManager ?? '', 'fieldManager')
  if (options.dryRun?.some((value) => value !== 'All')) errors.push(notSupported('dryRun', options.dryRun, ['All']))
  const values = ['', 'Ignore', 'Strict', 'Warn']
  if (!values.includes(options.fieldValidation ?? '')) errors.push(notSupported('fieldValidation', options.fieldValidation, values))
  return errors
}
