// CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who approves or signs a request must be allowed to for its
// signer, and nobody gets a certificate of the group that may do everything.
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { semanticEqual } from '#api/validation/field-errors'
import type { Eventual } from '#base/eventual'
import { parseCertificateRequest } from '#platform/x509'
import type { Attributes, Decision } from '../authz/authorizer.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

const clientSigner = 'kubernetes.io/kube-apiserver-client'
const mastersGroup = 'system:masters'

export interface CertificateAdmissionDeps {
  readonly authorize: (attributes: Attributes) => Eventual<Decision>
}

export function certificateApproval({ authorize }: CertificateAdmissionDeps): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    handles: (operation, kind, subresource) =>
      operation === 'UPDATE' && kind.id === CertificateSigningRequest.id && subresource === 'approval',
    async validate(request) {
      const { signerName } = (request.old as CertificateSigningRequest).spec
      if (await mayForSigner(authorize, request, 'approve', signerName)) return
      throw admissionForbidden(request, `user not permitted to approve requests with signerName "${signerName}"`)
    },
  }
}

export function certificateSigning({ authorize }: CertificateAdmissionDeps): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: (operation, kind, subresource) =>
      operation === 'UPDATE' && kind.id === CertificateSigningRequest.id && subresource === 'status',
    async validate(request) {
      const before = request.old as CertificateSigningRequest
      const { status } = request.object as CertificateSigningRequest
      const same = (status.certificate ?? '') === (before.status.certificate ?? '')
      if (same && semanticEqual(status.conditions, before.status.conditions)) return
      const { signerName } = before.spec
      if (await mayForSigner(authorize, request, 'sign', signerName)) return
      throw admissionForbidden(request, `user not permitted to sign requests with signerName "${signerName}"`)
    },
  }
}

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === CertificateSigningRequest.id && subresource === '',
  validate(request) {
    const { spec } = request.object as CertificateSigningRequest
    if (spec.signerName !== clientSigner) return
    if (!organizationsOf(request, spec.request).includes(mastersGroup)) return
    throw admissionForbidden(request, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`)
  },
}

function organizationsOf(request: AdmissionRequest, encoded: string): readonly string[] {
  try {
    return parseCertificateRequest(Buffer.from(encoded, 'base64').toString('utf8')).organizations
  } catch (error) {
    throw admissionForbidden(request, `failed to parse CSR: ${(error as Error).message}`)
  }
}

// By the signer's whole name, or by its domain: `example.com/*`.
async function mayForSigner(
  authorize: CertificateAdmissionDeps['authorize'],
  { user }: AdmissionRequest,
  verb: 'approve' | 'sign',
  signerName: string,
): Promise<boolean> {
  const [domain] = signerName.split('/')
  for (const name of [signerName, `${domain}/*`]) {
    const group = CertificateSigningRequest.group
    const target = { group, version: '*', resource: 'signers', subresource: '', namespace: '', name }
    if ((await authorize({ user, isResource: true, verb, path: '', ...target })).verdict === 'allow') return true
  }
  return false
}
