import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { RuntimeClass } from '../node/runtime-class.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { PriorityClass } from './priority-class.ts'

describe('priority classes', () => {
  test.each<[string, Manifest<PriorityClass>, string[]]>([
    ['a number', { value: 10 }, []],
    ['not above a billion', { value: 1_000_000_001 }, ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000']],
    ['the system’s own have their numbers', { metadata: { name: 'system-node-critical' }, value: 2_000_001_000 }, []],
    [
      'no others',
      { metadata: { name: 'system-node-critical' }, value: 1 },
      [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
      ],
    ],
    [
      'and no more of them',
      { metadata: { name: 'system-mine' }, value: 1 },
      [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
      ],
    ],
    [
      'two policies',
      { value: 1, preemptionPolicy: 'Always' as 'Never' },
      ['preemptionPolicy: Unsupported value: "Always": supported values: "PreemptLowerPriority", "Never"'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(PriorityClass, manifest)).toEqual(errors)
  })

  test('its number stays, and so does its generation', () => {
    expect(created(PriorityClass, { value: 1 }).metadata.generation).toBe(1)
    expect(updateErrors(PriorityClass, { value: 1 }, { value: 2, preemptionPolicy: 'Never' })).toEqual([
      'value: Forbidden: may not be changed in an update.',
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ])
  })

  test('the table shows it', () => {
    expect(row(PriorityClass, created(PriorityClass, { value: 7 }))).toMatchObject({
      Value: 7,
      'Global-Default': false,
      PreemptionPolicy: 'PreemptLowerPriority',
    })
  })
})

describe('runtime classes', () => {
  test('are warned about labels that have newer names', () => {
    const scheduling = { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }
    expect(RuntimeClass.strategy.warnings?.(created(RuntimeClass, { handler: 'runsc', scheduling }), undefined)).toEqual([
      'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead',
    ])
    const tolerations = [{ key: 'a', operator: 'Exists' as const }]
    expect(createErrors(RuntimeClass, { handler: '', scheduling: { tolerations: [...tolerations, ...tolerations] } })).toEqual([
      'handler: Required value',
      'scheduling.tolerations[1]: Duplicate value: {"Key":"a","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}',
    ])
  })

  test('have a handler, which stays', () => {
    expect(createErrors(RuntimeClass, { handler: 'runsc' })).toEqual([])
    expect(updateErrors(RuntimeClass, { handler: 'runsc' }, { handler: 'kata' })).toEqual([
      'handler: Invalid value: "kata": field is immutable',
    ])
    expect(createErrors(RuntimeClass, { handler: 'runsc', overhead: { podFixed: { cpu: '-1' } } })).toEqual([
      'overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ])
  })
})
