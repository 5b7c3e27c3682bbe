// CertificateSigningRequest of certificates.k8s.io/v1.
import type * as certificatesV1 from '../../generated/certificates-v1.ts'
import { defineKind } from '../../kind.ts'

export type CertificateSigningRequest = certificatesV1.CertificateSigningRequest

export const CertificateSigningRequest = defineKind<CertificateSigningRequest>('certificates.k8s.io/v1/certificatesigningrequests')
