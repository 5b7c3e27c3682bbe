// The refusal of a body that is of another kind or version than its path says, in the words of Kubernetes' decoder.
import { badRequest } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KindCatalog } from '../request.ts'

export function wrongKind(expected: Kind, kind: string, apiVersion: string, catalog: KindCatalog): Error {
  const version = apiVersion.slice(apiVersion.lastIndexOf('/') + 1)
  const start = `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${expected.kind}`
  if (catalog.findByKind(apiVersion, kind) === undefined) {
    const why = `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`
    return badRequest(`${start}: ${why}`)
  }
  if (kind === expected.kind) {
    return badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${expected.apiVersion})`)
  }
  const group = expected.group === '' ? 'core' : expected.group.split('.')[0]
  return badRequest(`${start}: converting (${version}.${kind}) to (${group}.${expected.kind}): unknown conversion`)
}
