// The shape of codegen/facts/schema-facts.json, as far as the generators read it.

export interface FieldFact {
  name?: string
  inline?: boolean
  type: string
  ref?: string
  items?: FieldFact
  values?: FieldFact
  named?: string
  enum?: boolean
  pointer?: boolean
  omitempty?: boolean
  omitzero?: boolean
  required?: boolean
  default?: unknown
  listType?: string
  listMapKeys?: string[]
  mapType?: string
  structType?: string
  patchStrategy?: string
  patchMergeKey?: string
  jsonHidden?: boolean
  noJSONTag?: boolean
  protobufMessage?: boolean
  pb?: { n: number; wire: string; label: string; name: string }
}

export interface DefinitionFact {
  group: string
  version: string
  kind?: string
  namespaced?: boolean
  metadata?: 'object' | 'list' | 'none'
  reachable?: boolean
  special?: string
  customJSON?: boolean
  structType?: string
  mapType?: string
  protobuf?: boolean
  fields?: FieldFact[]
}

export interface Facts {
  apiLevel: string
  groupVersions: { prefix: string; group: string; version: string; served: boolean; kinds: string[] }[]
  definitions: Record<string, DefinitionFact>
  enums: Record<string, { enum: boolean; values: Record<string, string> }>
}

export interface ResourceFact {
  group: string
  version: string
  resource: string
  singular: string
  kind: string
  listKind?: string
  namespaced: boolean
  enabledByDefault: boolean
  shortNames: string[]
  categories: string[]
  verbs: string[]
  subresources: { name: string; kind: string; group?: string; version?: string; verbs: string[] }[]
  columns?: { name: string; type: string; format?: string; priority?: number; source?: string }[]
}

/** The module name of a definition's package, e.g. `core-v1`, `apps-v1`, `meta-v1`. */
export function moduleOf(definition: string): string {
  const parts = definition.split('.')
  const version = parts.at(-2) ?? ''
  const group = parts.at(-3) ?? ''
  if (/^v\d/.test(version)) return `${group.replace(/_/g, '-')}-${version}`
  return `${group}-${version}`.replace(/_/g, '-')
}

/** The bare type name of a definition, e.g. `PodSpec`. */
export function typeNameOf(definition: string): string {
  return definition.split('.').at(-1) ?? definition
}
