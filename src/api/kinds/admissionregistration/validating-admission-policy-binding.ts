// ValidatingAdmissionPolicyBinding of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type ValidatingAdmissionPolicyBinding = admissionregistrationV1.ValidatingAdmissionPolicyBinding

export const ValidatingAdmissionPolicyBinding = defineKind<ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
)
