// Definitions of types for OpenAPI documents, made of their schemas. The two versions of OpenAPI differ in how a reference may
// carry a description, and in the special types.
import { builtinSchema, definitionSchema, kindOfDefinition } from '../schema/builtin.ts'
import { zeroScalar } from '../schema/scalars.ts'
import type { FieldSchema, Schema, StructSchema } from '../schema/schema.ts'
import { customDefinition, type PublishedSchema } from './custom-definition.ts'

export type OpenApiVersion = 'v2' | 'v3'

export type Json = Record<string, unknown>

/** Texts by definition name: under the empty string that of the type, under field names those of its fields. */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>

export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1'

const specialsV2: Readonly<Record<string, Json>> = {
  time: { type: 'string', format: 'date-time' },
  microTime: { type: 'string', format: 'date-time' },
  duration: { type: 'string' },
  quantity: { type: 'string' },
  intOrString: { type: 'string', format: 'int-or-string' },
  RawExtension: { type: 'object' },
  FieldsV1: { type: 'object' },
  JSON: {},
}

const specialsV3: Readonly<Record<string, Json>> = {
  ...specialsV2,
  quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  intOrString: { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
}

const specialNames: Readonly<Record<string, string>> = {
  time: `${metaPrefix}.Time`,
  microTime: `${metaPrefix}.MicroTime`,
  duration: `${metaPrefix}.Duration`,
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  intOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  RawExtension: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  FieldsV1: `${metaPrefix}.FieldsV1`,
  JSON: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON',
}

const unionPrefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const plainTypes: Readonly<Record<string, Json>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  number: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
}

/** Collects definitions: whatever is referred to is added, once. */
export class Definitions {
  readonly all: Record<string, Json> = {}
  private readonly version: OpenApiVersion
  private readonly descriptions: Descriptions
  /** Kinds that are known under every group-version say so. */
  private readonly groupVersions: readonly { readonly group: string; readonly version: string }[]

  constructor(
    version: OpenApiVersion,
    descriptions: Descriptions,
    groupVersions: readonly { readonly group: string; readonly version: string }[],
  ) {
    this.version = version
    this.descriptions = descriptions
    this.groupVersions = groupVersions
  }

  /** A reference to a struct, which is added if it is not there. */
  refTo(schema: StructSchema, as?: { readonly name: string; readonly kind: GroupVersionKind }): Json {
    const name = as?.name ?? schema.name
    if (this.all[name] === undefined) {
      this.all[name] = {}
      this.all[name] = this.definitionOf(schema, name, as?.kind)
    }
    return this.ref(name)
  }

  /** A reference to the object of a custom kind, which is added if it is not there. */
  refToCustom(name: string, published: PublishedSchema, kind: GroupVersionKind): Json {
    const meta = builtinSchema('v1', 'Pod')
    this.all[name] ??= {
      ...customDefinition(published, this.version, {
        apiVersion: this.describedField(meta.fields.get('apiVersion')!, meta.name),
        kind: this.describedField(meta.fields.get('kind')!, meta.name),
        metadata: this.describedField(meta.fields.get('metadata')!, meta.name),
      }),
      'x-kubernetes-group-version-kind': [kind],
    }
    return this.ref(name)
  }

  /** A reference to a definition of apimachinery, e.g. `Status`. */
  refToMeta(name: string): Json {
    return this.refToDefinition(`${metaPrefix}.${name}`)
  }

  /** A reference to a definition by its whole name. */
  refToDefinition(name: string): Json {
    return this.refTo(definitionSchema(name))
  }

  /** A reference to the body of a patch, which is any object. */
  refToPatch(): Json {
    this.all[`${metaPrefix}.Patch`] ??= { description: 'A patch, in the form that its media type says.', type: 'object' }
    return this.ref(`${metaPrefix}.Patch`)
  }

