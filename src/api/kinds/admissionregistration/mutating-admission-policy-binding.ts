// MutatingAdmissionPolicyBinding of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type MutatingAdmissionPolicyBinding = admissionregistrationV1.MutatingAdmissionPolicyBinding

export const MutatingAdmissionPolicyBinding = defineKind<MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings',
)
