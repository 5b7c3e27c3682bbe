// The outcome of a write, and the writing itself: encoding, compare-and-write, translation of what a store can answer.
import { ApiError, internalError, type QualifiedResource, serverTimeout, serviceUnavailable, tooManyRequests } from '#api/errors'
import { type Kind, storageKey } from '#api/kind'
import type { KubeObject } from '#api/object'
import { setOwn } from '#api/schema/decode'
import { keyBytesMax, StoreError, type Write, type WriteResult } from '#storage/store'
import { encodeBefore, encodeStored } from '../watch-cache/stored-json.ts'
import { StoredObject } from '../watch-cache/stored-object.ts'
import type { RegistryContext, Target } from './context.ts'
import type { Claim } from './hooks.ts'

/** An object as it now stands in the store, or would stand there (dry run). */
export interface Written<T extends KubeObject = KubeObject> {
  /** Shared: never to be changed. */
  readonly object: T
  /** Canonical bytes without resourceVersion. */
  readonly stored: Buffer
  /** 0: a dry run of a create, which has no resourceVersion. */
  readonly revision: number
  /** The write made the object, rather than changing it. */
  readonly created: boolean
}

/** Largest object that is stored. etcd's default bound on a request. */
export const storedBytesMax = 1_572_864

export function keyOf(context: RegistryContext, target: Target): string {
  return storageKey(context.kind as unknown as Kind, target.namespace, target.name)
}

/** What stands in the store now: from the cache, or, when that may be stale, from the store itself. */
export async function readPresent<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  fromStore: boolean,
): Promise<StoredObject<T> | undefined> {
  if (!fromStore) {
    const cached = context.cache.get(target.namespace, target.name)
    if (cached !== undefined) return inVersion(context, cached)
  }
  const key = keyOf(context as unknown as RegistryContext, target)
  // Names come from paths and bodies: one that can be no key is the name of nothing.
  if (key.includes('\u0000') || Buffer.byteLength(key) > keyBytesMax) return undefined
  const value = await storeCall(context, 'get', () => context.store.get(key))
  if (value === undefined) return undefined
  return inVersion(context, StoredObject.read(context.cache.context, key, value.value, value.modRevision) as StoredObject<T>)
}

function inVersion<T extends KubeObject>(
  { versions }: RegistryContext<T>,
  object: StoredObject<T>,
): StoredObject<T> | Promise<StoredObject<T>> {
  return versions === undefined ? object : (versions.show(object) as unknown as StoredObject<T>)
}

export interface CommitOptions {
  readonly applied?: boolean | undefined
  /** The object's bytes after metadata, when they are known. */
  readonly rest?: Buffer | undefined
}

/**
 * Commits the object with its claim's writes. `expected`: the revision it replaces; 0: nothing is there. Managed fields of an
 * object that is too large with them are forgotten, as Kubernetes does, unless it was applied.
 */
export async function commit<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  object: T,
  expected: number,
  claim: Claim | undefined,
  { applied = false, rest }: CommitOptions = {},
): Promise<{ result: WriteResult; stored: Buffer }> {
  const { versions } = context
  const kind = context.kind as unknown as Kind
  const encode = (): Buffer | Promise<Buffer> => {
    if (versions !== undefined) return versions.encode(object)
    return rest === undefined ? encodeStored(kind, object) : encodeBefore(kind, object, rest)
  }
  const encoded = encode()
  let stored = Buffer.isBuffer(encoded) ? encoded : await encoded
  if (stored.length > storedBytesMax && !applied && object.metadata.managedFields !== undefined) {
    delete object.metadata.managedFields
    stored = await encode()
  }
  if (stored.length > storedBytesMax) throw tooLarge()
  const write: Write = { key: keyOf(context as unknown as RegistryContext, target), value: stored, expectedModRevision: expected }
  if (versions?.isStorage !== false) context.decoded.leave(stored, object)
  const result = await storeCall(context, 'update', () =>
    claim === undefined || claim.writes.length === 0 ? context.store.write(write) : context.store.writeAll([write, ...claim.writes]),
  )
  return { result, stored }
}

/**
 * The outcome of a committed write. A version of a custom kind that is stored as another reads what was stored, as its readers do:
 * some of the object may not have survived.
 */
export function writtenAs<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  written: Written<T>,
): Written<T> | Promise<Written<T>> {
  const { versions, cache } = context
  if (versions === undefined || versions.isStorage) {
    stamp(written.object, written.revision)
    return written
  }
  const key = keyOf(context as unknown as RegistryContext, target)
  const answer = (shown: StoredObject): Written<T> => ({ ...written, object: shown.object() as T, stored: shown.stored })
  const shown = versions.show(StoredObject.read(cache.context, key, written.stored, written.revision))
  return shown instanceof Promise ? shown.then(answer) : answer(shown)
}

/** Says the revision of a write in the object. The store's event may have been first: then it is said, and the object shared. */
export function stamp(object: KubeObject, revision: number): void {
  const version = String(revision)
  if (object.metadata.resourceVersion !== version) object.metadata.resourceVersion = version
}

/** Runs a call of the store and words its failures for clients. */
export async function storeCall<R>({ kind }: { readonly kind: QualifiedResource }, operation: string, run: () => Promise<R>): Promise<R> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof StoreError) throw fromStoreError(error, kind, operation)
    throw error
  }
}

function fromStoreError(error: StoreError, kind: QualifiedResource, operation: string): ApiError {
  switch (error.code) {
    case 'busy':
      return tooManyRequests('the store has too many writes waiting, please try again later', 1)
    case 'unavailable':
      return serverTimeout(kind, operation, 1)
    case 'closed':
      return serviceUnavailable('the server is shutting down')
    case 'full':
      return internalError('the store has no space left: writes are refused until some is freed', error)
    default:
      return internalError(`the store failed: ${error.message}`, error)
  }
}

function tooLarge(): ApiError {
  return new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'etcdserver: request is too large',
    reason: 'RequestEntityTooLarge',
    code: 413,
  })
}

/** Deep equality of JSON values. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!sameJson(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  let count = 0
  for (const key in left) {
    if (left[key] === undefined) continue
    if (!Object.hasOwn(right, key) || !sameJson(left[key], right[key])) return false
    count++
  }
  for (const key in right) if (right[key] !== undefined) count--
  return count === 0
}

/** A private copy of a JSON value. */
export function cloneJson<V>(value: V): V {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const list: unknown[] = new Array(value.length)
    for (let i = 0; i < value.length; i++) list[i] = cloneJson(value[i])
    return list as V
  }
  const copy: Record<string, unknown> = {}
  for (const key in value) setOwn(copy, key, cloneJson((value as Record<string, unknown>)[key]))
  return copy as V
}

/** A private copy of an object but for its managed fields, which are never changed where they stand. */
export function cloneObject<T extends KubeObject>(object: T): T {
  const { managedFields } = object.metadata
  if (managedFields === undefined) return cloneJson(object)
  const { managedFields: _, ...metadata } = object.metadata
  const copy = cloneJson({ ...object, metadata })
  copy.metadata.managedFields = managedFields
  return copy as T
}
