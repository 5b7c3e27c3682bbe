// MutatingWebhookConfiguration of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type MutatingWebhookConfiguration = admissionregistrationV1.MutatingWebhookConfiguration

export const MutatingWebhookConfiguration = defineKind<MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
)
