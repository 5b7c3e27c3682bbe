// AdmissionReview: what a webhook is asked, and what it may answer (admission.k8s.io, v1 and v1beta1).
import type { AdmissionResponse } from '#api/generated/admission-v1'
import type { Kind } from '#api/kind'
import type { KindCatalog } from '../../request.ts'
import { bodyKind, inVersion, requestedKind, resourceOf, type VersionedWrite } from '../matching/versions.ts'
import { type AdmissionRequest, operationOptions } from '../plugin.ts'

export type ReviewVersion = 'v1' | 'v1beta1'

/** The first version of the list that this server speaks. */
export function reviewVersionOf(versions: readonly string[]): ReviewVersion | undefined {
  return versions.find((version): version is ReviewVersion => version === 'v1' || version === 'v1beta1')
}

export interface ReviewQuestion {
  readonly apiVersion: string
  readonly kind: 'AdmissionReview'
  readonly request: Readonly<Record<string, unknown>>
}

/** The review of a write, as the webhook's version of the resource shows it. */
export function reviewOf(
  request: AdmissionRequest,
  kind: Kind,
  { catalog, uid, version }: { readonly catalog: KindCatalog; readonly uid: string; readonly version: ReviewVersion },
): ReviewQuestion {
  return { kind: 'AdmissionReview', apiVersion: `admission.k8s.io/${version}`, request: { uid, ...requestBody(request, kind, catalog) } }
}

/** The request of a review but for its uid: also what expressions know as `request`. */
export function requestBody(
  request: AdmissionRequest,
  kind: Kind,
  catalog: KindCatalog,
  { type, object, old }: VersionedWrite = inVersion(request, kind),
): Record<string, unknown> {
  const { subresource, user, dryRun } = request
  const requested = requestedKind(request, catalog)
  const sub = subresource === '' ? undefined : subresource
  return {
    kind: type,
    resource: resourceOf(kind),
    ...(sub === undefined ? {} : { subResource: sub }),
    requestKind: bodyKind(requested, subresource, request.object ?? request.old),
    requestResource: resourceOf(requested),
    ...(sub === undefined ? {} : { requestSubResource: sub }),
    ...(request.name === '' ? {} : { name: request.name }),
    ...(request.namespace === '' ? {} : { namespace: request.namespace }),
    operation: request.operation,
    userInfo: {
      username: user.name,
      ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
      groups: user.groups,
      ...(user.extra === undefined ? {} : { extra: user.extra }),
    },
    object: object ?? null,
    oldObject: old ?? null,
    dryRun,
    options: operationOptions(request) ?? null,
  }
}

/** An answer that is no AdmissionReview, or contradicts itself. */
export class InvalidReviewError extends Error {
  override readonly name = 'InvalidReviewError'
}

/** The response of a review. Throws InvalidReviewError in Kubernetes' words. */
export function readResponse(answer: unknown, question: ReviewQuestion, mutating: boolean): AdmissionResponse {
  const { apiVersion, kind, response } = answer as { apiVersion?: string; kind?: string; response?: AdmissionResponse }
  const v1 = question.apiVersion === 'admission.k8s.io/v1'
  if (typeof response !== 'object' || response === null) throw new InvalidReviewError('webhook response was absent')
  const uid = question.request['uid'] as string
  if (v1 && response.uid !== uid) {
    throw new InvalidReviewError(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`)
  }
  if (v1 && (apiVersion !== question.apiVersion || kind !== question.kind)) {
    const named = `${apiVersion ?? ''}, Kind=${kind ?? ''}`
    throw new InvalidReviewError(`expected webhook response of ${question.apiVersion}, Kind=${question.kind}, got ${named}`)
  }
  // Of the older version nothing but JSON patches was ever told.
  if (!v1) return { ...response, patchType: 'JSONPatch' }
  checkPatch(response, mutating)
  return response
}

function checkPatch({ patch, patchType }: AdmissionResponse, mutating: boolean): void {
  if (!mutating) {
    if (patch) throw new InvalidReviewError('validating webhook may not return response.patch')
    if (patchType !== undefined) throw new InvalidReviewError('validating webhook may not return response.patchType')
    return
  }
  if (patch && patchType === undefined) throw new InvalidReviewError('webhook returned response.patch but not response.patchType')
  if (!patch && patchType !== undefined) throw new InvalidReviewError('webhook returned response.patchType but not response.patch')
  if (patchType === '') throw new InvalidReviewError('webhook returned invalid response.patchType of ""')
}
