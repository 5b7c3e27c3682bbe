// From RequestInfo to the verb: the last stage of the pipeline.
import { pathMethodNotAllowed, pathNotFound, type StatusBody } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import { whenThere } from '#base/eventual'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { Admission } from '../admission/admission.ts'
import { admitConnection } from '../admission/connect.ts'
import type { AdmissionRequest } from '../admission/plugin.ts'
import { ensureNamespace } from '../registry/metadata.ts'
import { isStored, type Registries } from '../registry/registries.ts'
import type { Answer, ApiReply, ApiRequest, Handler, KindCatalog, RequestInfo } from '../request.ts'
import { scaleHandler } from '../subresources/scale.ts'
import type { CreateHandler, PartHandler, ResourceHandler } from '../subresources/subresource.ts'
import { typeKind } from '../subresources/type-kind.ts'
import { decodeBody, readBody } from './body.ts'
import type { Bookmarks } from './bookmarks.ts'
import { callOf } from './call.ts'
import { compressReply } from './compress.ts'
import { computed } from './computed.ts'
import { deprecation } from './deprecation.ts'
import { contentTypeOf, type Form, valueBody } from './encode.ts'
import { createFrameMaker } from './frames.ts'
import { get } from './get.ts'
import { listReply, readList } from './list.ts'
import { parseListOptions, selectionOf } from './list-options.ts'
import { negotiateOutput, wantsPretty } from './negotiate.ts'
import { ReadyBodies } from './ready-bodies.ts'
import { ReadyLists } from './ready-lists.ts'
import { type Served, selected, serve } from './served.ts'
import { parseIncludeObject } from './table.ts'
import { view } from './views.ts'
import { watchReply } from './watch.ts'
import type { WatchDeadlines } from './watch-deadlines.ts'
import { overWebSocket, wantsWebSocket } from './watch-socket.ts'
import { create, patch, remove, removeCollection, statusReply, update } from './writes.ts'

export interface DispatchOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly registries: Registries
  readonly catalog: KindCatalog
  readonly bookmarks: Bookmarks
  readonly deadlines: WatchDeadlines
  readonly watchSecondsMin?: number
  readonly admission: Admission
  /** What answers on subresources and on kinds that are not stored; looked up at each request. */
  readonly handlers: () => ReadonlyMap<string, ResourceHandler>
  readonly authorizeCreate?: (request: ApiRequest) => Promise<void>
}

interface DispatchDeps extends DispatchOptions {
  readonly bodies: ReadyBodies
  readonly lists: ReadyLists
}

/** The key under which `handlers` finds a handler. */
export function handlerKey(group: string, resource: string, subresource: string): string {
  return `${group}/${resource}/${subresource}`
}

export function createDispatch(options: DispatchOptions): Handler {
  const deps: DispatchDeps = { ...options, bodies: new ReadyBodies(), lists: new ReadyLists() }
  const servedKinds = new WeakMap<Kind, Served>()
  const servedOf = (kind: Kind): Served | undefined => {
    let served = servedKinds.get(kind)
    if (served !== undefined) return served
    const registry = deps.registries.find(kind)
    if (registry === undefined) return undefined
    served = serve(kind, registry)
    servedKinds.set(kind, served)
    return served
  }

  // By action: a text that requests of one form have in common, so that it need not be put together.
  const kinds = new Map<string, Kind>()
  deps.catalog.onChange(() => kinds.clear())
  const kindOf = ({ action, group, version, resource }: RequestInfo): Kind | undefined => {
    const known = kinds.get(action)
    if (known !== undefined) return known
    const kind = deps.catalog.find(group, version, resource)
    if (kind !== undefined && kinds.size < kindsMax) kinds.set(action, kind)
    return kind
  }

  return (request) => {
    const { info } = request
    if (!info.isResource) throw pathNotFound()
    const kind = kindOf(info)
    if (kind === undefined || (info.namespace !== '' && !kind.namespaced && kind.resource !== 'namespaces')) throw pathNotFound()
    const { subresource } = info
    const deprecated = deprecation(kind)
    if (deprecated !== undefined && !request.warnings.includes(deprecated)) request.warnings.push(deprecated)
    const handler =
      subresource === '' && isStored(kind) ? undefined : deps.handlers().get(handlerKey(info.group, info.resource, subresource))
    if (handler?.type === 'raw') {
      if (!connecting.has(subresource)) return handler.handle(request)
      return admitConnection(deps.admission, kind, request).then(() => handler.handle(request))
    }
    // Kubernetes routes HEAD to proxies only.
    if (request.method === 'HEAD') throw pathMethodNotAllowed()
    const form = formOf(deps, kind, request, handler?.type !== 'create')
    if (handler?.type === 'computed') return computed(kind, handler, request, form)
    if (handler?.type === 'create') return createThrough(deps, kind, handler, request, form)
    if (info.namespace === '' && kind.namespaced && !acrossNamespaces.has(info.verb)) {
      throw info.name === '' && !kind.custom ? pathMethodNotAllowed() : pathNotFound()
    }
    const served = servedOf(kind)
    if (served === undefined) throw pathNotFound()
    if (subresource === '') {
      return whenThere(serveResource(deps, served, request, form), (reply) => compressReply(reply, request.headers['accept-encoding']))
    }
    const facts = kind.subresources.find((s) => s.name === subresource)
    if (facts === undefined) throw pathNotFound()
    if (!facts.verbs.includes(info.verb)) throw pathMethodNotAllowed()
    const asView = handler?.type === 'view' ? handler : subresource === 'scale' ? scaleHandler(kind) : undefined
    if (asView !== undefined) return view(deps, asView, served, request, form)
    return servePart(deps, served, request, form, handler?.type === 'part' ? handler : undefined)
  }
}

