// MutatingAdmissionPolicy of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type MutatingAdmissionPolicy = admissionregistrationV1.MutatingAdmissionPolicy

export const MutatingAdmissionPolicy = defineKind<MutatingAdmissionPolicy>('admissionregistration.k8s.io/v1/mutatingadmissionpolicies')
