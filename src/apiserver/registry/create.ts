// Creating an object: metadata, managed fields, admission, defaults of the strategy, validation, and a name if none was given.
import { ApiError, alreadyExists, generateNameConflict, invalid, type QualifiedResource, unknownError } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { validateObjectMeta } from '#api/validation/object-meta'
import type { AdmissionRequest } from '../admission/plugin.ts'
import { encodeStored } from '../watch-cache/stored-json.ts'
import type { Call } from './call.ts'
import type { Valid } from './checked.ts'
import { metaRules, type RegistryContext, writeContext } from './context.ts'
import { trackWrite } from './managed-fields.ts'
import { dedupOwnerReferences, ensureNamespace, fillSystemFields, generateName, wipeSystemFields } from './metadata.ts'
import { resetStatus } from './status.ts'
import { cloneObject, commit, readPresent, type Written, writtenAs } from './written.ts'

// Kubernetes tries eight names: a million names per prefix then collide once in a thousand creates.
const nameAttemptsMax = 8
// How often a create is tried anew because what it claimed (an address, a port) was taken in the same moment.
const claimAttemptsMax = 16

export interface CreateOptions<T extends KubeObject = KubeObject> {
  /** The name as admission sees it, when the request says one. */
  readonly admissionName?: string
  /** managedFields are dealt with already (apply). */
  readonly tracked?: boolean
  /** `beginObject` has been called. */
  readonly begun?: boolean
  /** There were others like it, and there will be more. */
  readonly repeated?: boolean
  /** The same object once more, begun, for when a generated name turns out to be taken: the first attempt then needs no copy. */
  readonly anew?: () => T
}

/**
 * What comes before admission, and depends on nothing but its arguments and the time: the server's own fields, owners named twice, and
 * who set which field. A promise when that takes another server.
 */
export function beginObject<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  namespace: string,
  call: Call,
  tracked = false,
): Promise<void> | undefined {
  // Compat: Kubernetes' storage says so, and whatever its storage says is an internal error without a reason.
  if (object.metadata.resourceVersion) throw unknownError('resourceVersion should not be set on objects to be created')
  wipeSystemFields(object)
  ensureNamespace(object, context.kind.namespaced ? namespace : '')
  dedupOwnerReferences(object, call, false)
  return tracked ? undefined : trackWrite(context, undefined, object, call, '')
}

/** Creates the object, which becomes the registry's. `namespace` is the request's; empty at cluster scope. */
export async function createObject<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  namespace: string,
  call: Call,
  { admissionName = '', tracked = false, begun = false, repeated = false, anew }: CreateOptions<T> = {},
): Promise<Written<T>> {
  const { kind } = context
  const tracking = begun ? undefined : beginObject(context, object, namespace, call, tracked)
  if (tracking !== undefined) await tracking
  const request: AdmissionRequest = {
    operation: 'CREATE',
    kind: kind as unknown as AdmissionRequest['kind'],
    subresource: '',
    namespace: kind.id === 'core/v1/namespaces' ? (object.metadata.name ?? '') : namespace,
    name: admissionName || (object.metadata.name ?? ''),
    object,
    old: undefined,
    user: call.user,
    dryRun: call.dryRun,
    ...(call.origin === undefined ? {} : { origin: call.origin }),
    warn: call.warn,
    annotate: call.annotate,
  }
  await context.admission.admit(request)
  dedupOwnerReferences(object, call, true)

  if (object.metadata.name || !object.metadata.generateName) return createNamed(context, object, call, request, repeated)
  for (let attempt = 1; ; attempt++) {
    const name = generateName(object.metadata.generateName, context.random)
    const last = attempt >= nameAttemptsMax
    // Most names that are taken are known to be; only two writers of one moment learn it from the store.
    if (context.cache.get(object.metadata.namespace ?? '', name) !== undefined) {
      if (last) throw generateNameConflict(kind, name)
      continue
    }
    const named = last || anew !== undefined ? object : cloneObject(object)
    named.metadata.name = name
    try {
      return await createNamed(context, named, call, { ...request, object: named, name }, repeated)
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
      if (last) throw generateNameConflict(kind, name)
      if (anew !== undefined) return createObject(context, anew(), namespace, call, { admissionName, begun: true })
    }
  }
}

