// DeleteOptions, from a body or, without one, from the query.
import { badRequest, type FieldError, invalid } from '#api/errors'
import type { DeleteOptions as DeleteOptionsV1 } from '#api/generated/meta-v1'
import { builtinSchema } from '#api/schema/builtin'
import { compileDecoder } from '#api/schema/decode'
import { parseJson } from '#api/schema/json'
import { DecodeError } from '#api/schema/scalars'
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

// Options may come in any group's version, as they once did: what matters is that they are options.
function fromBody(body: RawBody): ParsedDeleteOptions {
  const { kind, gracePeriodSeconds, orphanDependents, propagationPolicy, dryRun, preconditions } = decoded(body)
  if (kind !== undefined && kind !== 'DeleteOptions') throw badRequest('decoded object cannot be converted to DeleteOptions')
  return given({
    gracePeriodSeconds: gracePeriodSeconds === undefined ? undefined : Number(gracePeriodSeconds),
    orphanDependents,
    propagationPolicy,
    dryRun: dryRun ?? [],
    preconditions,
  })
}

function decoded(body: RawBody): DeleteOptionsV1 {
  if (body.media === 'protobuf') return decodeDeleteOptionsProtobuf(body.bytes) as DeleteOptionsV1
  let value: unknown
  try {
    value = body.media === 'yaml' ? parseYaml(body.bytes.toString(), false).value : parseJson(body.bytes.toString(), 'literals')
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`couldn't get version/kind; json parse error: ${error.message}`)
    throw error
  }
  try {
    return compileDecoder<DeleteOptionsV1>(builtinSchema('meta.k8s.io/v1', 'DeleteOptions'))(value, 'ignore').object
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(error.message)
    throw error
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
