// Deleting an object: at once, after a grace period, or when its finalizers have been worked off. The order of decisions is
// Kubernetes' (API conventions; generic registry): preconditions, grace, propagation finalizers, then removal.
import { ApiError, conflict, notFound } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { timestamp } from '#base/clock'
import type { AdmissionRequest } from '../admission/plugin.ts'
import { encodeStored } from '../watch-cache/stored-json.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { Call } from './call.ts'
import type { RegistryContext, Target } from './context.ts'
import { cloneJson, commit, keyOf, readPresent, storeCall, writtenAs } from './written.ts'

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  /** The older way to say `Orphan` or not. */
  readonly orphanDependents?: boolean
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

export interface Deleted<T extends KubeObject = KubeObject> {
  /** The object as it is now, or as it last was. */
  readonly object: T
  readonly stored: Buffer
  readonly revision: number
  /** It is gone; otherwise it terminates. */
  readonly removed: boolean
  /** The answer is the object rather than a Status. */
  readonly answersObject: boolean
}

// Kinds whose deletion answers with the object (what the OpenAPI document says of their DELETE).
const answersWithObject = new Set([
  'core/v1/persistentvolumeclaims',
  'core/v1/persistentvolumes',
  'core/v1/pods',
  'core/v1/podtemplates',
  'core/v1/resourcequotas',
  'core/v1/serviceaccounts',
  'core/v1/services',
  'storage.k8s.io/v1/csidrivers',
  'storage.k8s.io/v1/csinodes',
  'storage.k8s.io/v1/storageclasses',
  'storage.k8s.io/v1/volumeattachments',
  'storage.k8s.io/v1/volumeattributesclasses',
  'resource.k8s.io/v1/deviceclasses',
  'resource.k8s.io/v1/resourceclaims',
  'resource.k8s.io/v1/resourceclaimtemplates',
  'resource.k8s.io/v1/resourceslices',
])

const attemptsMax = 100
const orphan = 'orphan'
const foreground = 'foregroundDeletion'

export async function deleteObject<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  options: DeleteOptions,
  call: Call,
): Promise<Deleted<T>> {
  let fromStore = false
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const present = await readPresent(context, target, fromStore)
    if (present === undefined) throw notFound(context.kind, target.name)
    try {
      const deleted = await tryDelete(context, target, present, options, call)
      if (deleted !== undefined) return deleted
      fromStore = true
    } catch (error) {
      if (fromStore || !(error instanceof ApiError) || error.code >= 500) throw error
      const now = await readPresent(context, target, true)
      if (now?.revision === present.revision) throw error
      fromStore = true
    }
  }
  throw conflict(context.kind, target.name, 'the object has been modified; please apply your changes to the latest version and try again')
}

async function tryDelete<T extends KubeObject>(
  context: RegistryContext<T>,
  target: Target,
  present: StoredObject<T>,
  options: DeleteOptions,
  call: Call,
): Promise<Deleted<T> | undefined> {
  const { kind } = context
  const old = present.object()
  checkPreconditions(context, old, options)
  const plan = (): T | 'remove' | 'pending' => {
    const nowMs = context.clock.now()
    return context.hooks.divertDelete?.(old, nowMs) ?? planDeletion(context, old, options, nowMs)
  }
  const pending = (): Deleted<T> => {
    const answersObject = answersWithObject.has(kind.id) || context.hooks.divertDelete !== undefined
    return { object: old, stored: present.stored, revision: present.revision, removed: false, answersObject }
  }
  // What goes away already is not asked about again.
  if (old.metadata.deletionTimestamp !== undefined && plan() === 'pending') return pending()
  const request: AdmissionRequest = {
    operation: 'DELETE',
    kind: kind as unknown as AdmissionRequest['kind'],
    subresource: '',
    namespace: kind.id === 'core/v1/namespaces' ? target.name : target.namespace,
    name: call.ofCollection === true ? '' : target.name,
    object: undefined,
    old,
    user: call.user,
    dryRun: call.dryRun,
    ...(call.origin === undefined ? {} : { origin: call.origin }),
    deleteOptions: options,
    warn: call.warn,
    annotate: call.annotate,
  }
  if (context.admission.handles('DELETE', request.kind, '')) {
    await context.admission.admit(request)
    await context.admission.validate(request)
  }
  const answers = answersWithObject.has(kind.id)
  const as = (object: T, stored: Buffer, revision: number, removed: boolean): Deleted<T> => ({
    object,
    stored,
    revision,
    removed,
    answersObject: answers || !removed,
  })

  const next = plan()
  if (next === 'pending') return pending()
  if (next !== 'remove') {
    if (call.dryRun) return as(next, encodeStored(kind as unknown as Kind, next), present.revision, false)
    // A repeated deletion says nothing new: a write would only wake every watcher, and them to delete once more.
    if (terminatesAlike(old, next)) return as(old, present.stored, present.revision, false)
    const { result, stored } = await commit(context, target, next, present.revision, undefined)
    if (result.outcome === 'conflict') return undefined
    const written = await writtenAs(context, target, { object: next, stored, revision: result.revision, created: false })
    return as(written.object, written.stored, written.revision, false)
  }
  const removed = (revision: number): Deleted<T> => {
    const last = answers ? lastState(context, old, options) : old
    return as(last, last === old ? present.stored : encodeStored(kind as unknown as Kind, last), revision, true)
  }
  if (call.dryRun) return removed(present.revision)
  const claim = await context.hooks.beginDelete?.(old, call)
  let committed = false
  try {
    const write = { key: keyOf(context as unknown as RegistryContext, target), value: undefined, expectedModRevision: present.revision }
    const writes = claim?.writes ?? []
    const result = await storeCall(context, 'delete', () =>
      writes.length === 0 ? context.store.write(write) : context.store.writeAll([write, ...writes]),
    )
    if (result.outcome === 'conflict') return undefined
    committed = true
    return removed(result.revision)
  } finally {
    if (committed) claim?.commit()
    else claim?.release()
  }
}

