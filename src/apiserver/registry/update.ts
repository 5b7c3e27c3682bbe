// Changing an object: read, make the new one from it, admit, prepare, validate, compare-and-write; again when somebody else
// wrote in between. PUT, patches, apply and the subresources that write their parent all go through here.
import { ApiError, conflict, invalid, notFound, staleResourceVersion } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { immutable, invalid as invalidField, semanticEqual } from '#api/validation/field-errors'
import { validateObjectMetaUpdate } from '#api/validation/object-meta'
import type { AdmissionRequest } from '../admission/plugin.ts'
import { encodeStored } from '../watch-cache/stored-json.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { Call } from './call.ts'
import { isBuiltIn, type RegistryContext, type Target, writeContext } from './context.ts'
import { createObject } from './create.ts'
import { trackWrite } from './managed-fields.ts'
import { dedupOwnerReferences, ensureNamespace, keepSystemFields } from './metadata.ts'
import { keepAllButStatus, shareStatus, statusOf } from './status.ts'
import { commit, keyOf, readPresent, sameJson, storeCall, type Written, writtenAs } from './written.ts'

/** How an object is to be changed. */
export interface Change<T extends KubeObject = KubeObject> {
  /** Empty: the object itself, but for its status. */
  readonly subresource: string
  /**
   * The new object, private to the caller, from the present one (undefined: there is none). Called anew at each attempt. An
   * empty resourceVersion in it means: whatever stands there.
   */
  make(old: T | undefined): T | Promise<T>
  /** An object that is not there is created (PUT of some kinds, apply). */
  readonly createIfMissing: boolean
  /** It came whole (PUT): its uid says which object is meant. Else a uid that is another is a change that nobody may make. */
  readonly whole?: boolean
  /** It is meant for one revision only (PUT with a resourceVersion): it fails when that is gone, and need not wait for others. */
  readonly pinned?: boolean
  /** Which object is meant, known before there is one to change (PUT). */
  readonly uid?: string | undefined
  /** Managed fields are dealt with by `make` already (apply). */
  readonly tracked?: boolean
  /** The server's own change, which it has checked itself: not the kind's preparation and validation, nor admission. */
  readonly unchecked?: boolean
}

// Writers of one key can overtake each other; more often than this, something is wrong.
const attemptsMax = 100

export async function updateObject<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  change: Change<T>,
  call: Call,
): Promise<Written<T>> {
  if (change.pinned === true) return updateInTurn(context, target, change, call)
  const taken = context.turns.take(`${target.namespace}/${target.name}`)
  const turn = taken instanceof Promise ? await taken : taken
  try {
    return await updateInTurn(context, target, change, call)
  } finally {
    turn.done()
  }
}

async function updateInTurn<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  change: Change<T>,
  call: Call,
): Promise<Written<T>> {
  let fromStore = false
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const present = await readPresent(context, target, fromStore)
    try {
      const written = await tryUpdate(context, target, present, change, call)
      if (written !== undefined) return written
      fromStore = true
    } catch (error) {
      // The cache of one of several API servers may lag: a refusal counts only when it is about what the store holds.
      if (fromStore || !(error instanceof ApiError) || error.code >= 500 || present === undefined) throw error
      const now = await readPresent(context, target, true)
      if (now?.revision === present.revision) throw error
      fromStore = true
    }
  }
  throw staleResourceVersion(context.kind, target.name)
}

