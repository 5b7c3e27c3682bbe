// The refusal of what is of another kind or version than its path says, in the words of Kubernetes' decoders.
import { badRequest, type FieldError, invalid } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { stringifyJson } from '#api/schema/stringify'
import { toWire } from '#api/schema/wire'
import { invalid as invalidField } from '#api/validation/field-errors'
import type { KindCatalog } from '../request.ts'

/** What a body or an object says it is; texts are empty when it does not say. */
export interface SaidType {
  readonly kind: string
  readonly apiVersion: string
}

export function wrongKind(expected: Kind, kind: string, apiVersion: string, catalog: KindCatalog): Error {
  const version = versionOf(apiVersion)
  const registered = catalog.findByKind(apiVersion, kind) !== undefined
  if (registered && kind === expected.kind) return badRequest(wrongVersion(expected, apiVersion))
  const why = notOne(expected, { kind, apiVersion }, registered)
  return badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${expected.kind}: ${why}`)
}

function versionOf(apiVersion: string): string {
  return apiVersion.slice(apiVersion.lastIndexOf('/') + 1)
}

function wrongVersion(expected: Kind, apiVersion: string): string {
  return `the API version in the data (${apiVersion}) does not match the expected API version (${expected.apiVersion})`
}

function notOne(expected: Kind, { kind, apiVersion }: SaidType, registered: boolean): string {
  if (!registered) {
    return `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`
  }
  const group = expected.group === '' ? 'core' : expected.group.split('.')[0]
  return `converting (${versionOf(apiVersion)}.${kind}) to (${group}.${expected.kind}): unknown conversion`
}

/** Checks the type of a custom resource's body: Kubernetes decodes them as they come, and looks only at what became of them. */
export function checkCustomType(expected: Kind, said: SaidType, name: string, text: () => string): void {
  if (said.kind === '') {
    const start = `${expected.kind} in version ${JSON.stringify(expected.version)} cannot be handled as a ${expected.kind}`
    throw badRequest(`${start}: ${missingKind(text())}`)
  }
  if (said.apiVersion !== expected.apiVersion) throw badRequest(wrongVersion(expected, said.apiVersion))
  if (said.kind !== expected.kind) throw invalid(expected, name, typeErrors(expected, said))
}

function missingKind(text: string): string {
  return `Object 'Kind' is missing in '${text}'`
}

function typeErrors(expected: Kind, { kind, apiVersion }: SaidType): FieldError[] {
  const errors: FieldError[] = []
  if (kind !== expected.kind) errors.push(invalidField('kind', kind, `must be ${expected.kind}`))
  if (apiVersion !== expected.apiVersion) errors.push(invalidField('apiVersion', apiVersion, `must be ${expected.apiVersion}`))
  return errors
}

/** A patch makes no other kind of an object: throws Invalid, or says the object's own type where Kubernetes does not look. */
export function settleType(expected: Kind, object: KubeObject, strategic: boolean, catalog: KindCatalog): void {
  const { kind = '', apiVersion = '' } = object as Partial<SaidType>
  ensureMetadata(object)
  if (kind === expected.kind && apiVersion === expected.apiVersion) return
  const said = { kind: kind || expected.kind, apiVersion: apiVersion || expected.apiVersion }
  if (expected.custom) {
    if (kind === '') throw invalidPatch(expected, object, missingKind)
    throw invalid(expected, object.metadata.name ?? '', typeErrors(expected, { kind, apiVersion }))
  }
  if (!strategic && (said.kind !== expected.kind || said.apiVersion !== expected.apiVersion)) {
    const registered = catalog.findByKind(said.apiVersion, said.kind) !== undefined
    throw invalidPatch(expected, object, () => notOne(expected, said, registered))
  }
  object.kind = expected.kind
  object.apiVersion = expected.apiVersion
}

/** Custom resources may come without any. */
export function ensureMetadata(object: KubeObject): void {
  if ((object as { metadata?: unknown }).metadata === undefined) object.metadata = {} as KubeObject['metadata']
}

function invalidPatch(expected: Kind, object: KubeObject, why: (text: string) => string): Error {
  const text = stringifyJson(toWire(expected.schema(), object))
  return invalid({ group: '', kind: '' }, '', [invalidField('patch', text, why(text))])
}

/** The refusal of a body that does not even say what it is. */
export function unrecognized(expected: Kind, why: string, bytes: Buffer): Error {
  return badRequest(`the object provided is unrecognized (must be of type ${expected.kind}): ${why} (${summary(bytes)})`)
}

const summaryMax = 30

function summary(bytes: Buffer): string {
  if (bytes.length === 0) return '<empty>'
  const shown = bytes.subarray(0, summaryMax)
  const text = bytes[0] === 0x7b ? shown.toString() : shown.toString('hex')
  return bytes.length > summaryMax ? `${text} ...` : text
}