function checkPreconditions<T extends KubeObject>({ kind }: RegistryContext<T>, old: T, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion, name } = old.metadata
  const about = { group: kind.group, resource: kind.kind }
  if (preconditions?.uid !== undefined && preconditions.uid !== uid) {
    const why = `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`
    throw conflict(about, name, why)
  }
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
    const why = `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`
    throw conflict(about, name, why)
  }
}

/** What becomes of the object: removed, changed to a terminating one, or left as it is because it terminates already. */
function planDeletion<T extends KubeObject>(
  context: RegistryContext<T>,
  old: T,
  options: DeleteOptions,
  nowMs: number,
): T | 'remove' | 'pending' {
  const grace = planGrace(context, old, options, nowMs)
  if (grace === 'pending') return 'pending'
  const finalizers = finalizersFor(context, old, options)
  if (grace === undefined) {
    if (finalizers.length === 0) return 'remove'
    return terminating(old, finalizers, markedNow(old, nowMs))
  }
  if (grace.seconds === 0 && finalizers.length === 0) return 'remove'
  return terminating(old, finalizers, grace)
}

/** As which a removed object is shown: one of a kind that knows grace says that it had none. */
function lastState<T extends KubeObject>(context: RegistryContext<T>, old: T, options: DeleteOptions): T {
  const grace = planGrace(context, old, options, context.clock.now())
  return grace === undefined || grace === 'pending' ? old : terminating(old, [], grace)
}

function terminatesAlike({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return (
    a.deletionTimestamp === b.deletionTimestamp &&
    a.deletionGracePeriodSeconds === b.deletionGracePeriodSeconds &&
    JSON.stringify(a.finalizers ?? []) === JSON.stringify(b.finalizers ?? [])
  )
}

interface Grace {
  readonly deletionTimestamp: string
  readonly seconds: number
}

function terminating<T extends KubeObject>(old: T, finalizers: readonly string[], grace: Grace): T {
  const next = cloneJson(old)
  const first = old.metadata.deletionTimestamp === undefined
  next.metadata.deletionTimestamp = grace.deletionTimestamp
  next.metadata.deletionGracePeriodSeconds = grace.seconds
  if (first && (old.metadata.generation ?? 0) > 0) next.metadata.generation = old.metadata.generation! + 1
  if (finalizers.length > 0) next.metadata.finalizers = [...finalizers]
  else delete next.metadata.finalizers
  return next
}

function markedNow(old: KubeObject, nowMs: number): Grace {
  const { deletionTimestamp } = old.metadata
  const now = timestamp(nowMs)
  return { deletionTimestamp: deletionTimestamp !== undefined && deletionTimestamp < now ? deletionTimestamp : now, seconds: 0 }
}

// Undefined: the kind knows no grace, or it is used up. `pending`: it runs already, and not longer than asked for.
function planGrace<T extends KubeObject>(
  { kind }: RegistryContext<T>,
  old: T,
  options: DeleteOptions,
  nowMs: number,
): Grace | undefined | 'pending' {
  const { strategy } = kind
  if (strategy.gracePeriod === undefined) return undefined
  const asked = options.gracePeriodSeconds
  const requested = asked !== undefined && asked < 0 ? 1 : asked
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata
  if (deletionTimestamp === undefined) {
    const seconds = strategy.gracePeriod(old, requested)
    if (seconds === undefined) return undefined
    return { deletionTimestamp: timestamp(nowMs + seconds * 1000), seconds }
  }
  if (!deletionGracePeriodSeconds) return undefined
  const running = deletionGracePeriodSeconds < 0 ? 1 : deletionGracePeriodSeconds
  if (requested === undefined || requested >= running) return 'pending'
  // A shorter grace period counts from when the first deletion was asked for, but never ends in the past.
  const end = Date.parse(deletionTimestamp) - running * 1000 + requested * 1000
  if (end >= nowMs) return { deletionTimestamp: timestamp(end), seconds: requested }
  return { deletionTimestamp: timestamp(nowMs), seconds: requested === 0 ? 0 : 1 }
}

// The finalizers that the garbage collector works off, as the options or, failing those, the object and its kind say.
function finalizersFor<T extends KubeObject>(context: RegistryContext<T>, old: T, options: DeleteOptions): string[] {
  const before = old.metadata.finalizers ?? []
  const kept = before.filter((name) => name !== orphan && name !== foreground)
  const policy = policyFor(context, before, options)
  if (policy === 'Orphan') kept.push(orphan)
  else if (policy === 'Foreground') kept.push(foreground)
  return kept
}

function policyFor<T extends KubeObject>(
  { kind }: RegistryContext<T>,
  finalizers: readonly string[],
  { orphanDependents, propagationPolicy }: DeleteOptions,
): DeleteOptions['propagationPolicy'] {
  if (kind.id === 'core/v1/events' || kind.id === 'events.k8s.io/v1/events') return 'Background'
  if (orphanDependents !== undefined) return orphanDependents ? 'Orphan' : 'Background'
  if (propagationPolicy !== undefined) return propagationPolicy
  if (finalizers.includes(foreground)) return 'Foreground'
  if (finalizers.includes(orphan)) return 'Orphan'
  return kind.strategy.defaultPropagation === 'orphan' ? 'Orphan' : 'Background'
}
