// GET of one object, from the cache's bytes.
import { notFound } from '#api/errors'
import type { Store } from '#storage/store'
import type { ApiReply, ApiRequest } from '../request.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { contentTypeOf, type Form, objectBody } from './encode.ts'
import { parseRevision } from './list-options.ts'
import type { Served } from './served.ts'

export interface GetDeps {
  readonly store: Store
}

export async function get(deps: GetDeps, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const object = await readObject(deps, served, request)
  return { status: 200, headers: { 'content-type': contentTypeOf(form.output) }, body: objectBody(served.view(object), form) }
}

/** The object that the path names, as fresh as the request demands. Throws NotFound. */
export async function readObject({ store }: GetDeps, served: Served, request: ApiRequest): Promise<StoredObject> {
  // The signal is made when it is first asked for, which most reads never do.
  const { info, query } = request
  const { cache } = served.registry
  if (!cache.ready) await cache.untilReady(request.signal)
  const version = query.size === 0 ? '' : (query.get('resourceVersion') ?? '')
  const revision = version === '' ? await store.currentRevision() : parseRevision(version)
  if (revision > cache.revision) await cache.waitFor(revision, request.signal)
  const object = cache.get(served.kind.namespaced ? info.namespace : '', info.name)
  if (object === undefined) throw notFound(served.kind, info.name)
  return served.versions === undefined ? object : served.versions.show(object)
}
