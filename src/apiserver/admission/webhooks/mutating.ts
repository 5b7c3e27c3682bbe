// MutatingAdmissionWebhook: webhooks that may change the object, asked one after another in the order of their configurations.
// When a later one changes what an earlier one has seen, all mutating plugins run once more, and those earlier ones that wish
// so (reinvocationPolicy IfNeeded) are asked again.

import type { AdmissionResponse } from '#api/generated/admission-v1'
import type { MutatingWebhook } from '#api/generated/admissionregistration-v1'
import { MutatingWebhookConfiguration } from '#api/kinds/admissionregistration/mutating-webhook-configuration'
import type { KubeObject } from '#api/object'
import { applyPatchText } from '#api/patch/apply-patch'
import { sameJson } from '../../registry/written.ts'
import { typeKind } from '../../subresources/type-kind.ts'
import { inVersion, replaceObject } from '../matching/versions.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { type AskDeps, ask, concerned, patchFailed } from './ask.ts'
import { WebhookFailure } from './refusals.ts'
import { createWebhookIndex, type Match } from './webhook-index.ts'

// What is remembered of a write between its rounds.
interface Progress {
  round: number
  /** Asked before, and willing to be asked again. */
  readonly reinvocable: Set<string>
  /** To be asked again in the next round. */
  readonly again: Set<string>
  /** The object as the last webhook left it; undefined: no webhook has changed it. */
  left: unknown
  changed: boolean
}

export function mutatingWebhooks(deps: AskDeps): AdmissionPlugin {
  const index = createWebhookIndex(MutatingWebhookConfiguration, deps)
  const writes = new WeakMap<AdmissionRequest, Progress>()
  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => true,
    admit(request) {
      const matches = index.matching(request)
      if (matches.length === 0) return
      let progress = writes.get(request)
      if (progress === undefined) {
        progress = { round: 0, reinvocable: new Set(), again: new Set(), left: undefined, changed: false }
        writes.set(request, progress)
      } else progress.round++
      return admit(deps, matches, request, progress)
    },
    wantsAnotherRound(request) {
      return writes.get(request)?.changed ?? false
    },
  }
}

async function admit(deps: AskDeps, matches: readonly Match[], request: AdmissionRequest, progress: Progress): Promise<void> {
  const { round } = progress
  // Other plugins came after the last webhook and may have changed the object too.
  if (round > 0 && progress.left !== undefined && !sameJson(progress.left, request.object)) requireAgain(progress)
  for (const [i, match] of matches.entries()) {
    const { id, spec } = match.webhook
    if (round > 0 && !progress.again.has(id)) continue
    if (!(await concerned(deps, match, request))) continue
    const at = `round_${round}_index_${i}`
    const response = await ask(deps, match, request, true)
    if (response === undefined) {
      request.annotate(`failed-open.mutation.webhook.admission.k8s.io/${at}`, spec.name)
    } else {
      const mutated = await patch(deps, match, request, response)
      request.annotate(
        `mutation.webhook.admission.k8s.io/${at}`,
        JSON.stringify({ configuration: match.webhook.configuration, webhook: spec.name, mutated }),
      )
      if (mutated) {
        progress.changed = true
        requireAgain(progress)
      }
    }
    progress.again.delete(id)
    if ((spec as MutatingWebhook).reinvocationPolicy === 'IfNeeded') progress.reinvocable.add(id)
  }
  if (progress.changed) progress.left = structuredClone(request.object)
}

function requireAgain({ reinvocable, again }: Progress): void {
  for (const id of reinvocable) again.add(id)
  reinvocable.clear()
}

/** Applies the response's patch. Whether the object is another one now. */
async function patch(
  deps: AskDeps,
  { webhook, kind }: Match,
  request: AdmissionRequest,
  { patch: encoded }: AdmissionResponse,
): Promise<boolean> {
  if (!encoded || request.object === undefined) return false
  const { object: current, type, whole } = inVersion(request, kind)
  if (current === undefined) return false
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`
  const body = whole ? kind : typeKind(deps.catalog, { apiVersion, kind: type.kind })
  let next: KubeObject
  try {
    const text = Buffer.from(encoded, 'base64').toString()
    const patched = applyPatchText<KubeObject>({
      schema: body.schema(),
      current,
      type: 'application/json-patch+json',
      text,
      validation: 'ignore',
    })
    next = patched.object
  } catch (error) {
    throw patchFailed(
      new WebhookFailure(webhook.spec.name, `cannot apply its patch: ${error instanceof Error ? error.message : ''}`, error),
    )
  }
  body.strategy.setDefaults?.(next)
  if (sameJson(current, next)) return false
  await replaceObject(request, kind, next)
  return true
}
