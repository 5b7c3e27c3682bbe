// create, update, patch, delete, deletecollection: from a request to the registry, and back.
import { ApiError, badRequest, invalid, type StatusBody, unsupportedMediaType } from '#api/errors'
import type { Kind } from '#api/kind'
import { storageKey } from '#api/kind'
import type { KubeObject } from '#api/object'
import { applyPatchText, type PatchType } from '#api/patch/apply-patch'
import { forbidden } from '#api/validation/field-errors'
import type { Call } from '../registry/call.ts'
import type { Target } from '../registry/context.ts'
import { ensureNamespace } from '../registry/metadata.ts'
import { canBeTemplate, fromTemplate, type Templates } from '../registry/templates.ts'
import { cloneJson, cloneObject, type Written } from '../registry/written.ts'
import type { ApiReply, ApiRequest, KindCatalog } from '../request.ts'
import type { PartHandler } from '../subresources/subresource.ts'
import { applyBody } from './apply.ts'
import { bodyBytesMax, decodeBody, type RawBody, readBody, validationOf } from './body.ts'
import { decodeAsStored } from './body-as-stored.ts'
import { callOf } from './call.ts'
import { asClientsFault } from './clients-fault.ts'
import { parseDeleteOptions } from './delete-options.ts'
import { contentTypeOf, type Form, objectBody, statusBody } from './encode.ts'
import type { ListDeps } from './list.ts'
import { listReply, readList } from './list.ts'
import { parseListOptions, selectionOf } from './list-options.ts'
import { type Served, selected } from './served.ts'
import { settleType } from './wrong-kind.ts'

export interface WriteDeps extends ListDeps {
  readonly catalog: KindCatalog
  /** Throws Forbidden unless the request's user may also create. */
  readonly authorizeCreate?: (request: ApiRequest) => Promise<void>
}

/** The answer to a write. */
export function writtenReply(served: Served, target: Target, written: Written, form: Form, status = written.created ? 201 : 200): ApiReply {
  const key = storageKey(served.registry.kind, target.namespace, target.name)
  const shown = served.written(written.stored, written.revision, key)
  return { status, headers: { 'content-type': contentTypeOf(form.output) }, body: objectBody(shown, form) }
}

export async function create(deps: WriteDeps, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const { info } = request
  const call = callOf(request, 'CreateOptions')
  const body = await readBody(request)
  const { templates } = served
  const written =
    templates === undefined
      ? await served.registry.create(createdObject(deps, served, body, info.namespace, call), info.namespace, call)
      : await createAsBefore(deps, served, templates, body, info.namespace, call)
  const { name, namespace } = written.object.metadata
  return writtenReply(served, { namespace: namespace ?? '', name }, written, form)
}

// A body as the object that is to be stored: decoded, and with defaults.
function createdObject(deps: WriteDeps, served: Served, body: RawBody, namespace: string, call: Call): KubeObject {
  const { object } = decodeBody(body, [served.kind], deps.catalog, call)
  ensureNamespace(object, served.kind.namespaced ? namespace : '')
  served.kind.strategy.setDefaults?.(object)
  return stored(deps, served, object, undefined, call)
}

// Creates what a body says, from what was made of it the last time if there was one.
function createAsBefore(
  deps: WriteDeps,
  served: Served,
  templates: Templates,
  body: RawBody,
  namespace: string,
  call: Call,
): Promise<Written> {
  const { registry } = served
  const origin = { media: body.media, namespace, fieldManager: call.fieldManager, fieldValidation: call.fieldValidation }
  const known = templates.find(origin, body.bytes)
  if (known !== undefined && known !== 'seen') {
    for (const warning of known.warnings) call.warn(warning)
    const make = (): KubeObject => fromTemplate(known, deps.clock.now())
    return registry.create(make(), namespace, call, { begun: true, repeated: true, anew: make })
  }
  const warnings: string[] = []
  const warned = known === 'seen' ? { ...call, warn: warnInto(warnings, call) } : call
  const object = createdObject(deps, served, body, namespace, warned)
  if (!canBeTemplate(object)) return registry.create(object, namespace, call)
  const tracking = registry.begin(object, namespace, warned)
  const anew = (): KubeObject => {
    const again = createdObject(deps, served, body, namespace, call)
    void registry.begin(again, namespace, call)
    return again
  }
  if (tracking !== undefined) return tracking.then(() => registry.create(object, namespace, call, { begun: true }))
  if (known === 'seen') templates.keep(origin, body.bytes, { object: cloneObject(object), warnings })
  else templates.see(origin, body.bytes)
  return registry.create(object, namespace, call, { begun: true, anew })
}

