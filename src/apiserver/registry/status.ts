// Status belongs to its subresource: writes of the object leave it as it was, writes of status leave everything else.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { compileDecoder } from '#api/schema/decode'
import type { RegistryContext } from './context.ts'
import { keepMetadata } from './reset-fields.ts'
import { cloneJson } from './written.ts'

const emptyStatuses = new WeakMap<object, unknown>()

/** An empty status, as Go would write it; absent where Go would leave it out. */
export function resetStatus<T extends KubeObject>({ kind }: RegistryContext<T>, object: T): void {
  const key = kind.schema()
  if (!emptyStatuses.has(key)) {
    const { object: empty } = compileDecoder<{ status?: unknown }>(key)({ metadata: {} }, 'ignore')
    emptyStatuses.set(key, empty.status)
  }
  shareStatus(object, cloneJson(emptyStatuses.get(key)))
}

/**
 * Takes this very status: from now on nobody changes the object's status where it stands, whoever changes it sets another one.
 * Undefined: the object has none.
 */
export function shareStatus(object: KubeObject, status: unknown): void {
  if (status === undefined) delete (object as { status?: unknown }).status
  else (object as { status?: unknown }).status = status
}

export function statusOf(object: KubeObject): unknown {
  return (object as { status?: unknown }).status
}

/** Everything but metadata and status is that of `old`, which nobody changes where it stands; a custom resource's metadata as well, save for managedFields. */
export function keepAllButStatus<T extends KubeObject>({ kind }: RegistryContext<T>, object: T, old: T): void {
  const target = object as KubeObject & Record<string, unknown>
  const source = old as KubeObject & Record<string, unknown>
  for (const name of Object.keys(target)) {
    if (name !== 'metadata' && name !== 'status' && !Object.hasOwn(source, name)) delete target[name]
  }
  for (const name of Object.keys(source)) {
    if (name !== 'metadata' && name !== 'status') target[name] = source[name]
  }
  if (!kind.custom) return keepMetadata(kind as unknown as Kind, object, old)
  const { managedFields, resourceVersion } = object.metadata
  object.metadata = cloneJson(old.metadata)
  object.metadata.resourceVersion = resourceVersion
  if (managedFields === undefined) delete object.metadata.managedFields
  else object.metadata.managedFields = managedFields
}
