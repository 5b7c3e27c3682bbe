// ValidatingAdmissionPolicyBinding of admissionregistration.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { duplicate, invalid, notSupported, required } from '../../validation/field-errors.ts'
import { bindingColumns, validateBindingSpec } from './policies.ts'
import { setMatchResourcesDefaults } from './rules.ts'

export type ValidatingAdmissionPolicyBinding = admissionV1.ValidatingAdmissionPolicyBinding

const supportedActions = ['Audit', 'Deny', 'Warn']
const denyAndWarn =
  'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'

function validateActions(actions: readonly string[], path: string): FieldError[] {
  if (actions.length === 0) return [required(path, 'at least one validation action is required')]
  const errors: FieldError[] = []
  for (const [i, action] of actions.entries()) {
    if (!supportedActions.includes(action)) errors.push(notSupported(`${path}[${i}]`, action, supportedActions))
    if (actions.indexOf(action) < i) errors.push(duplicate(`${path}[${i}]`, action))
  }
  if (actions.includes('Deny') && actions.includes('Warn')) errors.push(invalid(path, actions, denyAndWarn))
  return errors
}

export const ValidatingAdmissionPolicyBinding = defineKind<ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
  {
    setDefaults({ spec }) {
      setMatchResourcesDefaults(spec.matchResources)
    },
    allowUnconditionalUpdate: false,
    validate: ({ spec }) => [
      ...validateBindingSpec(spec, 'spec'),
      ...validateActions(spec.validationActions ?? [], 'spec.validationActions'),
    ],
    columns: bindingColumns,
  },
)
