// The kinds that CustomResourceDefinitions make, as far as controllers need them that look at all kinds: their names and metadata.
import type { CustomResourceDefinition as DefinitionV1 } from '#api/generated/apiextensions-v1'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import type { Cache } from './controller.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** Who wants to know which custom kinds there are. */
export interface CustomKindsListener {
  added(kind: Kind): void
  /** Its definition is gone, and all its objects are. */
  gone(kind: Kind): void
  /** Another API server had it, and is not reached through ours any more: its objects may be there still. */
  lost(kind: Kind): void
  /** It goes on as `next`: another version of it is served now. */
  replaced(kind: Kind, next: Kind): void
}

/** The kind by which objects of this definition are read and deleted; undefined while it serves none. */
export function kindOfDefinition({ spec, status }: DefinitionV1): Kind | undefined {
  if (!status.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True')) return undefined
  const served = spec.versions.filter((version) => version.served)
  const version = (served.find(({ storage }) => storage) ?? served[0])?.name
  if (version === undefined) return undefined
  const { group } = spec
  const { plural, kind, singular, listKind } = status.acceptedNames
  return namedKind({ group, version, resource: plural, kind, listKind, singular, namespaced: spec.scope === 'Namespaced', verbs })
}

/** A kind of which nothing is known but its names: enough to read metadata and to delete. */
export function namedKind({
  group,
  version,
  resource,
  kind,
  listKind,
  singular,
  namespaced,
  verbs,
}: Pick<Kind, 'group' | 'version' | 'resource' | 'kind' | 'namespaced' | 'verbs'> & { listKind?: string; singular?: string }): Kind {
  return {
    id: `${group}/${version}/${resource}`,
    group,
    version,
    apiVersion: `${group}/${version}`,
    kind,
    listKind: listKind || `${kind}List`,
    resource,
    singular: singular || kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced,
    verbs,
    subresources: [],
    schema() {
      throw new Error(`assertion failed: the schema of ${kind}.${group} is known to the API server alone`)
    },
    strategy: {},
    storagePrefix: '',
    custom: true,
  }
}

/** Tells the listener what is there, and what comes and goes, until the returned function is called. */
export function followCustomKinds(cache: Cache, listener: Omit<CustomKindsListener, 'lost'>): () => void {
  const known = new Map<string, Kind>()
  return cache.informer(CustomResourceDefinition).subscribe(({ type, object }) => {
    const { name } = object.metadata
    const before = known.get(name)
    if (type === 'deleted') {
      known.delete(name)
      if (before !== undefined) listener.gone(before)
      return
    }
    const kind = kindOfDefinition(object)
    // A definition that serves nothing for a while may serve the same objects again: what is known of them stays.
    if (kind === undefined || kind.id === before?.id) return
    known.set(name, kind)
    if (before === undefined) listener.added(kind)
    else listener.replaced(before, kind)
  })
}
