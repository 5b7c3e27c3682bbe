// MutatingAdmissionPolicyBinding of admissionregistration.k8s.io/v1.
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { bindingColumns, validateBindingSpec } from './policies.ts'
import { setMatchResourcesDefaults, validateMutatingOperations } from './rules.ts'

export type MutatingAdmissionPolicyBinding = admissionV1.MutatingAdmissionPolicyBinding

export const MutatingAdmissionPolicyBinding = defineKind<MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings',
  {
    setDefaults({ spec }) {
      setMatchResourcesDefaults(spec.matchResources)
    },
    allowUnconditionalUpdate: false,
    validate: ({ spec }) => [
      ...validateBindingSpec(spec, 'spec'),
      ...validateMutatingOperations(spec.matchResources, 'spec.matchResources'),
    ],
    columns: bindingColumns,
  },
)
