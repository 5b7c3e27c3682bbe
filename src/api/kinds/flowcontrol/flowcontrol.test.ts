import { describe, expect, test } from 'vitest'
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import type { Manifest } from '../../object.ts'
import { APIService } from '../apiregistration/api-service.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { FlowSchema } from './flow-schema.ts'
import { mandatorySchemas } from './mandatory.ts'
import { PriorityLevelConfiguration } from './priority-level-configuration.ts'

const base: Manifest<flowcontrolV1.FlowSchemaSpec> = {
  priorityLevelConfiguration: { name: 'global-default' },
  rules: [{ subjects: [{ kind: 'User', user: { name: '*' } }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }],
}

describe('flow schemas', () => {
  test.each<[string, Manifest<flowcontrolV1.FlowSchemaSpec>, string[]]>([
    ['a level for somebody', base, []],
    [
      'some level',
      { ...base, priorityLevelConfiguration: { name: '' } },
      ['spec.priorityLevelConfiguration.name: Required value: must reference a priority level'],
    ],
    [
      'not before the exempt',
      { ...base, matchingPrecedence: 1 },
      ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
    ],
    [
      'for somebody, on something',
      { ...base, rules: [{ subjects: [] }] },
      [
        'spec.rules[0].subjects: Required value: subjects must contain at least one value',
        'spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty',
      ],
    ],
    [
      'paths, namespaces and subjects as they are written',
      {
        ...base,
        rules: [
          {
            subjects: [{ kind: 'User', group: { name: 'a' } }],
            resourceRules: [{ verbs: ['get'], apiGroups: ['*'], resources: ['*'], namespaces: ['A'] }],
            nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['', 'a', '/a b', '/a//b', '/a*', '/a/*'] }],
          },
        ],
      },
      [
        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
        "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
        "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "": must not be empty',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: "a": must start with slash',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a b": must not contain white-space',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: "/a//b": must not contain double slash',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: Invalid value: "/a*": wildcard can only do suffix matching',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(FlowSchema, { spec })).toEqual(errors)
  })

  test('those that no cluster can do without say what they always say', () => {
    expect(createErrors(FlowSchema, { metadata: { name: 'exempt' }, spec: mandatorySchemas.exempt })).toEqual([])
    const spec = { ...mandatorySchemas.exempt, matchingPrecedence: 2 }
    expect(createErrors(FlowSchema, { metadata: { name: 'exempt' }, spec })).toEqual([
      expect.stringMatching(/^spec: Invalid value: .*: spec of 'exempt' must equal the fixed value$/),
    ])
  })

  test('conditions are of different types', () => {
    const status = { conditions: [{ type: 'Dangling' }, { type: 'Dangling' }, {}] }
    expect(updateErrors(FlowSchema, { spec: base }, { spec: base, status }, 'status')).toEqual([
      'status.conditions[1].type: Duplicate value: "Dangling"',
      'status.conditions[2].type: Required value',
    ])
  })

  test('the table shows the order', () => {
    expect(row(FlowSchema, created(FlowSchema, { spec: base }))).toMatchObject({
      PriorityLevel: 'global-default',
      MatchingPrecedence: 1000,
      DistinguisherMethod: '<none>',
      MissingPL: '?',
    })
  })
})

describe('priority levels', () => {
  const limited = { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } }

  test('have queues unless told otherwise', () => {
    const level = created(PriorityLevelConfiguration, { spec: limited })
    expect(level.spec.limited).toEqual({
      nominalConcurrencyShares: 30,
      lendablePercent: 0,
      limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
    })
    expect(row(PriorityLevelConfiguration, level)).toMatchObject({
      NominalConcurrencyShares: 30,
      Queues: 64,
      HandSize: 8,
      QueueLengthLimit: 50,
    })
  })

  test('are exempt in name only', () => {
    expect(createErrors(PriorityLevelConfiguration, { spec: limited })).toEqual([])
    expect(createErrors(PriorityLevelConfiguration, { spec: { type: 'Exempt' } })).toEqual([
      "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
    ])
    expect(createErrors(PriorityLevelConfiguration, { spec: { type: 'Limited', limited: { limitResponse: { type: 'Drop' } } } })).toEqual([
      'spec.limited.limitResponse.type: Unsupported value: "Drop": supported values: "Queue", "Reject"',
    ])
  })
})

describe('API services', () => {
  const spec = { group: 'example.com', version: 'v1', groupPriorityMinimum: 100, versionPriority: 10 }
  const metadata = { name: 'v1.example.com' }

  test('that this server serves are available at once', () => {
    const local = created(APIService, { metadata, spec })
    expect(row(APIService, local)).toMatchObject({ Service: 'Local', Available: 'True' })
    const remote = created(APIService, { metadata, spec: { ...spec, service: { namespace: 'a', name: 'b' } } })
    expect(remote.spec.service!.port).toBe(443)
    expect(row(APIService, remote)).toMatchObject({ Service: 'a/b', Available: 'Unknown' })
  })

  test('are named after what they serve, and ordered', () => {
    expect(createErrors(APIService, { metadata, spec })).toEqual([])
    expect(createErrors(APIService, { metadata: { name: 'other' }, spec })).toEqual([
      'metadata.name: Invalid value: "other": must be `spec.version+"."+spec.group`: "v1.example.com"',
    ])
    expect(createErrors(APIService, { metadata, spec: { ...spec, versionPriority: 0, insecureSkipTLSVerify: true } })).toEqual([
      'spec.versionPriority: Invalid value: 0: must be positive and less than 1000',
      'spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify',
    ])
  })
})
