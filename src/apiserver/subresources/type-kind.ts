// Kinds of bodies that are no resources of their own (Scale, Eviction, TokenRequest): enough of a Kind to decode and encode them.
import type { Kind } from '#api/kind'
import { builtinSchema } from '#api/schema/builtin'
import type { KindCatalog } from '../request.ts'
import type { TypeName } from './subresource.ts'

const made = new Map<string, Kind>()

/** The served kind of this type, or a Kind made up around its schema. */
export function typeKind(catalog: KindCatalog, { apiVersion, kind, sameAs }: TypeName): Kind {
  return catalog.findByKind(apiVersion, kind) ?? schemaKind(apiVersion, kind, sameAs ?? apiVersion)
}

function schemaKind(apiVersion: string, kind: string, fieldsOf: string): Kind {
  const key = `${apiVersion}/${kind}`
  let known = made.get(key)
  if (known === undefined) {
    const slash = apiVersion.indexOf('/')
    known = {
      id: key,
      group: slash < 0 ? '' : apiVersion.slice(0, slash),
      version: apiVersion.slice(slash + 1),
      apiVersion,
      kind,
      listKind: `${kind}List`,
      resource: '',
      singular: '',
      shortNames: [],
      categories: [],
      namespaced: true,
      verbs: [],
      subresources: [],
      schema: () => builtinSchema(fieldsOf, kind),
      strategy: {},
      storagePrefix: '',
      custom: false,
    }
    made.set(key, known)
  }
  return known
}
