// MutatingAdmissionWebhook: webhooks are asked one after another, each sees what those before it did. When one changes the object,
// the in-tree plugins look at it once more, and webhooks before it that wish so (reinvocationPolicy IfNeeded) are asked again.

import type { AdmissionResponse } from '#api/generated/admission-v1'
import type { MutatingWebhook } from '#api/generated/admissionregistration-v1'
import { MutatingWebhookConfiguration } from '#api/kinds/admissionregistration/mutating-webhook-configuration'
import type { KubeObject } from '#api/object'
import { applyJsonPatch, type JsonPatchOperation, jsonPatchOperationsMax } from '#api/patch/json-patch'
import { checkDepth, cloneValue } from '#api/patch/values'
import { compileDecoder } from '#api/schema/decode'
import { parseJson } from '#api/schema/json'
import { toWire } from '#api/schema/wire'
import { goJson, withSortedKeys } from '#api/validation/text'
import { patchAnnotationPrefix } from '../../audit/audit.ts'
import { sameJson } from '../../registry/written.ts'
import { inVersion, kindOfBody, replaceObject } from '../matching/versions.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { type Reinvocation, reinvocations } from '../reinvocation.ts'
import { type AskDeps, ask, concerned, patchFailed } from './ask.ts'
import { WebhookFailure } from './refusals.ts'
import { createWebhookIndex, type Match } from './webhook-index.ts'

export function mutatingWebhooks(deps: AskDeps): AdmissionPlugin {
  const index = createWebhookIndex(MutatingWebhookConfiguration, deps)
  const writes = reinvocations()
  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => true,
    admit(request) {
      const matches = index.matching(request)
      return matches.length === 0 ? undefined : admit(deps, matches, request, writes.of(request))
    },
    wantsAnotherRound: writes.changed,
  }
}

async function admit(deps: AskDeps, matches: readonly Match[], request: AdmissionRequest, progress: Reinvocation): Promise<void> {
  progress.begin(request)
  for (const match of matches) {
    const { id, spec, configuration } = match.webhook
    if (progress.skips(id)) continue
    if (!(await concerned(deps, match, request, true))) continue
    const at = `round_${progress.round}_index_${match.index}`
    let changed = false
    try {
      const noted = (operations: readonly JsonPatchOperation[]): void => {
        const value = { configuration, webhook: spec.name, patch: operations.map(withSortedKeys), patchType: 'JSONPatch' }
        request.annotate(`${patchAnnotationPrefix}${at}`, goJson(value))
      }
      const patched = await ask(deps, match, request, true, (response) => patch(deps, match, request, response, noted))
      if (patched === undefined) request.annotate(`failed-open.mutation.webhook.admission.k8s.io/${at}`, spec.name)
      changed = patched ?? false
    } finally {
      const said = JSON.stringify({ configuration, webhook: spec.name, mutated: changed })
      request.annotate(`mutation.webhook.admission.k8s.io/${at}`, said)
    }
    progress.asked(id, { changed, again: (spec as MutatingWebhook).reinvocationPolicy === 'IfNeeded' })
  }
  progress.end(request)
}

/** Applies the response's patch. Whether the object is another one now. */
async function patch(
  deps: AskDeps,
  { webhook, kind }: Match,
  request: AdmissionRequest,
  { patch: encoded, patchType = 'JSONPatch' }: AdmissionResponse,
  noted: (operations: readonly JsonPatchOperation[]) => void,
): Promise<boolean> {
  if (!encoded) return false
  const write = inVersion(request, kind)
  const { object: current } = write
  const { name } = webhook.spec
  const operations = operationsOf(encoded, name)
  if (operations.length === 0) return false
  let next: KubeObject
  try {
    if (current === undefined) {
      throw new Error(`admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`)
    }
    if (patchType !== 'JSONPatch') throw new WebhookFailure(name, `unsupported patch type ${JSON.stringify(patchType)}`)
    const body = kindOfBody(write, kind, deps.catalog)
    const changed = applyJsonPatch(toWire(body.schema(), current), operations)
    next = compileDecoder<KubeObject>(body.schema())(cloneValue(changed), 'ignore').object
    body.strategy.setDefaults?.(next)
  } catch (error) {
    throw error instanceof WebhookFailure ? error : patchFailed(error)
  }
  noted(operations)
  if (sameJson(current, next)) return false
  await replaceObject(request, kind, next)
  return true
}

// Throws a WebhookFailure when it is no JSON patch, or one beyond all measure.
function operationsOf(encoded: string, webhook: string): readonly JsonPatchOperation[] {
  try {
    return decodeOperations(Buffer.from(encoded, 'base64').toString())
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new WebhookFailure(webhook, `received undecodable patch in webhook response: ${why}`, error)
  }
}

function decodeOperations(text: string): readonly JsonPatchOperation[] {
  const operations = parseJson(text)
  const plain = (one: unknown): boolean => typeof one === 'object' && one !== null && typeof (one as JsonPatchOperation).path === 'string'
  if (!Array.isArray(operations) || !operations.every(plain)) throw new Error('invalid JSON Patch')
  if (operations.length > jsonPatchOperationsMax) {
    throw new Error(`The allowed maximum operations in a JSON patch is ${jsonPatchOperationsMax}, got ${operations.length}`)
  }
  checkDepth(operations)
  return operations as JsonPatchOperation[]
}
