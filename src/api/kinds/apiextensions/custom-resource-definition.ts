// CustomResourceDefinition of apiextensions.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as apiextensionsV1 from '../../generated/apiextensions-v1.ts'
import { defineKind } from '../../kind.ts'
import { immutable, invalid, required } from '../../validation/field-errors.ts'
import { goQuote } from '../../validation/text.ts'
import { defaultColumns } from '../columns.ts'
import { validateCrdNames, validateCrdSpec } from './crd-validation.ts'
import { unrecognizedFormats } from './formats.ts'

export type CustomResourceDefinition = apiextensionsV1.CustomResourceDefinition

export const apiApprovedAnnotation = 'api-approved.kubernetes.io'
const approvalWhere = 'see https://github.com/kubernetes/enhancements/pull/1111'

function setDefaults({ spec, status }: CustomResourceDefinition): void {
  const { names } = spec
  if (!names.singular) names.singular = names.kind.toLowerCase()
  if (!names.listKind && names.kind !== '') names.listKind = `${names.kind}List`
  spec.conversion ??= { strategy: 'None' }
  const service = spec.conversion.webhook?.clientConfig?.service
  if (service !== undefined) service.port ??= 443
  if ((status.storedVersions ?? []).length === 0) addStoredVersion({ spec, status })
}

/** The version that objects are written in from now on is remembered: it may not go before the objects did. */
function addStoredVersion(definition: Pick<CustomResourceDefinition, 'spec' | 'status'>): void {
  const { spec, status } = definition
  const storage = spec.versions.find((version) => version.storage)?.name
  if (storage === undefined || status.storedVersions?.includes(storage) === true) return
  // The status may be that of the object that stands there.
  definition.status = { ...status, storedVersions: [...(status.storedVersions ?? []), storage] }
}

function validate(definition: CustomResourceDefinition): FieldError[] {
  const { spec, status } = definition
  return [
    ...validateCrdSpec(spec, 'spec'),
    ...validateCrdNames(status.acceptedNames, 'status.acceptedNames'),
    ...validateStoredVersions(definition, 'status.storedVersions'),
  ]
}

function validateStoredVersions({ spec, status }: CustomResourceDefinition, path: string): FieldError[] {
  const stored = status.storedVersions ?? []
  if (stored.length === 0) return [invalid(path, stored, 'must have at least one stored version')]
  const errors: FieldError[] = []
  for (const version of spec.versions) {
    if (version.storage && !stored.includes(version.name)) {
      errors.push(invalid(path, stored, `must have the storage version ${version.name}`))
    }
  }
  for (const [i, name] of stored.entries()) {
    if (spec.versions.some((version) => version.name === name)) continue
    const detail = `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`
    errors.push(invalid(`${path}[${i}]`, name, detail))
  }
  return errors
}

