// CertificateSigningRequest of certificates.k8s.io/v1. The request itself is read by whoever signs it; here only its wrapping is.
import { timestamp } from '#base/clock'
import { humanDuration } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as certificatesV1 from '../../generated/certificates-v1.ts'
import { column, defineKind, type WriteContext } from '../../kind.ts'
import { duplicate, forbidden, invalid, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { checkDns1123Label, checkDns1123Subdomain, nameIsPathSegment } from '../../validation/names.ts'
import { byteLength, goQuote } from '../../validation/text.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'
import { decodeBase64Text } from '../core/base64.ts'
import { pemBlocks } from './pem.ts'

export type CertificateSigningRequest = certificatesV1.CertificateSigningRequest
type Condition = certificatesV1.CertificateSigningRequestCondition

const legacySigner = 'kubernetes.io/legacy-unknown'
const expirationSecondsMin = 600
const domainBytesMax = 253
const signerNameBytesMax = domainBytesMax + 1 + (253 + 63 + 1)
/** Conditions that are only ever true, and stay. */
const decisions = ['Approved', 'Denied', 'Failed']

const usages = [
  ['any', 'cert sign', 'client auth', 'code signing', 'content commitment', 'crl sign', 'data encipherment', 'decipher only'],
  ['digital signature', 'email protection', 'encipher only', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'key agreement'],
  ['key encipherment', 'microsoft sgc', 'netscape sgc', 'ocsp signing', 's/mime', 'server auth', 'signing', 'timestamping'],
].flat()

function prepareForCreate(request: CertificateSigningRequest, { user }: WriteContext): void {
  const { spec } = request
  spec.username = user.name
  spec.groups = [...user.groups]
  if (user.uid) spec.uid = user.uid
  else delete spec.uid
  if (user.extra !== undefined && Object.keys(user.extra).length > 0) spec.extra = copyExtra(user.extra)
  else delete spec.extra
  request.status = {}
}

function copyExtra(extra: Readonly<Record<string, string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]))
}