async function createNamed<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  call: Call,
  request: AdmissionRequest,
  repeated: boolean,
): Promise<Written<T>> {
  const errors = object.metadata.name ? [] : validateObjectMeta(object.metadata, metaRules(context))
  if (errors.length > 0) throw invalid(context.kind, '', errors)
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= claimAttemptsMax || context.hooks.beginCreate === undefined
    const written = await tryCreate(context, last ? object : cloneObject(object), call, request, repeated)
    if (written !== undefined) return written
    if (last) throw alreadyExists(context.kind, object.metadata.name)
  }
}

// Undefined: not the object's key but something that was claimed for it was taken meanwhile.
async function tryCreate<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  call: Call,
  request: AdmissionRequest,
  repeated: boolean,
): Promise<Written<T> | undefined> {
  fillSystemFields(object, context.newUid(), context.clock.now())
  const claim = await context.hooks.beginCreate?.(object, call)
  let committed = false
  try {
    const like = prepareAndValidate(context, object, call, repeated)
    await context.admission.validate({ ...request, object })
    const target = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
    if (call.dryRun) {
      if ((await readPresent(context, target, false)) !== undefined) throw alreadyExists(context.kind, target.name)
      return { object, stored: encodeStored(context.kind as unknown as Kind, object), revision: 0, created: true }
    }
    const { result, stored } = await commit(context, target, object, 0, claim, { rest: like?.rest })
    if (result.outcome === 'conflict') {
      const standing = await readPresent(context, target, true)
      if (standing === undefined && claim !== undefined) return undefined
      throw takenError(context.kind, target.name, standing?.object())
    }
    committed = true
    return writtenAs(context, target, { object, stored, revision: result.revision, created: true })
  } finally {
    if (committed) claim?.commit()
    else claim?.release()
  }
}

function takenError(kind: QualifiedResource, name: string, standing: KubeObject | undefined): ApiError {
  const error = alreadyExists(kind, name)
  if (standing?.metadata.deletionTimestamp === undefined) return error
  return new ApiError({ ...error.status, message: `object is being deleted: ${error.message}` })
}

// Returns a valid object that this one equals but for metadata, if one is known.
function prepareAndValidate<T extends KubeObject>(
  context: RegistryContext<T>,
  object: T,
  call: Call,
  repeated: boolean,
): Valid<T> | undefined {
  const { kind } = context
  const { strategy } = kind
  const about = writeContext(context, call, '')
  if (context.hasStatus && strategy.keepsStatusOnCreate !== true) resetStatus(context, object)
  if (context.hasGeneration) object.metadata.generation = 1
  else delete object.metadata.generation
  strategy.prepareForCreate?.(object, about)
  const errors = validateObjectMeta(object.metadata, metaRules(context))
  const same = errors.length > 0 ? undefined : context.checked.find(object)
  if (same?.alike === true) {
    for (const text of same.valid.warnings) call.warn(text)
    context.validated?.add(object)
    return same.valid
  }
  const known = same !== undefined && strategy.sameForValidation?.(object, same.valid.object) === true
  if (!known) errors.push(...(strategy.validate?.(object, about) ?? []))
  errors.push(...(strategy.validateCreate?.(object, about) ?? []))
  if (errors.length > 0) throw invalid(kind, object.metadata.name ?? '', errors)
  context.validated?.add(object)
  const warnings = strategy.warnings?.(object, undefined) ?? []
  for (const text of warnings) call.warn(text)
  if (same === undefined || repeated) context.checked.add(object, warnings)
  return same?.valid
}
