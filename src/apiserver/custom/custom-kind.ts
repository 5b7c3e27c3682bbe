// From one version of a CustomResourceDefinition to the Kind that everything else works with.

import { ageOf } from '#api/duration'
import type { CustomResourceColumnDefinition, CustomResourceDefinitionVersion, JSONSchemaProps } from '#api/generated/apiextensions-v1'
import type { SubresourceFacts } from '#api/generated/resources'
import { type Column, column, type Kind, type Strategy } from '#api/kind'
import type { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import type { KubeObject } from '#api/object'
import { stringifyJson } from '#api/schema/stringify'
import { compareVersions } from '../discovery/documents.ts'
import { compileJsonPath } from './json-path.ts'
import type { CompiledRules } from './rules.ts'
import { fillDefaults } from './settle-value.ts'
import { structSchemaOf } from './structural-schema.ts'
import { finalizerWarnings, objectChecks } from './validate-object.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const partVerbs = ['get', 'patch', 'update']

/** The id of a custom kind, as of all others: `group/version/plural`. */
export function customKindId(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`
}

/** `rules`: the compiled rules of the version's schema, when it has any. */
export function customKind(definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion, rules?: CompiledRules): Kind {
  const { spec } = definition
  const { group } = spec
  const names = definition.status?.acceptedNames?.kind ? definition.status.acceptedNames : spec.names
  const props = version.schema?.openAPIV3Schema
  const schema = structSchemaOf(props, spec.preserveUnknownFields === true)
  const storage = spec.versions.find((one) => one.storage)?.name ?? version.name
  const kind: Kind = {
    id: customKindId(group, version.name, names.plural),
    group,
    version: version.name,
    apiVersion: `${group}/${version.name}`,
    kind: names.kind,
    listKind: names.listKind || `${names.kind}List`,
    resource: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: spec.scope === 'Namespaced',
    verbs,
    subresources: subresourcesOf(names.kind, version),
    schema: () => schema,
    strategy: strategyOf(version, props, rules, storage === version.name ? undefined : customKindId(group, storage, names.plural)),
    storagePrefix: `/registry/${group}/${names.plural}`,
    custom: true,
    published: { schema: props, preserveUnknownFields: spec.preserveUnknownFields === true },
  }
  if (version.deprecated === true) {
    deprecations.set(kind, version.deprecationWarning ?? deprecationText(spec, version.name, names.kind))
  }
  return kind
}

const deprecations = new WeakMap<Kind, string>()

function deprecationText({ group, versions }: CustomResourceDefinition['spec'], deprecated: string, kind: string): string {
  const better = versions.filter((one) => one.served && one.deprecated !== true && compareVersions(deprecated, one.name) < 0)
  const [best] = better.map(({ name }) => name).sort((a, b) => compareVersions(b, a))
  const text = `${group}/${deprecated} ${kind} is deprecated`
  return best === undefined ? text : `${text}; use ${group}/${best} ${kind}`
}

/** What clients of a deprecated version are told. */
export function customDeprecation(kind: Kind): string | undefined {
  return deprecations.get(kind)
}

function subresourcesOf(kind: string, { subresources }: CustomResourceDefinitionVersion): SubresourceFacts[] {
  const facts: SubresourceFacts[] = []
  if (subresources?.status !== undefined) facts.push({ name: 'status', kind, verbs: partVerbs })
  if (subresources?.scale !== undefined) facts.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: partVerbs })
  return facts
}

function strategyOf(
  version: CustomResourceDefinitionVersion,
  props: JSONSchemaProps | undefined,
  rules: CompiledRules | undefined,
  storedAs: string | undefined,
): Strategy<KubeObject> {
  const checks = objectChecks(version, rules)
  const selectable = (version.selectableFields ?? []).flatMap(({ jsonPath }) => {
    const read = compileJsonPath(jsonPath)
    return read === undefined ? [] : [[dotted(jsonPath), (object: KubeObject) => scalarText(read(object)[0])] as const]
  })
  const scale = version.subresources?.scale
  return {
    setDefaults: (object) => {
      if (props !== undefined) fillDefaults(object as unknown as Record<string, unknown>, props)
    },
    validateCreate: checks.create,
    validateUpdate: checks.update,
    validateStatusUpdate: checks.statusUpdate,
    warnings: finalizerWarnings,
    allowUnconditionalUpdate: false,
    hasGeneration: true,
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: Object.fromEntries(selectable),
    ...(scale === undefined
      ? {}
      : {
          scale: {
            specReplicas: dotted(scale.specReplicasPath),
            statusReplicas: dotted(scale.statusReplicasPath),
            selector: (object: KubeObject) => selectorText(object, scale.labelSelectorPath),
          },
        }),
    ...(storedAs === undefined ? {} : { storedAs }),
  }
}

function dotted(jsonPath: string): string {
  return jsonPath.startsWith('.') ? jsonPath.slice(1) : jsonPath
}

function scalarText(value: unknown): string {
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value)
}

function selectorText(object: KubeObject, path: string | undefined): string {
  return path === undefined ? '' : scalarText(compileJsonPath(path)?.(object)[0])
}

const nameColumn = column<KubeObject>('Name', (object) => object.metadata.name, {
  format: 'name',
  description: 'Name must be unique within a namespace.',
})
const ageColumn = column<KubeObject>('Age', (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs), {
  type: 'date',
  description: 'When the object was made.',
})

function columnsOf(definitions: readonly CustomResourceColumnDefinition[] | undefined): Column[] {
  if (definitions === undefined || definitions.length === 0) return [nameColumn, ageColumn]
  return [nameColumn, ...definitions.map(columnOf)]
}

function columnOf({ name, type, format, description, priority, jsonPath }: CustomResourceColumnDefinition): Column {
  const read = compileJsonPath(jsonPath)
  const cell: Column['cell'] = (object, nowMs) => {
    const [value] = read?.(object) ?? []
    if (value === undefined || value === null) return null
    // What is not of the column's type is not shown.
    switch (type) {
      case 'date':
        return typeof value !== 'string' ? null : Number.isNaN(Date.parse(value)) ? '<invalid>' : ageOf(value, nowMs)
      case 'string':
        return typeof value === 'object' ? stringifyJson(value) : String(value)
      case 'boolean':
        return typeof value === 'boolean' ? value : null
      case 'integer':
        return typeof value === 'number' ? Math.trunc(value) : typeof value === 'bigint' ? (value as unknown as number) : null
      default:
        return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null
    }
  }
  return column<KubeObject>(name, cell, {
    type: type as Column['type'],
    ...(format === undefined ? {} : { format }),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: priority ?? 0,
  })
}
