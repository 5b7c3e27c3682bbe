// The webhooks of all configurations, and which of them a write concerns: found once for each form of write, and anew after a
// configuration or the set of served kinds has changed.
import type {
  MutatingWebhookConfiguration as MutatingConfiguration,
  MutatingWebhook,
  ValidatingWebhookConfiguration as ValidatingConfiguration,
  ValidatingWebhook,
} from '#api/generated/admissionregistration-v1'
import type { Kind } from '#api/kind'
import type { KindCatalog, LocalReader } from '../../request.ts'
import { isExemptFromAdmission, ruleMatches } from '../matching/rules.ts'
import { compileSelectors, type Selectors } from '../matching/selectors.ts'
import { equivalentKinds, requestedKind, resourceOf } from '../matching/versions.ts'
import type { AdmissionRequest } from '../plugin.ts'

/** One webhook, ready to be asked. */
export interface Webhook {
  /** Of its configuration. */
  readonly configuration: string
  /** Tells webhooks apart within a write. */
  readonly id: string
  readonly spec: ValidatingWebhook | MutatingWebhook
  readonly selectors: Selectors
}

/** A webhook that a form of write concerns, and the version in which it wants to see it. */
export interface Match {
  readonly webhook: Webhook
  readonly kind: Kind
  /** Where it stands among all webhooks. */
  readonly index: number
}

export interface WebhookIndex {
  /** Those whose rules match, in the order in which they are asked. Selectors and conditions are yet to be looked at. */
  matching(request: AdmissionRequest): readonly Match[]
}

export interface WebhookIndexDeps {
  readonly reader: LocalReader
  readonly catalog: KindCatalog
}

type Configuration = ValidatingConfiguration | MutatingConfiguration

// Forms of writes that are remembered: operation, resource, subresource.
const formsMax = 10_000
const none: readonly Match[] = []

export function createWebhookIndex<T extends Configuration>(kind: Kind<T>, { reader, catalog }: WebhookIndexDeps): WebhookIndex {
  let webhooks: readonly Webhook[] | undefined
  const forms = new Map<string, readonly Match[]>()
  let watching = false

  const current = (): readonly Webhook[] => {
    // The caches are made after admission, so they are first asked when there is something to admit.
    if (!watching) {
      watching = true
      reader.onChange(kind, () => {
        webhooks = undefined
      })
      catalog.onChange(() => forms.clear())
    }
    if (webhooks === undefined) {
      webhooks = collect(reader.list(kind))
      forms.clear()
    }
    return webhooks
  }

  return {
    matching(request) {
      const all = current()
      if (all.length === 0 || request.origin === undefined) return none
      const { origin, operation, subresource } = request
      const key = `${operation} ${origin.group}/${origin.version}/${origin.resource} ${request.kind.id}/${subresource}`
      let found = forms.get(key)
      if (found === undefined) {
        found = isExemptFromAdmission(request.kind.group, request.kind.resource) ? none : findMatches(all, request, catalog)
        if (forms.size >= formsMax) forms.clear()
        forms.set(key, found)
      }
      return found
    },
  }
}

function collect(configurations: readonly Configuration[]): Webhook[] {
  const byName = [...configurations].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  return byName.flatMap(({ metadata, webhooks = [] }) =>
    webhooks.map((spec, i) => ({
      configuration: metadata.name,
      id: `${metadata.name}/${spec.name}/${i}`,
      spec,
      selectors: compileSelectors(spec.namespaceSelector, spec.objectSelector),
    })),
  )
}

function findMatches(webhooks: readonly Webhook[], request: AdmissionRequest, catalog: KindCatalog): Match[] {
  const requested = requestedKind(request, catalog)
  const versions = equivalentKinds(requested, catalog)
  return webhooks.flatMap((webhook, index) => {
    const kinds = webhook.spec.matchPolicy === 'Exact' ? [requested] : versions
    const kind = kinds.find((one) => means(webhook, one, request))
    return kind === undefined ? [] : [{ webhook, kind, index }]
  })
}

function means({ spec }: Webhook, kind: Kind, { operation, subresource }: AdmissionRequest): boolean {
  const subject = { ...resourceOf(kind), operation, subresource, namespaced: kind.namespaced }
  return (spec.rules ?? []).some((rule) => ruleMatches(rule, subject))
}
