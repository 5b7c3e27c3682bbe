// What ValidatingWebhookConfiguration and MutatingWebhookConfiguration share.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import type { Column } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import type { KubeObject } from '../../object.ts'
import { duplicate, invalid, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain } from '../../validation/names.ts'
import { validateClientConfig, validateReviewVersions } from '../../validation/webhooks.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { setRuleDefaults, validateFailurePolicy, validateMatchConditions, validateMatchPolicy, validateRule } from './rules.ts'

type Webhook = admissionV1.ValidatingWebhook | admissionV1.MutatingWebhook

interface WebhookConfiguration extends KubeObject {
  webhooks?: Webhook[]
}

const reviewVersions = ['v1', 'v1beta1']
const doubled = (path: string, version: string): FieldError => invalid(path, version, 'duplicate version')
const sideEffects = ['None', 'NoneOnDryRun']

export function setWebhookDefaults(webhook: Webhook): void {
  webhook.failurePolicy ??= 'Fail'
  webhook.matchPolicy ??= 'Equivalent'
  webhook.namespaceSelector ??= {}
  webhook.objectSelector ??= {}
  webhook.timeoutSeconds ??= 10
  if (webhook.clientConfig.service !== undefined) webhook.clientConfig.service.port ??= 443
  setRuleDefaults(webhook.rules)
}

/** `extra`: what one of the two kinds checks besides. */
export function validateWebhooks<T extends Webhook>(
  webhooks: readonly T[] | undefined,
  extra: (webhook: T, path: string) => FieldError[] = () => [],
): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, webhook] of (webhooks ?? []).entries()) {
    const path = `webhooks[${i}]`
    errors.push(...validateWebhook(webhook, path), ...extra(webhook, path))
    const words = { missing: `must specify one of ${reviewVersions.join(', ')}`, duplicate: doubled }
    errors.push(...validateReviewVersions(webhook.admissionReviewVersions, reviewVersions, `${path}.admissionReviewVersions`, words))
    if (names.has(webhook.name)) errors.push(duplicate(`${path}.name`, webhook.name))
    if (webhook.name !== '') names.add(webhook.name)
  }
  return errors
}

function validateWebhook(webhook: Webhook, path: string): FieldError[] {
  const { name, rules, timeoutSeconds } = webhook
  const errors = validateFullName(name, `${path}.name`)
  for (const [i, rule] of (rules ?? []).entries()) errors.push(...validateRule(rule, `${path}.rules[${i}]`))
  errors.push(...validateFailurePolicy(webhook.failurePolicy, `${path}.failurePolicy`))
  errors.push(...validateMatchPolicy(webhook.matchPolicy, `${path}.matchPolicy`))
  const effects: string | undefined = webhook.sideEffects
  if (!effects) errors.push(required(`${path}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`))
  else if (!sideEffects.includes(effects)) errors.push(notSupported(`${path}.sideEffects`, effects, sideEffects))
  if (timeoutSeconds !== undefined && (timeoutSeconds < 1 || timeoutSeconds > 30)) {
    errors.push(invalid(`${path}.timeoutSeconds`, timeoutSeconds, 'the timeout value must be between 1 and 30 seconds'))
  }
  errors.push(...validateLabelSelector(webhook.namespaceSelector, `${path}.namespaceSelector`))
  errors.push(...validateLabelSelector(webhook.objectSelector, `${path}.objectSelector`))
  errors.push(...validateClientConfig(webhook.clientConfig, `${path}.clientConfig`))
  return [...errors, ...validateMatchConditions(webhook.matchConditions, `${path}.matchConditions`)]
}

function validateFullName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  const problems = checkDns1123Subdomain(name)
  if (problems.length > 0) return [invalid(path, name, problems.join(','))]
  return name.split('.').length < 3 ? [invalid(path, name, 'should be a domain with at least three segments separated by dots')] : []
}

export const webhookColumns: readonly Column<WebhookConfiguration>[] = [
  nameColumn,
  countColumn<WebhookConfiguration>('Webhooks', ({ webhooks }) => webhooks?.length),
  ageColumn,
]