function warnInto(warnings: string[], call: Call): Call['warn'] {
  return (text) => {
    warnings.push(text)
    call.warn(text)
  }
}

// For a kind that is stored as another: its own rules are checked first, then it is converted, and completed as that one.
function stored(
  deps: WriteDeps,
  served: Served,
  object: KubeObject,
  old: KubeObject | undefined,
  call: Call,
  subresource = '',
): KubeObject {
  if (!served.converted) return object
  if (subresource === '') {
    const about = { nowMs: deps.clock.now(), user: call.user, subresource }
    const errors = served.validate(object, old === undefined ? undefined : served.fromStorage(old), about)
    if (errors.length > 0) throw invalid(served.kind, object.metadata.name ?? '', errors)
  }
  const storage = served.toStorage(object)
  served.registry.kind.strategy.setDefaults?.(storage)
  return storage
}

export async function update(
  deps: WriteDeps,
  served: Served,
  request: ApiRequest,
  form: Form,
  part: PartHandler | undefined,
): Promise<ApiReply> {
  const { info } = request
  const { catalog } = deps
  const call = callOf(request, 'UpdateOptions', deps.authorizeCreate)
  const body = await readBody(request)
  const target = targetOf(served.kind, request)
  const decode = (): KubeObject => decodeBody(body, [served.kind], catalog, call).object
  const decoded = part === undefined ? decodeUpdate(served, target, body, catalog, call, info.subresource) : { object: decode() }
  const { metadata } = decoded.object
  checkName(decoded.object, target)
  let first: typeof decoded | undefined = decoded
  const createIfMissing = info.subresource === '' && served.registry.kind.strategy.allowCreateOnUpdate === true
  const written = await served.registry.update(
    target,
    {
      subresource: info.subresource,
      createIfMissing,
      whole: true,
      pinned: Boolean(metadata.resourceVersion),
      uid: metadata.uid,
      make(old) {
        const object = first === undefined || (first.of !== undefined && first.of !== old) ? decode() : first.object
        first = undefined
        return finished(deps, served, object, old, part, call, info.subresource)
      },
    },
    call,
  )
  return writtenReply(served, target, written, form)
}

// Most updates were read before they are written: what they leave as it was is not read again. `of`: the object it may share with.
function decodeUpdate(
  served: Served,
  target: Target,
  body: RawBody,
  catalog: KindCatalog,
  call: Call,
  subresource: string,
): { object: KubeObject; of?: KubeObject } {
  const { registry, kind } = served
  const present = kind.custom || served.converted ? undefined : registry.cache.get(target.namespace, target.name)
  const of = present?.object()
  if (present !== undefined && of !== undefined && registry.isValid(of)) {
    const object = decodeAsStored(body, present, kind, sharedFields(kind, subresource))
    if (object !== undefined) return { object, of }
  }
  return { object: decodeBody(body, [kind], catalog, call).object }
}

// What an update leaves alone is shared with the stored object; a status is prepared where it stands.
function sharedFields({ strategy }: Kind, subresource: string): (field: string) => boolean {
  if (strategy.sharesContent !== true) return () => false
  return subresource === 'status' ? (field) => field !== 'status' : () => true
}

// Defaulted, as it is stored, and only the subresource's part of it.
function finished(
  deps: WriteDeps,
  served: Served,
  object: KubeObject,
  old: KubeObject | undefined,
  part: PartHandler | undefined,
  call: Call,
  subresource: string,
): KubeObject {
  if (old !== undefined) ensureNamespace(object, old.metadata.namespace ?? '')
  if (old === undefined || !hasContentOf(served.kind, object, old)) served.kind.strategy.setDefaults?.(object)
  const storage = stored(deps, served, object, old, call, subresource)
  if (part !== undefined && old !== undefined) part.take(storage, old)
  return storage
}

// Whether all but metadata and status is the very same, and so has its defaults.
function hasContentOf({ strategy }: Kind, object: KubeObject, old: KubeObject): boolean {
  if (strategy.sharesContent !== true) return false
  const [now, before] = [object as unknown as Record<string, unknown>, old as unknown as Record<string, unknown>]
  for (const name in now) if (now[name] !== before[name] && name !== 'metadata' && name !== 'status') return false
  return true
}

function targetOf(kind: Kind, { info }: ApiRequest): Target {
  return { namespace: kind.namespaced ? info.namespace : '', name: info.name }
}

/** Throws when an object says it is another than the one in the path. */
export function checkName(object: KubeObject, target: Target): void {
  const { name, namespace } = object.metadata
  if (namespace && target.namespace !== '' && namespace !== target.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (!name) throw badRequest(`the name of the object (${target.name} based on URL) was undeterminable: name must be provided`)
  if (name !== target.name) throw badRequest(`the name of the object (${name}) does not match the name on the URL (${target.name})`)
}

const patchTypes: readonly string[] = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
]
const customPatchTypes = patchTypes.filter((type) => type !== 'application/strategic-merge-patch+json')

