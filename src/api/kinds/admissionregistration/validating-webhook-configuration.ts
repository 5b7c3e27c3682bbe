// ValidatingWebhookConfiguration of admissionregistration.k8s.io/v1.
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { setWebhookDefaults, validateWebhooks, webhookColumns } from './webhooks.ts'

export type ValidatingWebhookConfiguration = admissionV1.ValidatingWebhookConfiguration

export const ValidatingWebhookConfiguration = defineKind<ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
  {
    setDefaults({ webhooks }) {
      for (const webhook of webhooks ?? []) setWebhookDefaults(webhook)
    },
    allowUnconditionalUpdate: false,
    validate: ({ webhooks }) => validateWebhooks(webhooks),
    hasGeneration: true,
    columns: webhookColumns,
  },
)
