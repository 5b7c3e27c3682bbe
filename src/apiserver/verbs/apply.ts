// Server-side apply (KEP-555): a PATCH that says what its manager wants, and no more.
import { applyConfiguration } from '#api/apply/apply-configuration'
import type { ConvertObject } from '#api/apply/versions'
import { badRequest, invalid } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { DecodeError } from '#api/schema/scalars'
import { required } from '#api/validation/field-errors'
import type { Clock } from '#base/clock'
import type { Call } from '../registry/call.ts'
import type { Target } from '../registry/context.ts'
import { resetFields } from '../registry/reset-fields.ts'
import type { Written } from '../registry/written.ts'
import type { ApiRequest } from '../request.ts'
import { type RawBody, warningsOf } from './body.ts'
import { asClientsFault } from './clients-fault.ts'
import { booleanParam } from './query.ts'
import type { Served } from './served.ts'
import { parseYaml } from './yaml.ts'

export interface AppliedConfiguration {
  readonly value: unknown
  readonly manager: string
  readonly force: boolean
}

/** The configuration of an apply request. Throws BadRequest and Invalid. */
export function readConfiguration(request: ApiRequest, body: RawBody, call: Call): AppliedConfiguration {
  const manager = request.query.get('fieldManager') ?? ''
  if (manager === '') {
    const errors = [required('fieldManager', 'is required for apply patch')]
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', errors)
  }
  let parsed: ReturnType<typeof parseYaml>
  try {
    parsed = parseYaml(body.bytes.toString(), call.fieldValidation !== 'Ignore')
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`error decoding patch: ${error.message}`)
    throw error
  }
  if (parsed.problems.length > 0) {
    const [text = ''] = parsed.problems
    if (call.fieldValidation === 'Strict') throw badRequest(`error strict decoding patch: error converting YAML to JSON: ${text}`)
    for (const warning of warningsOf(text)) call.warn(warning)
  }
  return { value: parsed.value, manager, force: booleanParam(request.query, 'force') ?? false }
}

/** What an apply makes of an object that stands there (or of none): with its managedFields, defaulted by the caller. */
export function applied(
  kind: Kind,
  live: KubeObject | undefined,
  { value, manager, force }: AppliedConfiguration,
  subresource: string,
  nowMs: number,
  convert?: ConvertObject,
): KubeObject {
  const reset = resetFields(kind, subresource)
  const { object } = asClientsFault(() =>
    applyConfiguration<KubeObject>({
      schema: kind.schema(),
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      live,
      applied: value,
      manager,
      force,
      subresource,
      nowMs,
      ...(reset === undefined ? {} : { reset }),
      ...(convert === undefined ? {} : { convert }),
    }),
  )
  object.apiVersion = kind.apiVersion
  object.kind = kind.kind
  return object
}

export interface ApplyDeps {
  readonly clock: Clock
}

/** Applies the configuration to the object that the path names, or creates it. `finish` completes what came out. */
export function applyBody(
  { clock }: ApplyDeps,
  served: Served,
  target: Target,
  request: ApiRequest,
  body: RawBody,
  call: Call,
  finish: (object: KubeObject, old: KubeObject | undefined) => KubeObject,
): Promise<Written> {
  const configuration = readConfiguration(request, body, call)
  const { subresource } = request.info
  return served.registry.update(
    target,
    {
      subresource,
      createIfMissing: subresource === '',
      tracked: true,
      make(old) {
        const live = old === undefined ? undefined : served.fromStorage(old)
        const nowMs = clock.now()
        const apply = (convert?: ConvertObject): KubeObject => applied(served.kind, live, configuration, subresource, nowMs, convert)
        const object = served.versions === undefined ? apply() : served.versions.converting(apply)
        return object instanceof Promise ? object.then((one) => finish(one, old)) : finish(object, old)
      },
    },
    call,
  )
}
