// For tests of kinds: what the registry does to a manifest, without a registry. Whole lists of errors come out as `field: detail`.
import type { FieldError } from '../errors.ts'
import type { Kind, WriteContext } from '../kind.ts'
import type { KubeObject, Manifest } from '../object.ts'
import { compileDecoder } from '../schema/decode.ts'
import { validateObjectMeta, validateObjectMetaUpdate } from '../validation/object-meta.ts'

export const testNowMs = Date.UTC(2026, 0, 1)

export function testContext(subresource = ''): WriteContext {
  return { nowMs: testNowMs, user: { name: 'jane', groups: ['system:authenticated'] }, subresource }
}

/** A manifest decoded, with what every object has. A namespaced kind goes into `default`. Unknown fields are the test's mistake. */
export function complete<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): T {
  const copy = structuredClone(manifest) as Record<string, unknown>
  const metadata: Record<string, unknown> = { name: 'x', ...(copy['metadata'] as object | undefined) }
  if (kind.namespaced) metadata['namespace'] ??= 'default'
  const { object, problems } = compileDecoder<T>(kind.schema())(
    { apiVersion: kind.apiVersion, kind: kind.kind, ...copy, metadata },
    'strict',
  )
  if (problems.length > 0) throw new Error(`the test's manifest is wrong: ${problems.join(', ')}`)
  return object
}

/** The object after defaulting. */
export function defaulted<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): T {
  const object = complete(kind, manifest)
  kind.strategy.setDefaults?.(object)
  return object
}

/** The object as a create would store it. */
export function created<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): T {
  const object = defaulted(kind, manifest)
  kind.strategy.prepareForCreate?.(object, testContext())
  return object
}

/** Why a create would be refused. */
export function createErrors<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): string[] {
  const object = created(kind, manifest)
  const { validateName } = kind.strategy
  const rules = { namespaced: kind.namespaced, builtIn: true, ...(validateName !== undefined && { validateName }) }
  return texts([
    ...validateObjectMeta(object.metadata, rules),
    ...(kind.strategy.validate?.(object, testContext()) ?? []),
    ...(kind.strategy.validateCreate?.(object, testContext()) ?? []),
  ])
}

/** Why an update from `before` to `after` would be refused. A status in `before` is what stands there. */
export function updateErrors<T extends KubeObject>(kind: Kind<T>, before: Manifest<T>, after: Manifest<T>, subresource = ''): string[] {
  const old = created(kind, before) as T & { status?: unknown }
  const { status } = defaulted(kind, before) as T & { status?: unknown }
  if ('status' in before) old.status = status
  old.metadata.resourceVersion = '1'
  const object = defaulted(kind, after)
  object.metadata.resourceVersion = '1'
  if (old.metadata.generation !== undefined) object.metadata.generation = old.metadata.generation
  const context = testContext(subresource)
  const { strategy } = kind
  const meta = validateObjectMetaUpdate(object.metadata, old.metadata, { builtIn: true })
  if (subresource === 'status') {
    strategy.prepareForStatusUpdate?.(object, old, context)
    return texts([...meta, ...(strategy.validateStatusUpdate?.(object, old, context) ?? [])])
  }
  if (old.status !== undefined && subresource !== 'approval') (object as { status?: unknown }).status = old.status
  strategy.prepareForUpdate?.(object, old, context)
  return texts([...meta, ...(strategy.validate?.(object, context) ?? []), ...(strategy.validateUpdate?.(object, old, context) ?? [])])
}

export function texts(errors: readonly FieldError[]): string[] {
  return errors.map(({ field, detail }) => `${field}: ${detail}`)
}

/** The cells of an object's row, by column name. */
export function row<T extends KubeObject>(kind: Kind<T>, object: T, nowMs = testNowMs): Record<string, string | number | boolean | null> {
  const columns = kind.strategy.columns ?? []
  return Object.fromEntries(columns.map((column) => [column.name, column.cell(object, nowMs)]))
}
