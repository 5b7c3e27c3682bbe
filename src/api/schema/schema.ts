// Schemas as data: what the facts say of a type's fields, in the form that the compilers in this folder read.
// Built-in kinds get theirs from generated/schemas.ts, custom resources from their OpenAPI schema. Both go through the same code.

/** Any schema node. Nodes are shared and immutable; recursive types (JSONSchemaProps) refer to themselves through `RefSchema`. */
export type Schema = StructSchema | ListSchema | MapSchema | ScalarSchema | AnySchema | RefSchema

export interface StructSchema {
  readonly type: 'struct'
  /** OpenAPI definition name, e.g. `io.k8s.api.core.v1.PodSpec`; empty for anonymous structs of custom resources. */
  readonly name: string
  readonly fields: ReadonlyMap<string, FieldSchema>
  /** Server-side apply merges it as a whole. */
  readonly atomic: boolean
  /** Unknown fields are kept (x-kubernetes-preserve-unknown-fields). */
  readonly preserveUnknown: boolean
  /** Has apiVersion, kind, metadata checked as an object of its own (x-kubernetes-embedded-resource). */
  readonly embeddedResource: boolean
}

export interface FieldSchema {
  readonly name: string
  readonly schema: Schema
  readonly required: boolean
  /** Go's zero value is left out of JSON. A struct that is no pointer is never left out by it. */
  readonly omitEmpty: boolean
  /** Absent and zero differ. */
  readonly pointer: boolean
  readonly default?: unknown
  readonly patchStrategy?: readonly string[]
  readonly patchMergeKey?: string
  readonly description?: string
  readonly protobuf?: ProtobufField
}

export interface ProtobufField {
  readonly number: number
  readonly wire: 'varint' | 'fixed64' | 'bytes'
  readonly label: 'opt' | 'rep' | 'map'
}

export interface ListSchema {
  readonly type: 'list'
  readonly items: Schema
  readonly listType: 'atomic' | 'set' | 'map'
  readonly mapKeys: readonly string[]
  readonly nullable?: boolean
}

export interface MapSchema {
  readonly type: 'map'
  readonly values: Schema
  readonly atomic: boolean
  readonly nullable?: boolean
}

export type ScalarType =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'number'
  | 'bytes'
  | 'time'
  | 'microTime'
  | 'duration'
  | 'quantity'
  | 'intOrString'

export interface ScalarSchema {
  readonly type: ScalarType
  /** Closed enum, for OpenAPI; validation says its own words. */
  readonly enum?: readonly string[]
  readonly nullable?: boolean
}

/** Any JSON value: RawExtension, FieldsV1, JSON, preserve-unknown-fields without properties. */
export interface AnySchema {
  readonly type: 'any'
  readonly special?: 'RawExtension' | 'FieldsV1' | 'JSON'
}

export interface RefSchema {
  readonly type: 'ref'
  readonly name: string
  readonly resolve: () => Schema
}
