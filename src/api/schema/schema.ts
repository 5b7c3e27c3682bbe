// Schemas as data: what the facts say of a type's fields, in the form that the compilers in this folder read.
// Built-in kinds get theirs from generated/schemas.ts, custom resources from their OpenAPI schema. Both go through the same code.

/** Any schema node. Nodes are shared and immutable; recursive types (JSONSchemaProps) refer to themselves through `RefSchema`. */
export type Schema = StructSchema | ListSchema | MapSchema | ScalarSchema | AnySchema | UnionSchema | RefSchema

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
  /** A value below it that does not fit its type is kept as it came: validation tells (custom resources). */
  readonly lenient?: boolean
  readonly nullable?: boolean
}

export interface FieldSchema {
  readonly name: string
  readonly schema: Schema
  readonly required: boolean
  /** Go's zero value is left out of JSON. A struct that is no pointer is never left out by it. */
  readonly omitEmpty: boolean
  /** A zero Time is left out of JSON too (`omitzero`), instead of being written as null. */
  readonly omitZero: boolean
  /** Absent and zero differ. Fields of custom resources are all pointers with omitEmpty: nothing is filled, nothing but null is dropped. */
  readonly pointer: boolean
  readonly default?: unknown
  readonly patchStrategy?: readonly PatchStrategy[]
  readonly patchMergeKey?: string
  readonly description?: string
  readonly protobuf?: ProtobufField
}

export type PatchStrategy = 'merge' | 'retainKeys' | 'replace'

export interface ProtobufField {
  readonly number: number
  /** Numbers of the messages that hold this field although JSON shows it inline, outermost first. */
  readonly within: readonly number[]
}

export interface ListSchema {
  readonly type: 'list'
  readonly items: Schema
  readonly listType: 'atomic' | 'set' | 'map'
  readonly mapKeys: readonly string[]
  /** In protobuf a message of its own with one repeated field (ExtraValue, Verbs). */
  readonly protobufMessage?: boolean
  /** Name of the Go type, where it is not `[]` and the items' name. Error messages say it. */
  readonly goType?: string
  readonly nullable?: boolean
}

export interface MapSchema {
  readonly type: 'map'
  readonly values: Schema
  readonly atomic: boolean
  readonly goType?: string
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
  /** Name of the Go type, where it is not the plain one. */
  readonly goType?: string
  readonly nullable?: boolean
}

/** Any JSON value: RawExtension, FieldsV1, JSON, preserve-unknown-fields without properties. */
export interface AnySchema {
  readonly type: 'any'
  readonly special?: 'RawExtension' | 'FieldsV1' | 'JSON'
  readonly nullable?: boolean
}

/** A schema of a CustomResourceDefinition, or something simpler in its place: a list of schemas, a boolean, a list of strings. */
export interface UnionSchema {
  readonly type: 'union'
  readonly name: 'JSONSchemaPropsOrArray' | 'JSONSchemaPropsOrBool' | 'JSONSchemaPropsOrStringArray'
  readonly object: RefSchema
  readonly nullable?: boolean
}

export interface RefSchema {
  readonly type: 'ref'
  readonly name: string
  readonly resolve: () => StructSchema
  readonly nullable?: boolean
}

/** The node itself, behind a reference. */
export function resolved(schema: Schema): Exclude<Schema, RefSchema> {
  return schema.type === 'ref' ? schema.resolve() : schema
}
