import { describe, expect, test } from 'vitest'
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import type { Manifest } from '../../object.ts'
import { APIService } from '../apiregistration/api-service.ts'
import { created, createErrors, row } from '../testing.ts'
import { FlowSchema } from './flow-schema.ts'
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
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(FlowSchema, { spec })).toEqual(errors)
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
      "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if `name` is 'exempt'",
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