// Actions by which kinds are remembered: all that there are and some that clients make up.
const kindsMax = 2_000

// Raw subresources that are a way into the object rather than a look at it.
const connecting = new Set(['attach', 'exec', 'portforward', 'proxy'])

// What is done to a collection but not to an object in it, and the other way round.
const ofCollections = new Set(['create'])
const ofObjects = new Set(['update', 'patch'])

const acrossNamespaces = new Set(['list', 'watch'])

// Tables tell ages, so their form is of one request alone. What can have tables follows from kind, verb and subresource.
function formOf(deps: DispatchDeps, kind: Kind, request: ApiRequest, tables: boolean): Form {
  const { facts } = request
  if (facts?.form?.kind === kind) return facts.form.form
  const form = readForm(deps, kind, request, tables)
  if (facts !== undefined && form.output.as !== 'Table') facts.form = { kind, form }
  return form
}

function readForm(deps: DispatchDeps, kind: Kind, request: ApiRequest, tables: boolean): Form {
  const pretty = wantsPretty(request.query, request.headers['user-agent'])
  const output = negotiateOutput(request.headers['accept'], kind.custom, pretty, { streaming: request.info.verb === 'watch', tables })
  return {
    output,
    includeObject: output.as === 'Table' ? parseIncludeObject(request.query) : 'Metadata',
    nowMs: output.as === 'Table' ? deps.clock.now() : 0,
  }
}

function serveResource(deps: DispatchDeps, served: Served, request: ApiRequest, form: Form): Answer {
  const { verb, name } = request.info
  if (!served.kind.verbs.includes(verb) || (name === '' ? ofObjects : ofCollections).has(verb)) throw pathMethodNotAllowed()
  switch (verb) {
    case 'get':
      return get(deps, served, request, form)
    case 'list':
      return list(deps, served, request, form)
    case 'watch':
      // A path below /watch/ is a watch whatever the method is called; only reading is one.
      if (request.method !== 'GET') throw pathMethodNotAllowed()
      return watch(deps, served, request, form)
    case 'create':
      return create(deps, served, request, form)
    case 'update':
      return update(deps, served, request, form, undefined)
    case 'patch':
      return patch(deps, served, request, form, undefined)
    case 'delete':
      return remove(served, request, form)
    case 'deletecollection':
      return removeCollection(deps, served, request, form)
    default:
      throw pathMethodNotAllowed()
  }
}

function servePart(deps: DispatchDeps, served: Served, request: ApiRequest, form: Form, part: PartHandler | undefined): Answer {
  switch (request.info.verb) {
    case 'get':
      return get(deps, served, request, form)
    case 'update':
      return update(deps, served, request, form, part)
    case 'patch':
      return patch(deps, served, request, form, part)
    default:
      throw pathMethodNotAllowed()
  }
}

async function list(deps: DispatchDeps, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const { cache } = served.registry
  const options = parseListOptions(request.query, false)
  const selection = selected(served, selectionOf(served.kind, request.info.namespace, request.info.name, options, cache.indexedField))
  const result = await readList(deps, served.registry, selection, options, request.signal)
  return listReply(served, result, form, request.headers['accept-encoding'], deps.lists)
}

async function watch(deps: DispatchDeps, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const { cache } = served.registry
  const options = parseListOptions(request.query, true)
  const selection = selected(served, selectionOf(served.kind, request.info.namespace, request.info.name, options, cache.indexedField))
  const frames = createFrameMaker(served, form.output, form.includeObject, deps.clock)
  const reply = await watchReply(deps, served.registry, selection, options, frames, request.signal)
  return wantsWebSocket(request) ? overWebSocket(request, reply) : reply
}

async function createThrough(deps: DispatchDeps, kind: Kind, handler: CreateHandler, request: ApiRequest, form: Form): Promise<ApiReply> {
  const { info } = request
  if (info.verb !== 'create') throw pathMethodNotAllowed()
  const call = callOf(request, 'CreateOptions')
  const kinds = handler.bodyKinds.map((type) => typeKind(deps.catalog, type))
  const { object } = decodeBody(await readBody(request), kinds, deps.catalog, call)
  if (info.namespace !== '') object.metadata ??= {} as KubeObject['metadata']
  if (object.metadata !== undefined) ensureNamespace(object, info.namespace)
  for (const body of kinds) if (body.kind === object.kind && body.apiVersion === object.apiVersion) body.strategy.setDefaults?.(object)
  const about: AdmissionRequest = {
    operation: 'CREATE',
    kind,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name || object.metadata?.name || '',
    object,
    old: undefined,
    user: call.user,
    dryRun: call.dryRun,
    ...(call.origin === undefined ? {} : { origin: call.origin }),
    warn: call.warn,
    annotate: call.annotate,
  }
  await deps.admission.admit(about)
  await deps.admission.validate(about)
  const answer = await handler.create(object, { namespace: info.namespace, name: info.name }, call)
  if (answer.kind === 'Status') {
    const status = answer as StatusBody
    return statusReply({ ...status, code: status.code ?? 201 }, form, status.code ?? 201)
  }
  const answered = answer as KubeObject
  const output = { ...form.output, as: 'object' as const }
  const body = valueBody(typeKind(deps.catalog, answered), answered, output)
  return { status: 201, headers: { 'content-type': contentTypeOf(output) }, body }
}
