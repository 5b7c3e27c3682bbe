// Protobuf bodies of built-in kinds: the wire form that clients written in Go prefer.
import { notAcceptable, unsupportedMediaType } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { KindCatalog } from '../request.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { ListMeta } from './encode.ts'

export function encodeProtobuf(_kind: Kind, _object: KubeObject): Buffer {
  throw notAcceptable(['application/json', 'application/yaml'])
}

export function encodeProtobufList(_kind: Kind, _meta: ListMeta, _items: readonly StoredObject[]): Buffer {
  throw notAcceptable(['application/json', 'application/yaml'])
}

/** A watch event as a length-delimited frame. */
export function frameProtobuf(_type: string, _kind: Kind, _object: unknown, _output: unknown): Buffer {
  throw notAcceptable(['application/json', 'application/yaml'])
}

/** A body in the protobuf envelope. Throws BadRequest. */
export function decodeProtobuf(_bytes: Buffer, _kinds: readonly Kind[], _catalog: KindCatalog): { object: KubeObject; kind: Kind } {
  throw unsupportedMediaType(['application/json', 'application/yaml'])
}

export function decodeDeleteOptionsProtobuf(_bytes: Buffer): unknown {
  throw unsupportedMediaType(['application/json', 'application/yaml'])
}
