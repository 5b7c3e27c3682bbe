// Schemas of the built-in types, built from the generated tables on first use: a definition is parsed when a kind that reaches
// it is first asked for, once, and shared from then on. Nothing is built at import.
import { schemaDefaults, schemaEnums, schemaGroupVersions, schemaLines, schemaNames, schemaPrefixes } from '../generated/schemas.ts'
import type {
  AnySchema,
  FieldSchema,
  ListSchema,
  MapSchema,
  PatchStrategy,
  ProtobufField,
  RefSchema,
  ScalarSchema,
  ScalarType,
  Schema,
  StructSchema,
  UnionSchema,
} from './schema.ts'

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1'

/** The schema of a kind, list kinds and the kinds of meta.k8s.io included. Throws for a kind that is not built in. */
export function builtinSchema(apiVersion: string, kind: string): StructSchema {
  const schema = findBuiltinSchema(apiVersion, kind)
  if (schema === undefined) throw new Error(`assertion failed: no schema of ${apiVersion} ${kind}`)
  return schema
}

/** Like `builtinSchema`, or undefined. The kinds of meta.k8s.io (Status, DeleteOptions, Table, …) are found under every apiVersion. */
export function findBuiltinSchema(apiVersion: string, kind: string): StructSchema | undefined {
  const prefix = schemaGroupVersions.find(([name]) => name === apiVersion)?.[1]
  if (prefix !== undefined) {
    const found = tryDefinition(`${schemaPrefixes[prefix]}.${kind}`)
    if (found?.fields.has('kind')) return found
  }
  return metaKinds.has(kind) ? tryDefinition(`${metaPrefix}.${kind}`) : undefined
}

const metaKinds: ReadonlySet<string> = new Set([
  'Status',
  'DeleteOptions',
  'ListOptions',
  'GetOptions',
  'CreateOptions',
  'UpdateOptions',
  'PatchOptions',
  'ApplyOptions',
  'TableOptions',
  'Table',
  'WatchEvent',
  'PartialObjectMetadata',
  'PartialObjectMetadataList',
  'APIVersions',
  'APIGroup',
  'APIGroupList',
  'APIResourceList',
])

/** The schema of a definition by its OpenAPI name, e.g. `io.k8s.api.core.v1.PodSpec`. Throws when there is none. */
export function definitionSchema(name: string): StructSchema {
  const schema = tryDefinition(name)
  if (schema === undefined) throw new Error(`assertion failed: no definition ${name}`)
  return schema
}

/** Names of all definitions that are structs, in declaration order. */
export function definitionNames(): readonly string[] {
  return [...openTables().byName.keys()]
}

/** What kind a definition is, if it is one: `{ group: 'apps', version: 'v1', kind: 'Deployment' }`. Those of meta.k8s.io count as v1. */
export function kindOfDefinition(name: string): { group: string; version: string; kind: string } | undefined {
  const dot = name.lastIndexOf('.')
  const kind = name.slice(dot + 1)
  const prefix = name.slice(0, dot)
  if (prefix === metaPrefix) return metaKinds.has(kind) ? { group: '', version: 'v1', kind } : undefined
  const apiVersion = schemaGroupVersions.find(([, index]) => schemaPrefixes[index] === prefix)?.[0]
  if (apiVersion === undefined || !tryDefinition(name)?.fields.has('kind') || !tryDefinition(name)?.fields.has('metadata')) return undefined
  const slash = apiVersion.indexOf('/')
  return { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1), kind }
}

interface Tables {
  readonly lines: readonly string[]
  readonly byName: ReadonlyMap<string, number>
  readonly names: readonly string[]
  readonly enums: readonly string[]
  /** By line: done, or being built (then references to it are by RefSchema). */
  readonly built: (StructSchema | 'building' | undefined)[]
}

let tables: Tables | undefined

function openTables(): Tables {
  if (tables !== undefined) return tables
  const lines = schemaLines.split('\n')
  const byName = new Map<string, number>()
  lines.forEach((line, index) => {
    byName.set(nameOfLine(line), index)
  })
  tables = { lines, byName, names: schemaNames.split(' '), enums: schemaEnums.split('\n'), built: new Array(lines.length) }
  return tables
}

function nameOfLine(line: string): string {
  const dot = line.indexOf('.')
  return `${schemaPrefixes[Number.parseInt(line.slice(0, dot), 36)]}${line.slice(dot, line.indexOf(' '))}`
}

function tryDefinition(name: string): StructSchema | undefined {
  const index = openTables().byName.get(name)
  return index === undefined ? undefined : structAt(index)
}

function structAt(index: number): StructSchema {
  const { lines, built } = openTables()
  const known = built[index]
  if (typeof known === 'object') return known
  const line = lines[index]!
  built[index] = 'building'
  const [, flags, ...fieldTexts] = line.split(' ')
  const fields = new Map<string, FieldSchema>()
  for (const text of fieldTexts) {
    const field = new FieldReader(text).readField()
    fields.set(field.name, field)
  }
  const atomic = flags === 'a'
  const struct: StructSchema = { type: 'struct', name: nameOfLine(line), fields, atomic, preserveUnknown: false, embeddedResource: false }
  built[index] = struct
  return struct
}

// A struct, or a reference to one that is being built (recursive types).
function structOrRef(index: number): StructSchema | RefSchema {
  const { built, lines } = openTables()
  if (built[index] !== 'building') return structAt(index)
  return { type: 'ref', name: nameOfLine(lines[index]!), resolve: () => structAt(index) }
}

const scalarTypes: Readonly<Record<string, ScalarType>> = {
  s: 'string',
  b: 'boolean',
  i: 'int32',
  l: 'int64',
  n: 'number',
  y: 'bytes',
  T: 'time',
  M: 'microTime',
  D: 'duration',
  Q: 'quantity',
  I: 'intOrString',
}

