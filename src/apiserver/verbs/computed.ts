// Kinds whose objects are made when they are asked for: listed and read like others, never stored.
import { notFound } from '#api/errors'
import type { Kind } from '#api/kind'
import type { ApiReply, ApiRequest } from '../request.ts'
import type { ComputedHandler } from '../subresources/subresource.ts'
import { DecodedObjects } from '../watch-cache/decoded-objects.ts'
import { encodeStored } from '../watch-cache/stored-json.ts'
import { ObjectContext, StoredObject } from '../watch-cache/stored-object.ts'
import { selects } from '../watch-cache/watch-cache.ts'
import { contentTypeOf, type Form, objectBody } from './encode.ts'
import { listReply } from './list.ts'
import { parseListOptions, selectionOf } from './list-options.ts'

const decoded = new DecodedObjects({ storedBytesMax: 1 << 16 })

export async function computed(kind: Kind, handler: ComputedHandler, request: ApiRequest, form: Form): Promise<ApiReply> {
  const context = new ObjectContext(kind, decoded, false)
  const objects = await handler.list()
  const items = objects.map(
    (object) => new StoredObject(context, `${kind.storagePrefix}/${object.metadata.name}`, encodeStored(kind, object), 0),
  )
  if (request.info.verb === 'list') {
    const meta = { revision: 0, continue: '', remaining: undefined }
    const { selector } = selectionOf(kind, '', request.info.name, parseListOptions(request.query, false), undefined)
    const selected = items.filter((item) => selects(selector, item, undefined))
    return listReply({ kind, view: (item) => item as StoredObject, converted: false }, { items: selected, meta }, form, undefined)
  }
  const item = items.find(({ name }) => name === request.info.name)
  if (item === undefined) throw notFound(kind, request.info.name)
  return { status: 200, headers: { 'content-type': contentTypeOf(form.output) }, body: objectBody(item, form) }
}
