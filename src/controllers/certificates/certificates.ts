// Certificate signing requests: the ones that nodes may make for themselves are approved, what is approved is signed by the cluster's
// authority, and what nobody needs any more goes away.
import type { CertificateSigningRequestCondition } from '#api/generated/certificates-v1'
import { SubjectAccessReview } from '#api/kinds/authorization/subject-access-review'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { timestamp } from '#base/clock'
import type { Client } from '#client/client'
import { type Controller, defineController } from '#client/controller'
import { type CertifiedKey, parseCertificate, signCertificateRequest } from '#platform/x509'
import { watchKind } from '../watches.ts'
import {
  certificateUsages,
  clientSigner,
  keyUsages,
  kubeletClientSigner,
  kubeletServingSigner,
  parseRequest,
  refusalOf,
  requestPemOf,
} from './kubelet-requests.ts'

const signers: readonly string[] = [clientSigner, kubeletClientSigner, kubeletServingSigner]
const lifetimeMsMax = 365 * 24 * 3_600_000
const lifetimeMsMin = 600_000

// For how long a request is kept in each state, as Kubernetes keeps it.
const pendingMs = 24 * 3_600_000
const decidedMs = 3_600_000

function has({ status }: CertificateSigningRequest, type: string): boolean {
  return status.conditions?.some((condition) => condition.type === type) ?? false
}

function conditionOf(type: string, reason: string, message: string, nowMs: number): CertificateSigningRequestCondition {
  const now = timestamp(nowMs)
  return { type, status: 'True', reason, message, lastUpdateTime: now, lastTransitionTime: now }
}

/** Approves the client certificates that nodes ask for, if access rules let the requester ask for them. */
export const certificateApprovingController: Controller = defineController({
  name: 'certificatesigningrequest-approving-controller',
  watches: [watchKind(CertificateSigningRequest)],
  async reconcile(key, { cache, client, clock }) {
    const request = cache.get(CertificateSigningRequest, key)
    if (request === undefined || request.status.certificate || has(request, 'Approved') || has(request, 'Denied')) return
    const { spec } = request
    if (spec.signerName !== kubeletClientSigner) return
    const parsed = parseRequest(spec)
    if (parsed === undefined || refusalOf(parsed, spec) !== undefined) return
    const own = parsed.commonName === spec.username
    const ways = own ? (['selfnodeclient', 'nodeclient'] as const) : (['nodeclient'] as const)
    for (const subresource of ways) {
      if (!(await mayAsk(client, request, subresource))) continue
      const self = subresource === 'selfnodeclient' ? 'self ' : ''
      const message = `Auto approving ${self}kubelet client certificate after SubjectAccessReview.`
      const condition = conditionOf('Approved', 'AutoApproved', message, clock.now())
      const status = { ...request.status, conditions: [...(request.status.conditions ?? []), condition] }
      const path = `/apis/certificates.k8s.io/v1/certificatesigningrequests/${request.metadata.name}/approval`
      await client.raw('PUT', path, {
        ...request,
        apiVersion: CertificateSigningRequest.apiVersion,
        kind: CertificateSigningRequest.kind,
        status,
      })
      return
    }
    throw new Error(`recognized csr "${request.metadata.name}" as [${ways.join(' ')}] but subject access review was not approved`)
  },
})

async function mayAsk(client: Client, { spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
  const { username: user = '', uid, groups, extra } = spec
  const resourceAttributes = {
    group: CertificateSigningRequest.group,
    resource: CertificateSigningRequest.resource,
    verb: 'create',
    version: '*',
    subresource,
  }
  const review = await client.create(SubjectAccessReview, {
    metadata: { name: '' },
    spec: { user, resourceAttributes, ...(uid ? { uid } : {}), ...(groups ? { groups } : {}), ...(extra ? { extra } : {}) },
  })
  return review.status.allowed
}

/** Signs approved requests with the cluster's authority, or tells why it does not. */
export function createCertificateSigningController(ca: CertifiedKey): Controller {
  return defineController({
    name: 'certificatesigningrequest-signing-controller',
    watches: [watchKind(CertificateSigningRequest)],
    async reconcile(key, { cache, client, clock }) {
      const request = cache.get(CertificateSigningRequest, key)
      if (request === undefined || request.status.certificate || !has(request, 'Approved')) return
      if (has(request, 'Denied') || has(request, 'Failed') || !signers.includes(request.spec.signerName)) return
      const nowMs = clock.now()
      await client.updateStatus(CertificateSigningRequest, { ...request, status: { ...request.status, ...answer(request, ca, nowMs) } })
    },
  })
}

function answer(request: CertificateSigningRequest, ca: CertifiedKey, nowMs: number): Partial<CertificateSigningRequest['status']> {
  const { spec } = request
  const parsed = parseRequest(spec)
  const refusal = parsed === undefined ? 'unable to parse csr' : refusalOf(parsed, spec)
  if (refusal !== undefined) {
    return { conditions: [...(request.status.conditions ?? []), conditionOf('Failed', 'SignerValidationFailure', refusal, nowMs)] }
  }
  const wantedMs = spec.expirationSeconds === undefined ? lifetimeMsMax : spec.expirationSeconds * 1000
  const certificate = signCertificateRequest({
    ca,
    requestPem: requestPemOf(spec),
    usages: certificateUsages(spec.usages),
    keyUsages: keyUsages(spec.usages),
    lifetimeMs: Math.max(lifetimeMsMin, Math.min(wantedMs, lifetimeMsMax)),
    nowMs,
  })
  return { certificate: Buffer.from(certificate).toString('base64') }
}

/** Deletes requests a while after they were decided, or after nobody decided them. */
export const certificateCleanerController: Controller = defineController({
  name: 'certificatesigningrequest-cleaner-controller',
  watches: [watchKind(CertificateSigningRequest)],
  async reconcile(key, { cache, client, clock }) {
    const request = cache.get(CertificateSigningRequest, key)
    if (request === undefined) return
    const waitMs = expiryMs(request) - clock.now()
    if (waitMs > 0) return waitMs
    const { name, uid } = request.metadata
    await client.delete(CertificateSigningRequest, { namespace: '', name }, { preconditions: { uid } })
    return
  },
})

/** When a request may go. A certificate that has ended takes its request with it at once. */
export function expiryMs(request: CertificateSigningRequest): number {
  const { conditions = [], certificate } = request.status
  const times = conditions
    .filter(({ type, status }) => status === 'True' && ['Approved', 'Denied', 'Failed'].includes(type))
    .map(({ lastUpdateTime }) => Date.parse(lastUpdateTime ?? '') || Date.parse(request.metadata.creationTimestamp))
    .map((ms) => ms + decidedMs)
  if (times.length === 0) return Date.parse(request.metadata.creationTimestamp) + pendingMs
  if (certificate) times.push(endOf(certificate))
  return Math.min(...times)
}

function endOf(certificate: string): number {
  try {
    return parseCertificate(Buffer.from(certificate, 'base64').toString('utf8')).notAfterMs
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