/** A PATCH body and its type. Throws UnsupportedMediaType. */
export async function readPatch(request: ApiRequest, custom: boolean): Promise<{ type: string; body: RawBody }> {
  const contentType = request.headers['content-type'] ?? ''
  const semicolon = contentType.indexOf(';')
  const type = (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim()
  const supported = custom ? customPatchTypes : patchTypes
  if (!supported.includes(type)) throw unsupportedMediaType(supported)
  return { type, body: { media: type.endsWith('yaml') ? 'yaml' : 'json', bytes: await request.body.read(bodyBytesMax) } }
}

export async function patch(
  deps: WriteDeps,
  served: Served,
  request: ApiRequest,
  form: Form,
  part: PartHandler | undefined,
): Promise<ApiReply> {
  const { info } = request
  const { catalog } = deps
  const { type, body } = await readPatch(request, served.kind.custom)
  const call = callOf(request, 'PatchOptions', deps.authorizeCreate)
  const target = targetOf(served.kind, request)
  if (type === 'application/apply-patch+yaml') {
    const written = await applyBody(deps, served, target, request, body, call, (object, old) => {
      checkName(object, target)
      return finished(deps, served, object, old, part, call, info.subresource)
    })
    return writtenReply(served, target, written, form)
  }
  if (request.query.has('force')) {
    const errors = [forbidden('force', 'may not be specified for non-apply patch')]
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', errors)
  }
  const { kind } = served
  const { schema, custom } = kind
  const text = body.bytes.toString()
  const written = await served.registry.update(
    target,
    {
      subresource: info.subresource,
      createIfMissing: false,
      make(old) {
        const current = served.fromStorage(old!)
        const sharing = part === undefined && kind.strategy.sharesContent === true && served.registry.isValid(old!)
        const { object, warnings } = asClientsFault(() =>
          applyPatchText<KubeObject>({
            schema: schema(),
            current,
            type: type as PatchType,
            text,
            validation: validationOf(call),
            custom,
            ...(sharing && { shares: sharedFields(kind, info.subresource) }),
          }),
        )
        for (const warning of warnings) call.warn(warning)
        settleType(kind, object, type === 'application/strategic-merge-patch+json', catalog)
        checkName(object, target)
        return finished(deps, served, object, old, part, call, info.subresource)
      },
    },
    call,
  )
  return writtenReply(served, target, written, form)
}

export async function remove(served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const options = await parseDeleteOptions(request)
  const call: Call = { ...callOf(request, 'DeleteOptions'), dryRun: options.dryRun.length > 0 }
  const target = targetOf(served.kind, request)
  const deleted = await served.registry.delete(target, options, call)
  const status = !deleted.removed && options.orphanDependents === false ? 202 : 200
  if (deleted.answersObject) {
    return writtenReply(served, target, { ...deleted, created: false }, form, status)
  }
  const details = { name: target.name, ...(served.kind.group === '' ? {} : { group: served.kind.group }), kind: served.kind.resource }
  const body: StatusBody = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...details, uid: deleted.object.metadata.uid },
  }
  return statusReply(body, form, status)
}

export function statusReply(body: StatusBody, form: Form, status: number): ApiReply {
  const output = { ...form.output, as: 'object' as const }
  return { status, headers: { 'content-type': contentTypeOf(output) }, body: statusBody(body, output) }
}

// Objects of a collection that are deleted at once.
const deletionsAtOnce = 16

export async function removeCollection(deps: WriteDeps, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const { registry } = served
  const listOptions = parseListOptions(request.query, false)
  const { namespace, name } = request.info
  const selection = selected(served, selectionOf(served.kind, namespace, name, listOptions, registry.cache.indexedField))
  const options = await parseDeleteOptions(request)
  const call: Call = { ...callOf(request, 'DeleteOptions'), dryRun: options.dryRun.length > 0, ofCollection: true }
  const result = await readList(deps, registry, selection, listOptions, request.signal)
  const waiting = [...result.items]
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      try {
        await registry.delete({ namespace: item.namespace, name: item.name }, options, call)
      } catch (error) {
        if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(deletionsAtOnce, waiting.length) }, worker))
  return listReply(served, result, form, request.headers['accept-encoding'])
}

/** Writes a changed view of the parent (scale). */
export function parentWith(old: KubeObject, write: (parent: KubeObject) => void): KubeObject {
  const parent = cloneJson(old)
  write(parent)
  return parent
}