const anySpecials: Readonly<Record<string, AnySchema['special']>> = { R: 'RawExtension', F: 'FieldsV1', J: 'JSON' }

const unionNames: Readonly<Record<string, UnionSchema['name']>> = {
  A: 'JSONSchemaPropsOrArray',
  B: 'JSONSchemaPropsOrBool',
  S: 'JSONSchemaPropsOrStringArray',
}

const strategies: Readonly<Record<string, PatchStrategy>> = { m: 'merge', k: 'retainKeys', r: 'replace' }

// Scalar, list and map nodes that look alike are one node, by their text.
const shared = new Map<string, Schema>()

/** Reads one field of a line; the grammar stands in codegen/render-schemas.ts. */
class FieldReader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  readField(): FieldSchema {
    const name = this.until(':')
    const schema = this.readType()
    let omitEmpty = false
    let omitZero = false
    let pointer = false
    let required = false
    let patchStrategy: PatchStrategy[] | undefined
    let patchMergeKey: string | undefined
    let defaultAt: number | undefined
    let protobuf: ProtobufField | undefined
    while (this.at < this.text.length) {
      const option = this.text[this.at++]
      if (option === '?') omitEmpty = true
      else if (option === 'z') omitZero = true
      else if (option === '*') pointer = true
      else if (option === '!') required = true
      else if (option === 'P') patchStrategy = this.readStrategies()
      else if (option === 'K') patchMergeKey = this.bracketed()
      else if (option === '=') defaultAt = this.two()
      else protobuf = this.readProtobuf()
    }
    return {
      name,
      schema,
      required,
      omitEmpty,
      omitZero,
      pointer,
      ...(defaultAt !== undefined && { default: schemaDefaults[defaultAt] }),
      ...(patchStrategy !== undefined && { patchStrategy }),
      ...(patchMergeKey !== undefined && { patchMergeKey }),
      ...(protobuf !== undefined && { protobuf }),
    }
  }

  private readType(): Schema {
    const start = this.at
    const schema = this.readUnshared()
    if (schema.type === 'struct' || schema.type === 'ref') return schema
    const key = this.text.slice(start, this.at)
    const known = shared.get(key)
    if (known !== undefined) return known
    shared.set(key, schema)
    return schema
  }

  private readUnshared(): Schema {
    let goType: string | undefined
    let values: readonly string[] | undefined
    if (this.text[this.at] === '~' || this.text[this.at] === '^') {
      const closed = this.text[this.at++] === '^'
      const index = this.two()
      goType = goTypeOfName(openTables().names[index]!)
      if (closed) values = openTables().enums[index]!.split(' ')
    }
    const code = this.text[this.at++]!
    if (code === '@') return this.readStruct()
    if (code === '[') return this.readList(goType)
    if (code === '{') return this.readMap(goType)
    if (code === '|') return { type: 'union', name: unionNames[this.text[this.at++]!]!, object: schemaPropsRef }
    const special = anySpecials[code]
    if (special !== undefined) return { type: 'any', special }
    if (code === 'a') return { type: 'any' }
    const scalar: ScalarSchema = {
      type: scalarTypes[code]!,
      ...(goType !== undefined && { goType }),
      ...(values !== undefined && { enum: values }),
    }
    return scalar
  }

  private readStruct(): Schema {
    const struct = structOrRef(this.two())
    if (this.text[this.at] !== 'g') return struct
    this.at++
    return struct.type === 'struct' ? { ...struct, atomic: false } : struct
  }

  private readList(goType: string | undefined): ListSchema {
    const protobufMessage = this.text[this.at] === 'p'
    if (protobufMessage) this.at++
    const code = this.text[this.at++]
    const listType = code === 'm' ? 'map' : code === 's' ? 'set' : 'atomic'
    const mapKeys = listType === 'map' ? this.bracketed().split(',') : []
    const items = this.readType()
    return { type: 'list', items, listType, mapKeys, ...(protobufMessage && { protobufMessage }), ...(goType !== undefined && { goType }) }
  }

  private readMap(goType: string | undefined): MapSchema {
    const atomic = this.text[this.at++] === 'a'
    return { type: 'map', values: this.readType(), atomic, ...(goType !== undefined && { goType }) }
  }

  private readStrategies(): PatchStrategy[] {
    const found: PatchStrategy[] = []
    for (;;) {
      const strategy = strategies[this.text[this.at] ?? '']
      if (strategy === undefined) return found
      found.push(strategy)
      this.at++
    }
  }

  // After the first "/" or "#": the rest of the field, e.g. "2#1".
  private readProtobuf(): ProtobufField {
    const numbers = this.text
      .slice(this.at)
      .split(/[/#]/)
      .map((digits) => Number.parseInt(digits, 36))
    this.at = this.text.length
    return { number: numbers.at(-1)!, within: numbers.slice(0, -1) }
  }

  private until(end: string): string {
    const stop = this.text.indexOf(end, this.at)
    const found = this.text.slice(this.at, stop)
    this.at = stop + 1
    return found
  }

  private bracketed(): string {
    this.at++
    return this.until(')')
  }

  private two(): number {
    this.at += 2
    return Number.parseInt(this.text.slice(this.at - 2, this.at), 36)
  }
}

const schemaPropsName = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps'
const schemaPropsRef: RefSchema = { type: 'ref', name: schemaPropsName, resolve: () => definitionSchema(schemaPropsName) }

/** The Go name of a definition or named type: its last package and its own name, `v1.PodSpec`. */
export function goTypeOfName(name: string): string {
  if (!name.includes('.')) return `types.${name}`
  return name.split('.').slice(-2).join('.')
}
