// GET of one object, from the cache's bytes.
import { notFound } from '#api/errors'
import type { Eventual } from '#base/eventual'
import type { Store } from '#storage/store'
import type { Answer, ApiReply, ApiRequest } from '../request.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { contentTypeOf, type Form, objectBody } from './encode.ts'
import { parseRevision } from './list-options.ts'
import type { ReadyBodies } from './ready-bodies.ts'
import type { Served } from './served.ts'

export interface GetDeps {
  readonly store: Store
  readonly bodies: ReadyBodies
}

export function get(deps: GetDeps, served: Served, request: ApiRequest, form: Form): Answer {
  const object = readObject(deps, served, request)
  return object instanceof Promise ? object.then((read) => replyOf(deps, served, read, form)) : replyOf(deps, served, object, form)
}

function replyOf({ bodies }: GetDeps, served: Served, object: StoredObject, form: Form): ApiReply {
  const shown = served.view(object)
  return { status: 200, headers: { 'content-type': contentTypeOf(form.output) }, body: bodyOf(bodies, shown, form) }
}

function bodyOf(bodies: ReadyBodies, object: StoredObject, form: Form): Buffer {
  const { media, as, pretty } = form.output
  if (as !== 'object' || pretty || media === 'yaml') return objectBody(object, form)
  const ready = bodies.find(object, media)
  if (ready !== undefined) return ready
  const body = objectBody(object, form)
  bodies.made(object, media, body)
  return body
}

/** The object that the path names, as fresh as the request demands. Throws NotFound. */
export function readObject({ store }: Pick<GetDeps, 'store'>, served: Served, request: ApiRequest): Eventual<StoredObject> {
  // The signal is made when it is first asked for, which most reads never do.
  const { cache } = served.registry
  if (!cache.ready) return cache.untilReady(request.signal).then(() => readObject({ store }, served, request))
  const version = request.rawQuery === '' ? '' : (request.query.get('resourceVersion') ?? '')
  const revision = version === '' ? store.currentRevision() : parseRevision(version)
  if (!(revision instanceof Promise) && revision <= cache.revision) return objectOf(served, request)
  return waitFor(cache, revision, request.signal).then(() => objectOf(served, request))
}

async function waitFor(cache: ResourceCache, revision: Eventual<number>, signal: AbortSignal): Promise<void> {
  await cache.waitFor(await revision, signal)
}

function objectOf(served: Served, request: ApiRequest): Eventual<StoredObject> {
  const { info } = request
  const object = served.registry.cache.at(keyOf(served, request))
  if (object === undefined) throw notFound(served.kind, info.name)
  return served.versions === undefined ? object : served.versions.show(object)
}

function keyOf({ kind, registry: { cache } }: Served, { info, facts }: ApiRequest): string {
  const { place } = facts ?? {}
  if (place?.kind === kind) return place.key
  const key = cache.keyOf(kind.namespaced ? info.namespace : '', info.name)
  if (facts !== undefined) facts.place = { kind, key }
  return key
}
