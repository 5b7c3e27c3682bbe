// ValidatingAdmissionPolicy of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type ValidatingAdmissionPolicy = admissionregistrationV1.ValidatingAdmissionPolicy

export const ValidatingAdmissionPolicy = defineKind<ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies',
)
