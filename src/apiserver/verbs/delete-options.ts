// DeleteOptions, from a body or, without one, from the query.
import { badRequest, type FieldError, invalid } from '#api/errors'
import { parseJson } from '#api/schema/json'
import { invalid as invalidField, notSupported } from '#api/validation/field-errors'
import type { DeleteOptions } from '../registry/delete.ts'
import type { ApiRequest } from '../request.ts'
import { bodyBytesMax, type RawBody } from './body.ts'
import { negotiateInput } from './negotiate.ts'
import { decodeDeleteOptionsProtobuf } from './protobuf.ts'
import { booleanParam, integerParam } from './query.ts'
import { parseYaml } from './yaml.ts'

export interface ParsedDeleteOptions extends DeleteOptions {
  readonly dryRun: readonly string[]
}

/** Throws BadRequest or Invalid. */
export async function parseDeleteOptions(request: ApiRequest): Promise<ParsedDeleteOptions> {
  const bytes = await request.body.read(bodyBytesMax)
  const options = bytes.length > 0 ? fromBody({ media: negotiateInput(request.headers['content-type']), bytes }) : fromQuery(request.query)
  const errors = check(options)
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors)
  return options
}

function fromQuery(query: URLSearchParams): ParsedDeleteOptions {
  if (query.size === 0) return { dryRun: [] }
  return given({
    gracePeriodSeconds: integerParam(query, 'gracePeriodSeconds'),
    orphanDependents: booleanParam(query, 'orphanDependents'),
    propagationPolicy: query.get('propagationPolicy') ?? undefined,
    dryRun: query.getAll('dryRun').filter((value) => value !== ''),
  })
}

function fromBody(body: RawBody): ParsedDeleteOptions {
  const value = body.media === 'protobuf' ? decodeDeleteOptionsProtobuf(body.bytes) : parseBody(body)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the body is not a DeleteOptions object')
  const { kind, gracePeriodSeconds, orphanDependents, propagationPolicy, dryRun, preconditions } = value as Record<string, unknown>
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions') throw badRequest('decoded object cannot be converted to DeleteOptions')
  return given({
    gracePeriodSeconds: typed(gracePeriodSeconds, 'number', 'gracePeriodSeconds', 'int64'),
    orphanDependents: typed(orphanDependents, 'boolean', 'orphanDependents', 'bool'),
    propagationPolicy: typed(propagationPolicy, 'string', 'propagationPolicy', 'v1.DeletionPropagation'),
    dryRun: Array.isArray(dryRun) ? dryRun.map((value) => typed(value, 'string', 'dryRun', 'string') ?? '') : [],
    preconditions: preconditionsOf(preconditions),
  })
}

function parseBody({ media, bytes }: RawBody): unknown {
  try {
    return media === 'yaml' ? parseYaml(bytes.toString(), false).value : parseJson(bytes.toString())
  } catch (error) {
    throw badRequest(`couldn't get version/kind; json parse error: ${error instanceof Error ? error.message : 'invalid'}`)
  }
}

function typed<Name extends 'number' | 'boolean' | 'string'>(
  value: unknown,
  type: Name,
  field: string,
  goType: string,
): { number: number; boolean: boolean; string: string }[Name] | undefined {
  if (value === undefined || value === null) return undefined
  const fits = typeof value === type && (type !== 'number' || Number.isSafeInteger(value))
  if (!fits) throw badRequest(`json: cannot unmarshal ${typeof value} into Go struct field DeleteOptions.${field} of type ${goType}`)
  return value as { number: number; boolean: boolean; string: string }[Name]
}

function preconditionsOf(value: unknown): DeleteOptions['preconditions'] {
  if (typeof value !== 'object' || value === null) return undefined
  const { uid, resourceVersion } = value as { uid?: unknown; resourceVersion?: unknown }
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  }
}

// Leaves out what was not given.
function given(options: { [Name in keyof ParsedDeleteOptions]: unknown }): ParsedDeleteOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as unknown as ParsedDeleteOptions
}

const policies = ['Foreground', 'Background', 'Orphan']

function check({ orphanDependents, propagationPolicy, dryRun }: ParsedDeleteOptions): FieldError[] {
  const errors: FieldError[] = []
  if (orphanDependents !== undefined && propagationPolicy !== undefined) {
    errors.push(invalidField('propagationPolicy', propagationPolicy, 'orphanDependents and deletionPropagation cannot be both set'))
  }
  if (propagationPolicy !== undefined && !policies.includes(propagationPolicy)) {
    errors.push(notSupported('propagationPolicy', propagationPolicy, [...policies, 'nil']))
  }
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']))
  return errors
}
