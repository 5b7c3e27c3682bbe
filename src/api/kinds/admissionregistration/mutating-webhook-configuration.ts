// MutatingWebhookConfiguration of admissionregistration.k8s.io/v1.
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { validateReinvocationPolicy } from './rules.ts'
import { setWebhookDefaults, validateWebhooks, webhookColumns } from './webhooks.ts'

export type MutatingWebhookConfiguration = admissionV1.MutatingWebhookConfiguration

export const MutatingWebhookConfiguration = defineKind<MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
  {
    setDefaults({ webhooks }) {
      for (const webhook of webhooks ?? []) {
        setWebhookDefaults(webhook)
        webhook.reinvocationPolicy ??= 'Never'
      }
    },
    allowUnconditionalUpdate: false,
    validate: ({ webhooks }) =>
      validateWebhooks(webhooks, ({ reinvocationPolicy }, path) =>
        reinvocationPolicy === undefined ? [] : validateReinvocationPolicy(reinvocationPolicy, `${path}.reinvocationPolicy`),
      ),
    hasGeneration: true,
    columns: webhookColumns,
  },
)
