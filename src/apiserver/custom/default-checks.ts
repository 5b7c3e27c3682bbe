// Whether the defaults of a definition's schema are values that the schema takes: what is filled in must not be refused afterwards.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { compileDecoder } from '#api/schema/decode'
import { DecodeError } from '#api/schema/scalars'
import { invalid } from '#api/validation/field-errors'
import { cloneJson, sameJson } from '../registry/written.ts'
import { malformedEmbedded, validateEmbedded } from './embedded-objects.ts'
import { compileRules } from './rules.ts'
import { metadataSchema, pruneValue } from './settle-value.ts'
import { placedAt } from './validate-object.ts'
import { validateValue } from './validate-value.ts'

/** A default within the type or the metadata of an object: what stands around it, and how to put it there. */
interface Around {
  readonly root: JSONSchemaProps
  put(value: unknown): Record<string, unknown>
}

interface Place {
  readonly path: string
  readonly isRoot: boolean
  /** Of the innermost object. */
  readonly around: Around
  readonly insideMeta: boolean
}

/** What is wrong with the defaults of a structural schema, in Kubernetes' words. */
export async function checkDefaults(schema: JSONSchemaProps, path: string): Promise<FieldError[]> {
  const errors: FieldError[] = []
  await visit(schema, { path, isRoot: true, around: wholeObject(schema), insideMeta: false }, errors)
  return errors
}

function wholeObject(root: JSONSchemaProps): Around {
  return { root, put: (value) => ({ apiVersion: 'validation/v1', kind: 'Validation', ...(value as object) }) }
}

// Defaults are forbidden within additionalProperties.
async function visit(props: JSONSchemaProps, place: Place, errors: FieldError[]): Promise<void> {
  const embedded = props['x-kubernetes-embedded-resource'] === true
  const here: Place = embedded ? { ...place, around: wholeObject(props), insideMeta: false } : place
  if (props.default !== undefined) errors.push(...(await checkDefault(props, here, embedded)))
  const { items } = props
  if (items !== undefined && !Array.isArray(items)) {
    await visit(
      items,
      within(here, 'items', (value) => [value], here.insideMeta),
      errors,
    )
  }
  for (const [name, child] of Object.entries(props.properties ?? {})) {
    const typed = (embedded || place.isRoot) && (name === 'metadata' || name === 'apiVersion' || name === 'kind')
    await visit(
      child,
      within(here, `properties[${name}]`, (value) => ({ [name]: value }), here.insideMeta || typed),
      errors,
    )
  }
}

function within({ path, around }: Place, step: string, wrap: (value: unknown) => unknown, insideMeta: boolean): Place {
  const inner: Around = { root: around.root, put: (value) => around.put(wrap(value)) }
  return { path: `${path}.${step}`, isRoot: false, around: inner, insideMeta }
}

async function checkDefault(props: JSONSchemaProps, { path, isRoot, around, insideMeta }: Place, embedded: boolean): Promise<FieldError[]> {
  const at = `${path}.default`
  const value = cloneJson(props.default)
  if (insideMeta) {
    const problem = metadataProblem(around, value)
    if (problem !== undefined) return [invalid(at, value, `must result in valid metadata: ${problem}`)]
  } else {
    const pruned = cloneJson(value)
    pruneValue(pruned, props)
    const unknown = sameJson(pruned, value) ? [] : [invalid(at, value, 'must not have unknown fields')]
    const malformed = malformedEmbedded(value, props, at)
    const problems = malformed === undefined ? validateEmbedded(value, props, at) : [malformed]
    return [...unknown, ...(problems.length > 0 ? problems : await valueErrors(props, value, at, isRoot || embedded))]
  }
  return valueErrors(props, value, at, isRoot || embedded)
}

async function valueErrors(props: JSONSchemaProps, value: unknown, at: string, whole: boolean): Promise<FieldError[]> {
  // A value is told about as if it stood alone; only its errors know where it is.
  const errors = validateValue(value, props, '').map((error) => ({ ...error, field: placedAt(at, error.field) }))
  if (errors.length > 0) return errors
  const rules = await compileRules(props, whole)
  if (rules === undefined) return []
  const kept = rules.validate(value, value, { path: at, withoutRatcheting: true })
  // Rules about the past may see it as a new value, too.
  return kept.length > 0 ? kept : rules.validate(value, undefined, { path: at })
}

function metadataProblem({ root, put }: Around, value: unknown): string | undefined {
  const object = put(value)
  for (const name of ['apiVersion', 'kind']) {
    if (typeof object[name] !== 'string') return `${name}: Invalid value: ${JSON.stringify(object[name])}: must be a string`
  }
  try {
    compileDecoder(metadataSchema())(cloneJson(object['metadata'] ?? {}), 'ignore')
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return `metadata: Invalid value: ${JSON.stringify(object['metadata'])}: ${error.message}`
  }
  const problems = validateEmbedded(object, { ...root, 'x-kubernetes-embedded-resource': true })
  const texts = problems.map(({ field, detail }) => `${field}: ${detail}`)
  return texts.length < 2 ? texts[0] : `[${texts.join(', ')}]`
}
