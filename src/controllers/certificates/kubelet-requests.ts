// What a certificate signing request must look like for each built-in signer, in Kubernetes' words. A request that does not fit is
// failed by the signer and never recognised by the approver.
import type { CertificateSigningRequestSpec } from '#api/generated/certificates-v1'
import { type CertificateUsage, type KeyUsage, type ParsedCertificateRequest, parseCertificateRequest } from '#platform/x509'

export const clientSigner = 'kubernetes.io/kube-apiserver-client'
export const kubeletClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet'
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving'

const nodesGroup = 'system:nodes'
const nodeUserPrefix = 'system:node:'

/** The PEM text of a request, which is stored in base 64. */
export function requestPemOf(spec: CertificateSigningRequestSpec): string {
  return Buffer.from(spec.request, 'base64').toString('utf8')
}

/** Undefined when it cannot be read, or is not signed by the key that it asks to certify. */
export function parseRequest(spec: CertificateSigningRequestSpec): ParsedCertificateRequest | undefined {
  try {
    return parseCertificateRequest(requestPemOf(spec))
  } catch {
    return undefined
  }
}

/** Why a signer refuses this request; undefined when it does not, and for signers that are not ours. */
export function refusalOf(
  request: ParsedCertificateRequest,
  { signerName, usages = [] }: CertificateSigningRequestSpec,
): string | undefined {
  if (signerName === clientSigner) return wrongClientUsages(usages)
  if (signerName === kubeletClientSigner) return wrongKubeletClient(request, usages)
  if (signerName === kubeletServingSigner) return wrongKubeletServing(request, usages)
  return undefined
}

/** What the certificate is good for. */
export function certificateUsages(usages: readonly string[] = []): CertificateUsage[] {
  const out: CertificateUsage[] = []
  if (usages.includes('client auth')) out.push('client')
  if (usages.includes('server auth')) out.push('server')
  return out
}

/** What its key is good for. */
export function keyUsages(usages: readonly string[] = []): KeyUsage[] {
  return (['digital signature', 'key encipherment'] as const).filter((usage) => usages.includes(usage))
}

function wrongClientUsages(usages: readonly string[]): string | undefined {
  const strange = usages.find((usage) => !['client auth', 'digital signature', 'key encipherment'].includes(usage))
  if (strange !== undefined) return `invalid usage for client certificate: ${strange}`
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth'
}

function wrongKubeletClient(request: ParsedCertificateRequest, usages: readonly string[]): string | undefined {
  if (!namesNodesGroup(request)) return 'subject organization is not system:nodes'
  if (request.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed'
  if (request.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed'
  if (request.ips.length > 0) return 'IP subjectAltNames are not allowed'
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed'
  if (!request.commonName.startsWith(nodeUserPrefix)) return 'subject common name does not begin with system:node:'
  return wrongUsages(usages, ['client auth', 'digital signature', 'key encipherment'])
}

function wrongKubeletServing(request: ParsedCertificateRequest, usages: readonly string[]): string | undefined {
  if (!namesNodesGroup(request)) return 'subject organization is not system:nodes'
  if (request.dnsNames.length === 0 && request.ips.length === 0) return 'DNS or IP subjectAltName is required'
  if (request.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed'
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed'
  const wrong = wrongUsages(usages, ['digital signature', 'key encipherment', 'server auth'])
  if (wrong !== undefined) return wrong
  return request.commonName.startsWith(nodeUserPrefix) ? undefined : 'subject common name does not begin with system:node:'
}

function namesNodesGroup({ organizations }: ParsedCertificateRequest): boolean {
  return organizations.length === 1 && organizations[0] === nodesGroup
}

// Keys other than RSA have no use for encipherment.
function wrongUsages(usages: readonly string[], wanted: readonly string[]): string | undefined {
  const needed = wanted.filter((usage) => usage !== 'key encipherment')
  const fits = needed.every((usage) => usages.includes(usage)) && usages.every((usage) => wanted.includes(usage))
  return fits ? undefined : `usages did not match [${wanted.join(' ')}]`
}