// Undefined: somebody else wrote in between.
async function tryUpdate<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  present: StoredObject<T> | undefined,
  change: Change<T>,
  call: Call,
): Promise<Written<T> | undefined> {
  const { kind } = context
  if (present === undefined) return createInstead(context, target, change, call)
  const old = present.object()
  const object = await change.make(old)
  ensureNamespace(object, kind.namespaced ? target.namespace : '')
  checkVersionAndUid(context, target, object, old, change.whole === true)
  const about = writeContext(context, call, change.subresource)
  if (change.subresource === 'status') keepAllButStatus(context, object, old)
  else if (context.hasStatus && !writesStatusToo.has(`${kind.resource}/${change.subresource}`)) shareStatus(object, statusOf(old))
  if (change.tracked !== true && change.unchecked !== true) {
    const tracking = trackWrite(context, old, object, call, change.subresource)
    if (tracking !== undefined) await tracking
  }
  const request: AdmissionRequest = {
    operation: 'UPDATE',
    kind: kind as unknown as AdmissionRequest['kind'],
    subresource: change.subresource,
    namespace: kind.id === 'core/v1/namespaces' ? target.name : target.namespace,
    name: target.name,
    object,
    old,
    user: call.user,
    dryRun: call.dryRun,
    ...(call.origin === undefined ? {} : { origin: call.origin }),
    warn: call.warn,
    annotate: call.annotate,
  }
  const checked = change.unchecked !== true
  if (checked) await context.admission.admit(request)
  dedupOwnerReferences(object, call, true)

  const claim = change.subresource === '' ? await context.hooks.beginUpdate?.(object, old, call) : undefined
  let committed = false
  try {
    if (checked) {
      prepare(context, object, old, change.subresource, about)
      validate(context, object, old, change.subresource, about)
    } else keepSystemFields(object, old)
    if (change.subresource === '') for (const text of kind.strategy.warnings?.(object, old) ?? []) call.warn(text)
    ignoreTimestamps(object, old)
    if (checked) await context.admission.validate(request)
    if (goesAway(context, object, old)) return await removeInstead(context, target, present, object, call)
    if (call.dryRun) return { object, stored: encodeStored(kind as unknown as Kind, object), revision: present.revision, created: false }
    if (unchanged(object, old) && (await storedAlike(context, object, present))) {
      return { object: old, stored: present.stored, revision: present.revision, created: false }
    }
    const { result, stored } = await commit(context, target, object, present.revision, claim, { applied: change.tracked })
    if (result.outcome === 'conflict') return undefined
    committed = true
    return writtenAs(context, target, { object, stored, revision: result.revision, created: false })
  } finally {
    if (committed) claim?.commit()
    else claim?.release()
  }
}

// Subresources that set the parent's status on purpose.
const writesStatusToo = new Set(['pods/binding', 'certificatesigningrequests/approval', 'namespaces/finalize', 'pods/eviction'])

async function createInstead<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  change: Change<T>,
  call: Call,
): Promise<Written<T> | undefined> {
  if (change.uid) throw otherUid(context as unknown as RegistryContext, target, change.uid, '')
  if (!change.createIfMissing) throw notFound(context.kind, target.name)
  const object = await change.make(undefined)
  const { uid } = object.metadata
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
    throw conflict(context.kind, target.name, why)
  }
  await call.authorizeCreate?.()
  object.metadata.resourceVersion = ''
  try {
    return await createObject(context, object, target.namespace, call, { admissionName: target.name, tracked: change.tracked === true })
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return undefined
    throw error
  }
}

function otherUid(context: RegistryContext, target: Target, meant: string, found: string): ApiError {
  const why = `Precondition failed: UID in precondition: ${meant}, UID in object meta: ${found}`
  const text = `StorageError: invalid object, Code: 4, Key: ${keyOf(context, target)}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`
  return conflict(context.kind, target.name, text)
}

function checkVersionAndUid<T extends KubeObject>(context: RegistryContext<T>, target: Target, object: T, old: T, whole: boolean): void {
  const { kind } = context
  const { uid, resourceVersion } = object.metadata
  if (whole && uid && uid !== old.metadata.uid) {
    throw otherUid(context as unknown as RegistryContext, target, uid, old.metadata.uid)
  }
  if (!resourceVersion || resourceVersion === '0') {
    if (kind.strategy.allowUnconditionalUpdate === false) {
      const errors = [invalidField('metadata.resourceVersion', 0, 'must be specified for an update')]
      throw invalid({ group: kind.group, kind: kind.resource }, target.name, errors)
    }
    object.metadata.resourceVersion = old.metadata.resourceVersion
  } else if (resourceVersion !== old.metadata.resourceVersion) {
    throw staleResourceVersion(kind, target.name)
  }
}

function prepare<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  old: T,
  subresource: string,
  about: ReturnType<typeof writeContext>,
): void {
  const { strategy } = context.kind
  const generation = old.metadata.generation
  if (generation === undefined) delete object.metadata.generation
  else object.metadata.generation = generation
  if (subresource === 'status') {
    strategy.prepareForStatusUpdate?.(object, old, about)
    shareUnchanged(object, old)
  } else {
    strategy.prepareForUpdate?.(object, old, about)
    shareUnchanged(object, old)
    const bumped = object.metadata.generation !== generation
    if (context.hasGeneration && !bumped && specChanged(context, object, old)) object.metadata.generation = (generation ?? 0) + 1
  }
  keepSystemFields(object, old)
}

// What is as it was is the very same from here on, where nobody changes the object any more: that is seen at once by all who compare,
// and kept once.
function shareUnchanged(object: KubeObject, old: KubeObject): void {
  const now = object as KubeObject & Record<string, unknown>
  const before = old as KubeObject & Record<string, unknown>
  for (const name in before) {
    if (name !== 'metadata' && now[name] !== before[name] && sameJson(now[name], before[name])) now[name] = before[name]
  }
}

