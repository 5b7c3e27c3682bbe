// Objects and lists in the form a client asked for. JSON of whole objects is cut from stored bytes; nothing is encoded anew.

import { ApiError, notAcceptable, type StatusBody } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { encodeJson } from '#api/schema/wire'
import { splicedLength, spliceInto } from '../watch-cache/stored-json.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { indentJson } from './indent-json.ts'
import { mediaTypes, type Output } from './negotiate.ts'
import { metadataText, partialText } from './partial.ts'
import { encodePartialProtobuf, encodeProtobuf, encodeProtobufList, encodeStatusProtobuf } from './protobuf.ts'
import { columnDefinitions, type IncludeObject, rowText, tableHead } from './table.ts'
import { yamlOf } from './yaml.ts'

const newline = 0x0a

/** What a form needs to know besides the object. */
export interface Form {
  readonly output: Output
  readonly includeObject: IncludeObject
  readonly nowMs: number
}

/** A stored object as the body of an answer. */
export function objectBody(object: StoredObject, { output, includeObject, nowMs }: Form): Buffer {
  switch (output.as) {
    case 'object':
      if (output.media === 'json' && !output.pretty) return object.revision === 0 ? line(object.stored) : splicedLine(object)
      if (output.media === 'protobuf') return encodeProtobuf(object.context.kind, object.object())
      return finish(object.json.toString(), output)
    case 'Table': {
      const head = tableHead(output.metaVersion, `{"resourceVersion":"${object.revision}"}`, columnDefinitions(object.context.kind))
      return finish(`${head}${rowText(object, includeObject, output.metaVersion, nowMs)}]}`, output)
    }
    case 'PartialObjectMetadata':
      if (output.media === 'protobuf') return encodePartialProtobuf(object, output.metaVersion)
      return finish(partialText(object, output.metaVersion), output)
    case 'PartialObjectMetadataList':
      throw notAListText(output.as, object.context.kind.kind)
  }
}

/** An object that is not stored (a Status, a review, a Scale), as the body of an answer. */
export function valueBody(kind: Kind, value: KubeObject, output: Output): Buffer {
  return output.media === 'protobuf' ? encodeProtobuf(kind, value) : finish(encodeJson(kind.schema(), value), output)
}

export function statusBody(status: StatusBody, output: Output): Buffer {
  return output.media === 'protobuf' ? encodeStatusProtobuf(status) : finish(JSON.stringify(status), output)
}

export function contentTypeOf(output: Output): string {
  return mediaTypes[output.media]
}

/** JSON text in the form's media type. */
export function finish(json: string, output: Output): Buffer {
  if (output.media === 'yaml') return Buffer.from(yamlOf(json))
  // As Kubernetes' encoder, which ends only what is not indented.
  if (output.pretty) return Buffer.from(indentJson(json))
  return Buffer.from(`${json}\n`)
}

function line(json: Buffer): Buffer {
  return Buffer.concat([json, Buffer.of(newline)])
}

function splicedLine(object: StoredObject): Buffer {
  const version = String(object.revision)
  const { head } = object.context
  const out = Buffer.allocUnsafeSlow(splicedLength(object.storedLength, head, version, false) + 1)
  out[spliceInto(out, 0, object.stored, head, version, false)] = newline
  return out
}

/** A list was asked for where there is one object. */
export function notAListText(asked: string, kind: string): ApiError {
  return notAcceptableText(`you requested ${asked}, but the requested object is not a list (*${kind})`)
}

function notAcceptableText(message: string): ApiError {
  return new ApiError({ ...notAcceptable([]).status, message })
}

/** What a list says of itself. */
export interface ListMeta {
  readonly revision: number
  readonly continue: string
  /** Undefined: not said. */
  readonly remaining: number | undefined
}

function listMetaText({ revision, continue: token, remaining }: ListMeta): string {
  const continued = token === '' ? '' : `,"continue":${JSON.stringify(token)}`
  const left = remaining === undefined || token === '' ? '' : `,"remainingItemCount":${remaining}`
  return `{"resourceVersion":"${revision}"${continued}${left}}`
}

/** A list in pieces, so that a big one can be sent while it is made. */
export interface ListPieces {
  readonly head: Buffer
  readonly tail: Buffer
  /** Bytes of one item, when they can be told without making it. */
  readonly length: ((item: StoredObject) => number) | undefined
  /** Writes an item of known length; returns the offset after it. */
  readonly write: (target: Buffer, offset: number, item: StoredObject) => number
  /** An item of unknown length. */
  readonly make: (item: StoredObject) => Buffer
  readonly separator: Buffer
}

const comma = Buffer.from(',')

/** How to write a list of `kind`; undefined when the form needs the whole list at once (YAML, pretty, protobuf). */
export function listPieces(kind: Kind, meta: ListMeta, { output, includeObject, nowMs }: Form): ListPieces | undefined {
  if (output.media !== 'json' || output.pretty) return undefined
  const none = (): never => {
    throw new Error('assertion failed: items of this form have no known length')
  }
  const text = (make: (item: StoredObject) => string, head: string): ListPieces => ({
    head: Buffer.from(head),
    tail: Buffer.from(']}\n'),
    length: undefined,
    write: none,
    make: (item) => Buffer.from(make(item)),
    separator: comma,
  })
  const metadata = listMetaText(meta)
  const { metaVersion } = output
  switch (output.as) {
    case 'object':
      return {
        head: Buffer.from(`{"kind":"${kind.listKind}","apiVersion":"${kind.apiVersion}","metadata":${metadata},"items":[`),
        tail: Buffer.from(']}\n'),
        length: (item) => splicedLength(item.storedLength, item.context.head, String(item.revision), true),
        write: (target, offset, item) =>
          item.look((stored) => spliceInto(target, offset, stored, item.context.head, String(item.revision), true)),
        make: none,
        separator: comma,
      }
    case 'Table':
      return text((item) => rowText(item, includeObject, metaVersion, nowMs), tableHead(metaVersion, metadata, columnDefinitions(kind)))
    case 'PartialObjectMetadataList': {
      const head = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${metadata},"items":[`
      return text((item) => partialText(item, metaVersion), head)
    }
    case 'PartialObjectMetadata':
      throw notAcceptableText(`you requested PartialObjectMetadata, but the requested object is a list (*${kind.listKind})`)
  }
}

/** A whole list in a form that has no pieces. */
export function listBody(kind: Kind, meta: ListMeta, items: readonly StoredObject[], form: Form): Buffer {
  const { output } = form
  if (output.media === 'protobuf') return encodeProtobufList(kind, meta, items, output)
  const json: Form = { ...form, output: { ...output, media: 'json', pretty: false } }
  const pieces = listPieces(kind, meta, json)!
  const parts = items.map((item) => {
    if (pieces.length === undefined) return pieces.make(item)
    const part = Buffer.allocUnsafe(pieces.length(item))
    pieces.write(part, 0, item)
    return part
  })
  const text = `${pieces.head}${parts.join(',')}]}`
  return finish(text, output)
}

export { metadataText }