function validateCreate({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = []
  if (metadata.name !== `${spec.names.plural}.${spec.group}`) {
    errors.push(invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'))
  }
  errors.push(...validateApproval({ metadata, spec }, undefined))
  return [...errors, ...validatePreserveUnknownFields(spec)]
}

function validateUpdate(definition: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  const { spec } = definition
  const errors: FieldError[] = []
  if (old.status.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true) {
    errors.push(...immutable('spec.scope', spec.scope, old.spec.scope))
    errors.push(...immutable('spec.names.kind', spec.names.kind, old.spec.names.kind))
  }
  errors.push(...immutable('spec.group', spec.group, old.spec.group))
  errors.push(...immutable('spec.names.plural', spec.names.plural, old.spec.names.plural))
  errors.push(...validateApproval(definition, old))
  return old.spec.preserveUnknownFields === true ? errors : [...errors, ...validatePreserveUnknownFields(spec)]
}

function validatePreserveUnknownFields({ preserveUnknownFields }: apiextensionsV1.CustomResourceDefinitionSpec): FieldError[] {
  if (preserveUnknownFields !== true) return []
  const detail = 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead'
  return [invalid('spec.preserveUnknownFields', true, detail)]
}

type Approvable = Pick<CustomResourceDefinition, 'metadata' | 'spec'>

// Groups of the Kubernetes community want a review, or at least the admission that there was none.
function validateApproval(definition: Approvable, old: Approvable | undefined): FieldError[] {
  const { group } = definition.spec
  if (!isProtectedGroup(group)) return []
  const state = approval(definition)
  if (state === 'approved' || state === 'bypassed' || (old !== undefined && approval(old) === state)) return []
  const path = `metadata.annotations[${apiApprovedAnnotation}]`
  const head = `protected groups must have approval annotation ${goQuote(apiApprovedAnnotation)}`
  if (state === 'missing') return [required(path, `${head}, ${approvalWhere}`)]
  const detail = `${head} with either a URL or a reason starting with "unapproved", ${approvalWhere}`
  return [invalid(path, definition.metadata.annotations![apiApprovedAnnotation], detail)]
}

/** Whether a group belongs to the Kubernetes community. */
export function isProtectedGroup(group: string): boolean {
  return /(^|\.)(k8s|kubernetes)\.io$/.test(group)
}

export interface Approval {
  readonly reason: 'MissingAnnotation' | 'ApprovedAnnotation' | 'UnapprovedAnnotation' | 'InvalidAnnotation'
  readonly message: string
}

/** What the annotation of a definition in a protected group says, as its conditions tell it. */
export function approvalOf(definition: Approvable): Approval {
  const value = definition.metadata.annotations?.[apiApprovedAnnotation] ?? ''
  const head = `protected groups must have approval annotation ${goQuote(apiApprovedAnnotation)}`
  switch (approval(definition)) {
    case 'missing':
      return { reason: 'MissingAnnotation', message: `${head}, ${approvalWhere}` }
    case 'approved':
      return { reason: 'ApprovedAnnotation', message: `approved in ${value}` }
    case 'bypassed':
      return { reason: 'UnapprovedAnnotation', message: `not approved: ${goQuote(value)}` }
    case 'invalid':
      return { reason: 'InvalidAnnotation', message: `${head} with either a URL or a reason starting with "unapproved", ${approvalWhere}` }
  }
}

function approval({ metadata }: Approvable): 'missing' | 'approved' | 'bypassed' | 'invalid' {
  const value = metadata.annotations?.[apiApprovedAnnotation] ?? ''
  if (value === '') return 'missing'
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#]+/.test(value)) return 'approved'
  return value.startsWith('unapproved') ? 'bypassed' : 'invalid'
}

function formatWarnings({ spec }: CustomResourceDefinition): string[] {
  const formats = new Set(spec.versions.flatMap(({ schema }) => unrecognizedFormats(schema?.openAPIV3Schema)))
  return [...formats].map((format) => `unrecognized format ${goQuote(format)}`)
}

/** Lists of sets whose items are no scalars are merged by nobody; said once for each type. */
function setWarnings({ spec }: CustomResourceDefinition): string[] {
  const warnings = new Set<string>()
  const walk = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return
    const { items, 'x-kubernetes-list-type': listType } = schema as apiextensionsV1.JSONSchemaProps
    const type = Array.isArray(items) ? undefined : items?.type
    if (listType === 'set' && (type === 'object' || type === 'array')) {
      const whose = `x-kubernetes-list-type: set for items of type ${goQuote(type)}`
      warnings.add(`${whose} is not supported by server-side apply or CEL validation rules`)
    }
    for (const child of Object.values(schema)) walk(child)
  }
  for (const { schema } of spec.versions) walk(schema?.openAPIV3Schema)
  return [...warnings].sort()
}

export const CustomResourceDefinition = defineKind<CustomResourceDefinition>('apiextensions.k8s.io/v1/customresourcedefinitions', {
  setDefaults,
  prepareForCreate: addStoredVersion,
  prepareForUpdate: addStoredVersion,
  validate,
  validateCreate,
  validateUpdate,
  validateStatusUpdate: ({ status }) => validateCrdNames(status.acceptedNames, 'status.acceptedNames'),
  warnings(definition, old) {
    const before = old === undefined ? [] : [...formatWarnings(old), ...setWarnings(old)]
    return [...formatWarnings(definition), ...setWarnings(definition)].filter((warning) => !before.includes(warning))
  },
  allowUnconditionalUpdate: false,
  columns: defaultColumns,
})
