// PodDisruptionBudget of policy/v1.
import type { FieldError } from '../../errors.ts'
import type * as policyV1 from '../../generated/policy-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { validateConditions } from '../../validation/conditions.ts'
import { invalid, notSupported } from '../../validation/field-errors.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { nonNegativeFields, notOver100Percent, validateIntOrPercent } from '../numbers.ts'

export type PodDisruptionBudget = policyV1.PodDisruptionBudget

const evictionPolicies = ['AlwaysAllow', 'IfHealthyBudget']

function validate({ spec }: PodDisruptionBudget): FieldError[] {
  const errors: FieldError[] = []
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    // Compat: shown as Kubernetes' internal structure.
    const shown = {
      MinAvailable: minAvailable,
      Selector: spec.selector ?? null,
      MaxUnavailable: maxUnavailable,
      UnhealthyPodEvictionPolicy: policy ?? null,
    }
    errors.push(invalid('spec', shown, 'minAvailable and maxUnavailable cannot be both set'))
  }
  for (const field of ['minAvailable', 'maxUnavailable'] as const) {
    const value = spec[field]
    if (value !== undefined) errors.push(...validateIntOrPercent(value, `spec.${field}`), ...notOver100Percent(value, `spec.${field}`))
  }
  errors.push(...validateLabelSelector(spec.selector, 'spec.selector'))
  if (policy !== undefined && !evictionPolicies.includes(policy)) {
    errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, evictionPolicies))
  }
  return errors
}

export const PodDisruptionBudget = defineKind<PodDisruptionBudget>('policy/v1/poddisruptionbudgets', {
  validate,
  validateStatusUpdate: ({ status }) => [
    ...validateConditions(status.conditions, 'status.conditions'),
    ...nonNegativeFields(status, 'status', 'disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'),
  ],
  allowUnconditionalUpdate: false,
  columns: [
    nameColumn,
    column<PodDisruptionBudget>('Min Available', ({ spec }) => String(spec.minAvailable ?? 'N/A')),
    column<PodDisruptionBudget>('Max Unavailable', ({ spec }) => String(spec.maxUnavailable ?? 'N/A')),
    countColumn<PodDisruptionBudget>('Allowed Disruptions', ({ status }) => status.disruptionsAllowed),
    ageColumn,
  ],
})