function validate({ spec, status }: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = []
  if (pemBlocks(decodeBase64Text(spec.request))[0]?.label !== 'CERTIFICATE REQUEST') {
    errors.push(invalid('spec.request', spec.request, 'PEM block type must be CERTIFICATE REQUEST'))
  }
  const wanted = spec.usages ?? []
  if (wanted.length === 0) errors.push(required('spec.usages'))
  for (const [i, usage] of wanted.entries()) {
    if (!usages.includes(usage)) errors.push(notSupported(`spec.usages[${i}]`, usage, usages))
  }
  for (const [i, usage] of wanted.entries()) if (wanted.indexOf(usage) < i) errors.push(duplicate(`spec.usages[${i}]`, usage))
  if (spec.signerName === legacySigner) {
    errors.push(invalid('spec.signerName', spec.signerName, 'the legacy signerName is not allowed via this API version'))
  } else errors.push(...validateSignerName(spec.signerName, 'spec.signerName'))
  const seconds = spec.expirationSeconds
  if (seconds !== undefined && seconds < expirationSecondsMin) {
    errors.push(invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'))
  }
  errors.push(...validateConditions(status.conditions ?? [], 'status.conditions'))
  return errors
}

function certificateProblem(certificate: string): string | undefined {
  const blocks = pemBlocks(decodeBase64Text(certificate))
  for (const { label, hasHeaders } of blocks) {
    if (label !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(label)}`
    if (hasHeaders) return 'no PEM block headers are permitted'
  }
  return blocks.length === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined
}

/** The name of a signer: a domain of two labels or more, `/`, and a path. Cluster trust bundles are named after signers too. */
export function validateSignerName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  const segments = name.split('/')
  if (segments.length !== 2) {
    return [invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")]
  }
  const [domain, rest] = segments as [string, string]
  const errors: FieldError[] = []
  if (byteLength(domain) > domainBytesMax) errors.push(tooLong(path, domainBytesMax))
  const labels = domain.split('.')
  errors.push(...firstWrongLabel(labels, domain, checkDns1123Label, path))
  if (labels.length < 2) errors.push(invalid(path, domain, 'should be a domain with at least two segments separated by dots'))
  errors.push(...firstWrongLabel(rest.split('.'), rest, checkDns1123Subdomain, path))
  if (byteLength(name) > signerNameBytesMax) errors.push(tooLong(path, signerNameBytesMax))
  return errors
}

function firstWrongLabel(labels: readonly string[], whole: string, check: (label: string) => string[], path: string): FieldError[] {
  const wrong = labels.find((label) => check(label).length > 0)
  if (wrong === undefined) return []
  return check(wrong).map((problem) => invalid(path, whole, `validating label ${goQuote(wrong)}: ${problem}`))
}

function validateConditions(conditions: readonly Condition[], path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { type, status }] of conditions.entries()) {
    const at = `${path}[${i}]`
    if (type === '') errors.push(required(`${at}.type`))
    const allowed = decisions.includes(type) ? ['True'] : ['False', 'True', 'Unknown']
    if (status === '') errors.push(required(`${at}.status`))
    else if (!allowed.includes(status)) errors.push(notSupported(`${at}.status`, status, allowed))
    const opposite = { Approved: 'Denied', Denied: 'Approved' }[type]
    if (opposite !== undefined && seen.has(opposite)) {
      errors.push(invalid(path, type, 'Approved and Denied conditions are mutually exclusive'))
    }
    if (seen.has(type)) errors.push(duplicate(`${at}.type`, type))
    seen.add(type)
  }
  return errors
}

function conditionsOf({ status }: CertificateSigningRequest, type: string): Condition[] {
  return (status.conditions ?? []).filter((condition) => condition.type === type)
}

function stampConditions(request: CertificateSigningRequest, old: CertificateSigningRequest, { nowMs }: WriteContext): void {
  const now = timestamp(nowMs)
  for (const condition of request.status.conditions ?? []) {
    condition.lastUpdateTime ||= now
    if (condition.lastTransitionTime) continue
    const before = conditionsOf(old, condition.type).find(({ status }) => status === condition.status)
    condition.lastTransitionTime = before?.lastTransitionTime ?? now
  }
}

// Approving is not for the status subresource: what is decided there stays, word for word.
function prepareForStatusUpdate(request: CertificateSigningRequest, old: CertificateSigningRequest, context: WriteContext): void {
  for (const type of ['Approved', 'Denied']) {
    const before = conditionsOf(old, type)
    if (before.length !== conditionsOf(request, type).length) continue
    for (const [i, condition] of (request.status.conditions ?? []).entries()) {
      if (condition.type === type) request.status.conditions![i] = { ...before.shift()! }
    }
  }
  stampConditions(request, old, context)
}

function validateDecisions(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
  { subresource }: WriteContext,
): FieldError[] {
  const errors: FieldError[] = []
  const certificate = request.status.certificate ?? ''
  const before = old.status.certificate ?? ''
  const problem = certificate === before || certificate === '' ? undefined : certificateProblem(certificate)
  if (problem !== undefined) errors.push(invalid('status.certificate', '<certificate data>', problem))
  for (const type of decisions) {
    const [now, then] = [conditionsOf(request, type).length, conditionsOf(old, type).length]
    if (now < then) errors.push(forbidden('status.conditions', `updates may not remove a condition of type ${goQuote(type)}`))
    if (now > then && subresource === 'status' && type !== 'Failed') {
      errors.push(forbidden('status.conditions', `updates may not add a condition of type ${goQuote(type)}`))
    }
  }
  if (certificate === before) return errors
  if (subresource !== 'status') errors.push(forbidden('status.certificate', 'updates may not set certificate content'))
  else if (before !== '') errors.push(forbidden('status.certificate', 'updates may not modify existing certificate content'))
  return errors
}

function conditionCell(request: CertificateSigningRequest): string {
  const has = (type: string): boolean => conditionsOf(request, type).length > 0
  let cell = 'Pending'
  if (has('Denied')) cell = 'Denied'
  else if (has('Approved')) cell = 'Approved'
  if (has('Failed')) cell += ',Failed'
  return request.status.certificate ? `${cell},Issued` : cell
}

export const CertificateSigningRequest = defineKind<CertificateSigningRequest>('certificates.k8s.io/v1/certificatesigningrequests', {
  validateName: nameIsPathSegment,
  prepareForCreate,
  prepareForUpdate(request, old, context) {
    request.spec = old.spec
    if (context.subresource !== 'approval') return
    stampConditions(request, old, context)
    const { conditions } = request.status
    request.status = { ...old.status, ...(conditions !== undefined && { conditions }) }
  },
  prepareForStatusUpdate,
  validate,
  validateUpdate: validateDecisions,
  validateStatusUpdate: (request, old, context) => [...validate(request), ...validateDecisions(request, old, context)],
  hasGeneration: false,
  columns: [
    nameColumn,
    ageColumn,
    column<CertificateSigningRequest>('SignerName', ({ spec }) => spec.signerName || none),
    column<CertificateSigningRequest>('Requestor', ({ spec }) => spec.username ?? ''),
    column<CertificateSigningRequest>('RequestedDuration', ({ spec }) =>
      spec.expirationSeconds === undefined ? none : humanDuration(spec.expirationSeconds * 1000),
    ),
    column<CertificateSigningRequest>('Condition', conditionCell),
  ],
  selectableFields: { 'spec.signerName': ({ spec }) => spec.signerName },
})
