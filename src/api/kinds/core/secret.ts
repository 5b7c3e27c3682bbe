// Secret of the core group: types with demands of their own, and a write-only form for text.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, immutable, invalid, invalidEach, required, semanticEqual, tooLong } from '../../validation/field-errors.ts'
import { checkConfigMapKey } from '../../validation/names.ts'
import { goList } from '../../validation/text.ts'
import { pemBlocks } from '../certificates/pem.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { base64Bytes, decodeBase64Text, encodeBase64Text } from './base64.ts'
import { dataBytesMax, immutableWhenSet } from './config-map.ts'

export type Secret = coreV1.Secret

export const serviceAccountNameAnnotation = 'kubernetes.io/service-account.name'
export const serviceAccountUidAnnotation = 'kubernetes.io/service-account.uid'
export const secretTypes = {
  opaque: 'Opaque',
  serviceAccountToken: 'kubernetes.io/service-account-token',
  dockercfg: 'kubernetes.io/dockercfg',
  dockerConfigJson: 'kubernetes.io/dockerconfigjson',
  basicAuth: 'kubernetes.io/basic-auth',
  sshAuth: 'kubernetes.io/ssh-auth',
  tls: 'kubernetes.io/tls',
  bootstrapToken: 'bootstrap.kubernetes.io/token',
} as const

/** stringData is written, never read: it goes into data. */
function foldStringData(secret: Secret): void {
  if (secret.stringData === undefined) return
  const entries = Object.entries(secret.stringData)
  if (entries.length > 0) secret.data ??= {}
  for (const [key, text] of entries) secret.data![key] = encodeBase64Text(text)
  delete secret.stringData
}

function validate(secret: Secret): FieldError[] {
  const data = secret.data ?? {}
  const errors: FieldError[] = []
  let bytes = 0
  for (const [key, value] of Object.entries(data)) {
    const problems = checkConfigMapKey(key)
    if (problems.length > 0) errors.push(...invalidEach(`data[${key}]`, key, problems))
    bytes += base64Bytes(value)
  }
  if (bytes > dataBytesMax) errors.push(tooLong('data', dataBytesMax))
  return [...errors, ...validateType(secret, data)]
}

function validateType({ type, metadata }: Secret, data: Record<string, string>): FieldError[] {
  const need = (...keys: string[]): FieldError[] => keys.filter((key) => data[key] === undefined).map((key) => required(`data[${key}]`))
  switch (type) {
    case secretTypes.serviceAccountToken:
      return metadata.annotations?.[serviceAccountNameAnnotation] ? [] : [required(`metadata.annotations[${serviceAccountNameAnnotation}]`)]
    case secretTypes.dockercfg:
      return validateJson(data, '.dockercfg')
    case secretTypes.dockerConfigJson:
      return validateJson(data, '.dockerconfigjson')
    case secretTypes.basicAuth:
      return data['username'] === undefined && data['password'] === undefined ? need('username', 'password') : []
    case secretTypes.sshAuth:
      return data['ssh-privatekey'] ? [] : [required('data[ssh-privatekey]')]
    case secretTypes.tls:
      return need('tls.crt', 'tls.key')
    default:
      return []
  }
}

function validateJson(data: Record<string, string>, key: string): FieldError[] {
  const encoded = data[key]
  if (encoded === undefined) return [required(`data[${key}]`)]
  const text = decodeBase64Text(encoded)
  if (text.trim() === '') return [invalid(`data[${key}]`, '<secret contents redacted>', 'unexpected end of JSON input')]
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && !Array.isArray(value)) return []
    const kind = Array.isArray(value) ? 'array' : typeof value
    const detail = `json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`
    return [invalid(`data[${key}]`, '<secret contents redacted>', detail)]
  } catch (error) {
    return [invalid(`data[${key}]`, '<secret contents redacted>', jsonProblem(text, String(error)))]
  }
}

// The engine names the token that it stopped at, or the position; at the very end something is missing.
function jsonProblem(text: string, error: string): string {
  const token = /Unexpected token '(.)'/u.exec(error)?.[1]
  const position = Number(/position (\d+)/.exec(error)?.[1] ?? text.length)
  const character = token ?? text.trimEnd().charAt(position)
  if (character === '') return 'unexpected end of JSON input'
  return `invalid character ${character === "'" ? "'\\''" : `'${character}'`} looking for beginning of value`
}

function validateUpdate(secret: Secret, old: Secret): FieldError[] {
  const errors = immutable('type', secret.type, old.type)
  if (old.immutable) {
    if (!secret.immutable) errors.push(forbidden('immutable', immutableWhenSet))
    if (!semanticEqual(secret.data, old.data)) errors.push(forbidden('data', immutableWhenSet))
  }
  return [...errors, ...validate(secret)]
}

// In the words of Go's tls package. That the key is the certificate's is not looked at here.
function warnings({ type, data }: Secret): string[] {
  if (type !== secretTypes.tls) return []
  const found = (key: string): string[] => pemBlocks(decodeBase64Text(data?.[key] ?? '')).map(({ label }) => label)
  const [inCertificate, inKey] = [found('tls.crt'), found('tls.key')]
  if (!inCertificate.includes('CERTIFICATE')) {
    if (inCertificate.length === 0) return ['tls: failed to find any PEM data in certificate input']
    const head = 'tls: failed to find certificate PEM data in certificate input'
    if (inCertificate.length === 1 && inCertificate[0]!.endsWith('PRIVATE KEY')) {
      return [`${head}, but did find a private key; PEM inputs may have been switched`]
    }
    const tail = `PEM block in certificate input after skipping PEM blocks of the following types: ${goList(inCertificate)}`
    return [`tls: failed to find "CERTIFICATE" ${tail}`]
  }
  if (inKey.some((label) => label === 'PRIVATE KEY' || label.endsWith(' PRIVATE KEY'))) return []
  if (inKey.length === 0) return ['tls: failed to find any PEM data in key input']
  if (inKey.length === 1 && inKey[0] === 'CERTIFICATE') return ['tls: found a certificate rather than a key in the PEM for the private key']
  const tail = `in key input after skipping PEM blocks of the following types: ${goList(inKey)}`
  return [`tls: failed to find PEM block with type ending in "PRIVATE KEY" ${tail}`]
}

export const Secret = defineKind<Secret>('core/v1/secrets', {
  setDefaults(secret) {
    secret.type ||= secretTypes.opaque
    foldStringData(secret)
  },
  validateCreate: validate,
  validateUpdate,
  warnings,
  columns: [
    nameColumn,
    column<Secret>('Type', ({ type }) => type ?? ''),
    { ...countColumn<Secret>('Data', ({ data }) => Object.keys(data ?? {}).length), type: 'string' },
    ageColumn,
  ],
  selectableFields: { type: ({ type }) => type ?? '' },
})
