// ValidatingAdmissionWebhook: all webhooks that a write concerns are asked at once; each may refuse it.
import { ValidatingWebhookConfiguration } from '#api/kinds/admissionregistration/validating-webhook-configuration'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { type AskDeps, ask, concerned } from './ask.ts'
import { createWebhookIndex, type Match } from './webhook-index.ts'

export function validatingWebhooks(deps: AskDeps): AdmissionPlugin {
  const index = createWebhookIndex(ValidatingWebhookConfiguration, deps)
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: () => true,
    validate(request) {
      const matches = index.matching(request)
      return matches.length === 0 ? undefined : validate(deps, matches, request)
    },
  }
}

async function validate(deps: AskDeps, matches: readonly Match[], request: AdmissionRequest): Promise<void> {
  const asked: Match[] = []
  for (const match of matches) if (await concerned(deps, match, request, false)) asked.push(match)
  const answers = await Promise.allSettled(asked.map((match) => ask(deps, match, request, false, () => true)))
  for (const [i, answer] of answers.entries()) {
    if (answer.status === 'fulfilled' && answer.value === undefined) {
      request.annotate(`failed-open.validating.webhook.admission.k8s.io/round_0_index_${i}`, asked[i]!.webhook.spec.name)
    }
  }
  // Several may refuse: the first of them, in the order of the configurations, is told.
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
}
