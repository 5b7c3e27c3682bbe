import { describe, expect, test } from 'vitest'
import type * as apiextensionsV1 from '../../generated/apiextensions-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, updateErrors } from '../testing.ts'
import { CustomResourceDefinition } from './custom-resource-definition.ts'

type Spec = Manifest<apiextensionsV1.CustomResourceDefinitionSpec>
type Version = Manifest<apiextensionsV1.CustomResourceDefinitionVersion>
type Props = Manifest<apiextensionsV1.JSONSchemaProps>

const version: Version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }
const spec: Spec = { group: 'example.com', scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' }, versions: [version] }
const metadata = { name: 'widgets.example.com' }

function withSchema(openAPIV3Schema: Props, change: Partial<Version> = {}): Spec {
  return { ...spec, versions: [{ ...version, schema: { openAPIV3Schema }, ...change }] }
}

describe('definitions', () => {
  test('get the names that follow from others, and remember their storage version', () => {
    const { spec: stored, status } = created(CustomResourceDefinition, { metadata, spec })
    expect(stored.names).toEqual({ plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' })
    expect(stored.conversion).toEqual({ strategy: 'None' })
    expect(status.storedVersions).toEqual(['v1'])
  })

  test.each<[string, Spec, string[]]>([
    ['one version', spec, []],
    [
      'a group with a dot',
      { ...spec, group: 'example' },
      [
        'spec.group: Invalid value: "example": should be a domain with at least one dot',
        'metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
      ],
    ],
    ['a scope', { ...spec, scope: 'World' }, ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"']],
    [
      'one storage version',
      { ...spec, versions: [version, { ...version, name: 'v2', schema: { openAPIV3Schema: { type: 'object', description: 'new' } } }] },
      [
        expect.stringMatching(/^spec\.versions: Invalid value: .*: must have exactly one version marked as storage version$/),
        'status.storedVersions: Invalid value: ["v1"]: must have the storage version v2',
      ],
    ],
    [
      'with a schema',
      { ...spec, versions: [{ name: 'v1', served: true, storage: true }] },
      ['spec.versions[0].schema.openAPIV3Schema: Required value'],
    ],
    [
      'names that are labels',
      { ...spec, names: { ...spec.names, shortNames: ['W!'] } as never },
      [
        "spec.names.shortNames[0]: Invalid value: \"W!\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
      ],
    ],
    [
      'columns somewhere',
      withSchema({ type: 'object' }, { additionalPrinterColumns: [{ name: 'a', type: 'text', jsonPath: 'spec' }] }),
      [
        'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
        'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
      ],
    ],
    [
      'scale below spec and status',
      withSchema({ type: 'object' }, { subresources: { scale: { specReplicasPath: '.status.n', statusReplicasPath: '' } } }),
      [
        'spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec',
        'spec.subresources.scale.statusReplicasPath: Required value',
      ],
    ],
    [
      'conversion somewhere',
      { ...spec, conversion: { strategy: 'Webhook' } },
      [
        'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
        'spec.conversion.conversionReviewVersions: Required value',
      ],
    ],
    [
      'fields to select by',
      withSchema(
        { type: 'object', properties: { spec: { type: 'object', properties: { color: { type: 'string' } } } } },
        { selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec' }, { jsonPath: '.spec.size' }] },
      ),
      [
        'spec.selectableFields[1].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        'spec.selectableFields[2].jsonPath: Invalid value: ".spec.size": is an invalid path: does not refer to a valid field',
      ],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(CustomResourceDefinition, { metadata, spec: manifest })).toEqual(errors)
  })

  test('groups of Kubernetes want approval', () => {
    const own: Spec = { ...spec, group: 'mine.k8s.io' }
    const name = 'widgets.mine.k8s.io'
    expect(createErrors(CustomResourceDefinition, { metadata: { name }, spec: own })).toEqual([
      'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    ])
    const annotations = { 'api-approved.kubernetes.io': 'unapproved, for a test' }
    expect(createErrors(CustomResourceDefinition, { metadata: { name, annotations }, spec: own })).toEqual([])
  })
})

describe('schemas of definitions', () => {
  const at = 'spec.validation.openAPIV3Schema'
  test.each<[string, Props, string[]]>([
    ['a type at the root', {}, [`${at}.type: Required value: must not be empty at the root`]],
    [
      'which is not asked for where a schema can be no structural one',
      { 'x-kubernetes-preserve-unknown-fields': false },
      [`${at}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`],
    ],
    ['no schema of schemas', { type: 'object', $schema: 'x' }, [`${at}: Invalid value: "": OpenAPIV3Schema 'schema' is not supported`]],
    [
      'a type for every field and item',
      { type: 'object', properties: { spec: {}, list: { type: 'array', items: {} } } },
      [
        `${at}.properties[list].items.type: Required value: must not be empty for specified array items`,
        `${at}.properties[spec].type: Required value: must not be empty for specified object fields`,
      ],
    ],
    [
      'a known type',
      { type: 'object', properties: { spec: { type: 'text' } } },
      [
        `${at}.properties[spec].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
      ],
    ],
    [
      'lists of something',
      { type: 'object', properties: { list: { type: 'array' } } },
      [`${at}.properties[list].items: Required value: must be specified`],
    ],
    [
      'an integer or a string',
      { type: 'object', properties: { port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] } } },
      [],
    ],
    [
      'no types in alternatives',
      { type: 'object', properties: { a: { type: 'object', oneOf: [{ type: 'object' }] } } },
      [`${at}.properties[a].oneOf[0].type: Forbidden: must be empty to be structural`],
    ],
    [
      'nothing in alternatives that is not declared',
      { type: 'object', oneOf: [{ properties: { a: { minLength: 1 } } }] },
      [`${at}.properties[a]: Required value: because it is defined in ${at}.oneOf[0].properties[a]`],
    ],
    [
      'metadata as it is',
      { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
      [
        `${at}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified`,
      ],
    ],
    [
      'no references',
      { type: 'object', properties: { a: { type: 'object', $ref: '#/b' } } },
      [`${at}.properties[a].$ref: Forbidden: $ref is not supported`],
    ],
    [
      'fields or a map, not both',
      {
        type: 'object',
        properties: { a: { type: 'object', properties: { b: { type: 'string' } }, additionalProperties: { type: 'string' } } },
      },
      [`${at}.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`],
    ],
    [
      'list keys that items have',
      {
        type: 'object',
        properties: {
          list: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name', 'port'],
            items: { type: 'object', properties: { name: { type: 'string' } } },
          },
        },
      },
      [
        `${at}.properties[list].x-kubernetes-list-map-keys: Invalid value: ["name","port"]: entries must all be names of item properties`,
        `${at}.properties[list].items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
      ],
    ],
    [
      'rules in words',
      { type: 'object', 'x-kubernetes-validations': [{ rule: ' ' }, { rule: 'a\nb' }] },
      [
        `${at}.x-kubernetes-validations[0].rule: Required value: rule is not specified`,
        `${at}.x-kubernetes-validations[1].message: Required value: message must be specified if rule contains line breaks`,
      ],
    ],
  ])('%s', (_what, schema, errors) => {
    expect(createErrors(CustomResourceDefinition, { metadata, spec: withSchema(schema) })).toEqual(errors)
  })

  test('with a status of its own, the root is an object', () => {
    const manifest = withSchema({ type: 'object', oneOf: [] }, { subresources: { status: {} } })
    expect(createErrors(CustomResourceDefinition, { metadata, spec: manifest })).toEqual([])
  })
})

describe('updating a definition', () => {
  test('what objects are found by stays', () => {
    expect(
      updateErrors(
        CustomResourceDefinition,
        { metadata, spec },
        { metadata, spec: { ...spec, group: 'other.com' }, status: { storedVersions: ['v1'] } },
      ),
    ).toEqual(['spec.group: Invalid value: "other.com": field is immutable'])
  })

  test('versions that objects were stored in stay', () => {
    const only: Spec = { ...spec, versions: [{ ...version, name: 'v2' }] }
    expect(
      updateErrors(CustomResourceDefinition, { metadata, spec }, { metadata, spec: only, status: { storedVersions: ['v1'] } }),
    ).toEqual([
      'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions',
    ])
  })
})