function specChanged<T extends KubeObject>({ kind, hasStatus }: RegistryContext<T>, object: KubeObject, old: KubeObject): boolean {
  // A custom resource whose status is no subresource: it is a field like others.
  const statusCounts = kind.custom && !hasStatus
  const now = object as KubeObject & Record<string, unknown>
  const before = old as KubeObject & Record<string, unknown>
  for (const name of new Set([...Object.keys(now), ...Object.keys(before)])) {
    if (name === 'metadata' || name === 'kind' || name === 'apiVersion' || (name === 'status' && !statusCounts)) continue
    if (!semanticEqual(now[name], before[name])) return true
  }
  return false
}

function validate<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  old: T,
  subresource: string,
  about: ReturnType<typeof writeContext>,
): void {
  const { kind } = context
  const { strategy } = kind
  const errors = validateObjectMetaUpdate(object.metadata, old.metadata, { builtIn: isBuiltIn(kind) })
  if (subresource === 'status') {
    errors.push(...(strategy.validateStatusUpdate?.(object, old, about) ?? []))
  } else {
    if (context.validated?.has(object) !== true) {
      const found = strategy.validate?.(object, about) ?? []
      errors.push(...found)
      if (found.length === 0) context.validated?.add(object)
    }
    errors.push(...(strategy.validateUpdate?.(object, old, about) ?? []))
    for (const path of strategy.immutable ?? []) errors.push(...immutable(path, fieldAt(object, path), fieldAt(old, path)))
  }
  if (errors.length > 0) throw invalid(kind, object.metadata.name, errors)
}

function fieldAt(object: unknown, path: string): unknown {
  let value = object
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

// When nothing but the times of managed fields would change, they stay as they were.
function ignoreTimestamps(object: KubeObject, old: KubeObject): void {
  const now = object.metadata.managedFields
  const before = old.metadata.managedFields
  if (now === before || now === undefined || before === undefined || now.length !== before.length) return
  if (now.every((entry, i) => sameButFor(timeOnly, entry, before[i]!)) && unchanged(object, old, true))
    object.metadata.managedFields = before
}

const timeOnly: ReadonlySet<string> = new Set(['time'])
const metadataOnly: ReadonlySet<string> = new Set(['metadata'])
const versionOnly: ReadonlySet<string> = new Set(['resourceVersion'])
const versionAndManagers: ReadonlySet<string> = new Set(['resourceVersion', 'managedFields'])

function unchanged(object: KubeObject, old: KubeObject, managedFieldsAside = false): boolean {
  const skipped = managedFieldsAside ? versionAndManagers : versionOnly
  return sameButFor(metadataOnly, object, old) && sameButFor(skipped, object.metadata, old.metadata)
}

// Deep equality of two objects, fields of these names aside.
function sameButFor(names: ReadonlySet<string>, a: object, b: object): boolean {
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  let count = 0
  for (const name in left) {
    if (left[name] === undefined || names.has(name)) continue
    if (!Object.hasOwn(right, name) || !sameJson(left[name], right[name])) return false
    count++
  }
  for (const name in right) if (right[name] !== undefined && !names.has(name)) count--
  return count === 0
}

// A custom resource that is stored in another version than it would be now, or by an older schema, is written anew by any write.
async function storedAlike<T extends KubeObject>({ versions }: RegistryContext<T>, object: T, present: StoredObject<T>): Promise<boolean> {
  if (versions === undefined) return true
  return versions.storedBytes(present).equals(await versions.encode(object))
}

// The last finalizer of a terminating object is gone: so is the object.
function goesAway<T extends KubeObject>(context: RegistryContext<T>, object: T, old: T): boolean {
  if ((object.metadata.finalizers?.length ?? 0) > 0 || old.metadata.deletionTimestamp === undefined) return false
  if ((old.metadata.deletionGracePeriodSeconds ?? 0) !== 0) return false
  return context.hooks.mayDeleteOnUpdate?.(object, old) ?? true
}

async function removeInstead<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  present: StoredObject<T>,
  object: T,
  call: Call,
): Promise<Written<T> | undefined> {
  const stored = encodeStored(context.kind as unknown as Kind, object)
  if (call.dryRun) return { object, stored, revision: present.revision, created: false }
  const claim = await context.hooks.beginDelete?.(object, call)
  let committed = false
  try {
    const write = { key: keyOf(context as unknown as RegistryContext, target), value: undefined, expectedModRevision: present.revision }
    const result = await storeCall(context, 'update', () => context.store.writeAll([write, ...(claim?.writes ?? [])]))
    if (result.outcome === 'conflict') return undefined
    committed = true
    return { object, stored, revision: present.revision, created: false }
  } finally {
    if (committed) claim?.commit()
    else claim?.release()
  }
}
