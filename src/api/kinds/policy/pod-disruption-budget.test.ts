import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row } from '../testing.ts'
import { PodDisruptionBudget } from './pod-disruption-budget.ts'

describe('disruption budgets', () => {
  test.each<[string, Manifest<PodDisruptionBudget>['spec'], string[]]>([
    ['so many must stay', { minAvailable: 1 }, []],
    ['so many may go', { maxUnavailable: '50%' }, []],
    [
      'not both',
      { minAvailable: 1, maxUnavailable: 1 },
      [
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    ['no fewer than none', { minAvailable: -1 }, ['spec.minAvailable: Invalid value: -1: must be greater than or equal to 0']],
    ['no more than all', { maxUnavailable: '150%' }, ['spec.maxUnavailable: Invalid value: "150%": must not be greater than 100%']],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(PodDisruptionBudget, { spec })).toEqual(errors)
  })

  test('the table shows what is left', () => {
    const object = created(PodDisruptionBudget, { spec: { minAvailable: '30%' } })
    object.status.disruptionsAllowed = 2
    expect(row(PodDisruptionBudget, object)).toMatchObject({
      'Min Available': '30%',
      'Max Unavailable': 'N/A',
      'Allowed Disruptions': 2,
    })
  })
})