  /** A reference to the list of a custom kind, made of its items. */
  refToList(name: string, items: Json, kind: GroupVersionKind): Json {
    const meta = builtinSchema('v1', 'PodList')
    this.all[name] ??= {
      description: `${kind.kind} is a list of ${kind.kind.replace(/List$/, '')}`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: this.describedField(meta.fields.get('apiVersion')!, meta.name),
        items: { description: 'The items of the list.', type: 'array', items },
        kind: this.describedField(meta.fields.get('kind')!, meta.name),
        metadata: this.withRef(this.refToMeta('ListMeta'), {}),
      },
      'x-kubernetes-group-version-kind': [kind],
    }
    return this.ref(name)
  }

  /** The text of a field of a type, by the type's name; undefined when there is none. */
  textOf(name: string, field: string): string | undefined {
    return this.descriptions[name]?.[field]
  }

  private ref(name: string): Json {
    return { $ref: this.version === 'v2' ? `#/definitions/${name}` : `#/components/schemas/${name}` }
  }

  private definitionOf(schema: StructSchema, name: string, kind: GroupVersionKind | undefined): Json {
    const text = this.descriptions[name]?.['']
    const properties: Json = {}
    for (const field of [...schema.fields.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      properties[field.name] = this.describedField(field, name)
    }
    const required = [...schema.fields.values()].filter((field) => field.required).map((field) => field.name)
    const kinds = kind === undefined ? this.kindsOf(name) : [kind]
    return {
      ...(text !== undefined && { description: text }),
      type: 'object',
      ...(required.length > 0 && { required: required.sort() }),
      ...(schema.fields.size > 0 && { properties }),
      ...structExtensions(schema),
      ...(kinds.length > 0 && { 'x-kubernetes-group-version-kind': kinds }),
    }
  }

  private kindsOf(name: string): readonly GroupVersionKind[] {
    const kind = name === `${metaPrefix}.WatchEvent` ? { group: '', version: 'v1', kind: 'WatchEvent' } : kindOfDefinition(name)
    if (kind === undefined) return []
    const everywhere = kind.kind === 'DeleteOptions' || kind.kind === 'WatchEvent'
    return everywhere ? this.groupVersions.map(({ group, version }) => ({ group, version, kind: kind.kind })) : [kind]
  }

  private describedField(field: FieldSchema, owner: string): Json {
    const text = this.descriptions[owner]?.[field.name] ?? field.description
    const fallback = this.version === 'v3' || field.default !== undefined ? defaultOf(field) : undefined
    const extras: Json = {
      ...(text !== undefined && { description: text }),
      ...(fallback !== undefined && { default: fallback }),
      ...patchExtensions(field),
    }
    const type = this.typeOf(field.schema)
    return '$ref' in type ? this.withRef(type, extras) : { ...type, ...extras }
  }

  // OpenAPI v3 ignores what stands beside a reference.
  private withRef(ref: Json, extras: Json): Json {
    return this.version === 'v2' || Object.keys(extras).length === 0 ? { ...ref, ...extras } : { allOf: [ref], ...extras }
  }

  private typeOf(schema: Schema): Json {
    switch (schema.type) {
      case 'ref':
        return this.refTo(schema.resolve())
      case 'struct':
        return schema.name === '' ? this.definitionOf(schema, '', undefined) : this.refTo(schema)
      case 'list':
        return { type: 'array', items: this.typeOf(schema.items), ...listExtensions(schema), ...nullable(schema) }
      case 'map':
        return {
          type: 'object',
          additionalProperties: this.typeOf(schema.values),
          ...(schema.atomic && { 'x-kubernetes-map-type': 'atomic' }),
          ...nullable(schema),
        }
      case 'union':
        return this.special(`${unionPrefix}.${schema.name}`, {})
      case 'any':
        if (schema.special === undefined) return { 'x-kubernetes-preserve-unknown-fields': true }
        return this.special(specialNames[schema.special]!, this.specialForm(schema.special))
      default: {
        const plain = plainTypes[schema.type]
        if (plain === undefined) return this.special(specialNames[schema.type]!, this.specialForm(schema.type))
        return { ...plain, ...(schema.enum !== undefined && { enum: [...schema.enum] }), ...nullable(schema) }
      }
    }
  }

  private specialForm(type: string): Json {
    return (this.version === 'v2' ? specialsV2 : specialsV3)[type]!
  }

  private special(name: string, form: Json): Json {
    const text = this.descriptions[name]?.['']
    this.all[name] ??= { ...(text !== undefined && { description: text }), ...form }
    return this.ref(name)
  }
}

function nullable(schema: Schema): Json {
  return schema.type !== 'struct' && schema.nullable ? { nullable: true } : {}
}

function structExtensions(schema: StructSchema): Json {
  return {
    ...(schema.atomic && { 'x-kubernetes-map-type': 'atomic' }),
    ...(schema.preserveUnknown && { 'x-kubernetes-preserve-unknown-fields': true }),
    ...(schema.embeddedResource && { 'x-kubernetes-embedded-resource': true }),
  }
}

function listExtensions(schema: Extract<Schema, { type: 'list' }>): Json {
  return {
    'x-kubernetes-list-type': schema.listType,
    ...(schema.listType === 'map' && { 'x-kubernetes-list-map-keys': [...schema.mapKeys] }),
  }
}

function patchExtensions({ patchStrategy, patchMergeKey }: FieldSchema): Json {
  return {
    ...(patchStrategy !== undefined && { 'x-kubernetes-patch-strategy': patchStrategy.join(',') }),
    ...(patchMergeKey !== undefined && { 'x-kubernetes-patch-merge-key': patchMergeKey }),
  }
}

// Besides what is said, what Go fills in: zero values where nothing is left out.
function defaultOf({ schema, pointer, omitEmpty, default: said }: FieldSchema): unknown {
  if (said !== undefined) return said
  if (pointer) return undefined
  if (schema.type === 'struct') return {}
  if (omitEmpty || !(schema.type in plainTypes) || schema.type === 'bytes') return undefined
  return zeroScalar(schema.type as 'string')
}
