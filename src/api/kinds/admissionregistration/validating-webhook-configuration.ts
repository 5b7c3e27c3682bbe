// ValidatingWebhookConfiguration of admissionregistration.k8s.io/v1.
import type * as admissionregistrationV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type ValidatingWebhookConfiguration = admissionregistrationV1.ValidatingWebhookConfiguration

export const ValidatingWebhookConfiguration = defineKind<ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
)
