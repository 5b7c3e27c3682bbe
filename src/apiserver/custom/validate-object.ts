// All that holds for the objects of one version of a definition: schema, scale, embedded objects, lists that are sets or maps, rules; in
// Kubernetes' order.
import type { FieldError } from '#api/errors'
import type { CustomResourceDefinitionVersion, JSONSchemaProps } from '#api/generated/apiextensions-v1'
import type { WriteContext } from '#api/kind'
import type { KubeObject } from '#api/object'
import { invalid } from '#api/validation/field-errors'
import { checkLabelKey } from '#api/validation/names'
import { goQuote } from '#api/validation/text'
import { isObject, own } from './correlate.ts'
import { validateEmbedded } from './embedded-objects.ts'
import { validateListTypes } from './list-types.ts'
import type { CompiledRules } from './rules.ts'
import { validateValue } from './validate-value.ts'

type Fields = Record<string, unknown>

export interface ObjectChecks {
  create(object: KubeObject, context?: WriteContext): FieldError[]
  /** What a write leaves as it was is not held against it. */
  update(object: KubeObject, old: KubeObject, context?: WriteContext): FieldError[]
  /** Of its schema only the part about the status is looked at. */
  statusUpdate(object: KubeObject, old: KubeObject, context?: WriteContext): FieldError[]
}

// Errors after which rules could not rely on the schema.
const blocking = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])
const unchecked = invalid(
  '<nil>',
  null,
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
)

/** `rules`: the compiled rules of the version's schema, when it has any. */
export function objectChecks({ schema, subresources }: CustomResourceDefinitionVersion, rules: CompiledRules | undefined): ObjectChecks {
  const props = schema?.openAPIV3Schema
  const scale = subresources?.scale
  const status = props?.properties === undefined ? undefined : own(props.properties as Fields, 'status')

  // After the schema: what does not differ between an object and its status.
  const further = (object: KubeObject, old: KubeObject | undefined, context: WriteContext | undefined, before: FieldError[]) => {
    if (props === undefined) return before
    const errors = before
    const lists = (one: KubeObject): FieldError[] => validateListTypes(one, props)
    if (old === undefined || lists(old).length === 0) errors.push(...lists(object))
    if (rules === undefined) return errors
    if (errors.some(({ type }) => blocking.has(type))) return [...errors, unchecked]
    return [...errors, ...rules.validate(object, old, context?.warn === undefined ? {} : { warn: context.warn })]
  }
  const whole = (object: KubeObject, old: KubeObject | undefined, context: WriteContext | undefined): FieldError[] => {
    const errors =
      props === undefined ? [] : atRoot(validateValue(shown(object, props), props, '', old === undefined ? undefined : shown(old, props)))
    if (scale !== undefined) {
      errors.push(
        ...replicas(object, scale.specReplicasPath),
        ...replicas(object, scale.statusReplicasPath),
        ...selector(object, scale.labelSelectorPath),
      )
    }
    if (props !== undefined) errors.push(...validateEmbedded(object, props))
    return further(object, old, context, errors)
  }
  return {
    create: (object, context) => whole(object, undefined, context),
    update: whole,
    statusUpdate(object, old, context) {
      const errors: FieldError[] = []
      const now = own(object as unknown as Fields, 'status')
      if (status !== undefined && now !== undefined) {
        // Looked at as if it stood alone; only the fields of errors know where it is.
        const found = validateValue(now, status as JSONSchemaProps, '', own(old as unknown as Fields, 'status'))
        errors.push(...found.map((error) => ({ ...error, field: placedAt('status', error.field) })))
      }
      if (scale !== undefined) errors.push(...replicas(object, scale.statusReplicasPath), ...selector(object, scale.labelSelectorPath))
      return further(object, old, context, errors)
    },
  }
}

// Metadata is checked as every object's is; a schema may only bound its names.
function shown(object: KubeObject, { properties, required }: JSONSchemaProps): unknown {
  if (required?.includes('metadata') === true || (properties !== undefined && Object.hasOwn(properties, 'metadata'))) return object
  const { metadata: _, ...rest } = object
  return rest
}

/** A path within a value that stands at `at`. */
export function placedAt(at: string, field: string): string {
  if (field === '') return at
  return field.startsWith('[') ? `${at}${field}` : `${at}.${field}`
}

// What is said of the object itself has no path, which Go prints like this.
function atRoot(errors: FieldError[]): FieldError[] {
  return errors.map((error) => (error.field === '' ? { ...error, field: '<nil>' } : error))
}

const int32Max = 2_147_483_647

function valueAt(object: KubeObject, path: string): { value: unknown } | { error: string } {
  let value: unknown = object
  const names = path.replace(/^\./, '').split('.')
  for (const [i, name] of names.entries()) {
    if (value === null || value === undefined) return { value: undefined }
    if (!isObject(value)) {
      const at = names.slice(0, i).join('.')
      return { error: `.${at} accessor error: ${JSON.stringify(value)} is of the type ${goType(value)}, expected map[string]interface{}` }
    }
    value = own(value, name)
  }
  return { value }
}

function goType(value: unknown): string {
  if (value === null) return '<nil>'
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'object') return 'map[string]interface {}'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  return typeof value === 'bigint' ? 'int64' : typeof value === 'boolean' ? 'bool' : 'string'
}

function replicas(object: KubeObject, path: string): FieldError[] {
  const found = valueAt(object, path)
  if ('error' in found) return [invalid(path, 0, found.error)]
  const { value } = found
  if (value === undefined) return []
  if (typeof value !== 'bigint' && !Number.isInteger(value)) {
    const why = `${path} accessor error: ${goPrinted(value)} is of the type ${goType(value)}, expected int64`
    return [invalid(path, 0, why)]
  }
  const count = value as number | bigint
  if (count < 0) return [invalid(path, count, 'should be a non-negative integer')]
  return count > int32Max ? [invalid(path, count, `should be less than or equal to ${int32Max}`)] : []
}

function selector(object: KubeObject, path: string | undefined): FieldError[] {
  if (!path) return []
  const found = valueAt(object, path)
  if ('error' in found) return [invalid(path, '', found.error)]
  const { value } = found
  if (value === undefined || typeof value === 'string') return []
  return [invalid(path, '', `${path} accessor error: ${goPrinted(value)} is of the type ${goType(value)}, expected string`)]
}

function goPrinted(value: unknown): string {
  if (value === null) return '<nil>'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

const standardFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes'])

/** Warnings about finalizers that are new and could be anybody's. */
export function finalizerWarnings({ metadata }: KubeObject, old: KubeObject | undefined): string[] {
  const before = old?.metadata.finalizers ?? []
  const added = [...new Set(metadata.finalizers ?? [])].filter((name) => !before.includes(name)).sort()
  return added.flatMap((name) => {
    const said = `metadata.finalizers: ${goQuote(name)}:`
    const warnings = checkLabelKey(name).map((problem) => `${said} ${problem}`)
    if (name.includes('/') || standardFinalizers.has(name)) return warnings
    const form = name.includes('.') ? 'name including a path (/)' : 'name'
    return [...warnings, `${said} prefer a domain-qualified finalizer ${form} to avoid accidental conflicts with other finalizer writers`]
  })
}
