// Certificate signing requests hold a request that can be read and whose signature verifies: what is inside it is nothing that the
// vocabulary of the API could look into.
import { invalid } from '#api/errors'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { invalid as invalidField } from '#api/validation/field-errors'
import { parseCertificateRequest } from '#platform/x509'
import type { RegistryHooks } from './hooks.ts'

const label = '-----BEGIN CERTIFICATE REQUEST-----'

export const certificateRequestHooks: RegistryHooks<CertificateSigningRequest> = {
  async beginCreate({ metadata, spec }) {
    const pem = Buffer.from(spec.request, 'base64').toString('utf8')
    // What is not even wrapped as one is told with everything else that is wrong.
    if (!pem.includes(label)) return undefined
    try {
      parseCertificateRequest(pem)
    } catch (error) {
      throw invalid(CertificateSigningRequest, metadata.name, [invalidField('spec.request', spec.request, (error as Error).message)])
    }
    return undefined
  },
}
