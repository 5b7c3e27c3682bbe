// A kind as it is served: its registry, and how stored objects look in this version. Kinds that are stored as another version
// (events.k8s.io/v1, autoscaling/v1) are converted on their way in and out; for all others the stored bytes are the served ones.
import type { FieldError } from '#api/errors'
import type { Kind, WriteContext } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { VersionView } from '../custom/version-view.ts'
import type { Registry } from '../registry/registry.ts'
import { Templates } from '../registry/templates.ts'
import { encodeStored } from '../watch-cache/stored-json.ts'
import { ObjectContext, StoredObject } from '../watch-cache/stored-object.ts'
import type { CachedObject } from '../watch-cache/watch-cache.ts'
import type { Selection } from './list-options.ts'

/** How stored objects are shown. */
export interface Shown {
  readonly kind: Kind
  /** The kind is stored as another one. */
  readonly converted: boolean
  /** The stored object as this kind. */
  view(object: CachedObject): StoredObject
}

export interface Served extends Shown {
  readonly registry: Registry
  /** Of kinds whose decoding, defaults and fields are the same at all times. */
  readonly templates?: Templates
  /** Of custom kinds, whose objects are shown by it before anything else is done with them. */
  readonly versions?: VersionView
  /** A decoded object of this kind as it is stored. */
  toStorage(object: KubeObject): KubeObject
  fromStorage(object: KubeObject): KubeObject
  /** What this version demands beyond what the stored one does. `old` as this kind. */
  validate(object: KubeObject, old: KubeObject | undefined, context: WriteContext): FieldError[]
  /** What was just written, as this kind. */
  written(stored: Buffer, revision: number, key: string): StoredObject
}

export function serve(kind: Kind, registry: Registry): Served {
  const { versions } = registry
  const context = versions?.context ?? registry.cache.context
  if (registry.kind.id === kind.id) {
    return {
      kind,
      converted: false,
      registry,
      ...(kind.custom ? {} : { templates: new Templates() }),
      ...(versions === undefined ? {} : { versions }),
      view: (object) => versions?.now(object as StoredObject) ?? (object as StoredObject),
      toStorage: (object) => object,
      fromStorage: (object) => object,
      validate: () => [],
      written: (stored, revision, key) => new StoredObject(context, key, stored, revision),
    }
  }
  const own = new ObjectContext(kind, context.decoded, context.freeze)
  const { convert } = kind.strategy
  const rename = (object: KubeObject, to: Kind): KubeObject => ({ ...object, apiVersion: to.apiVersion, kind: to.kind })
  const fromStorage = (object: KubeObject): KubeObject => convert?.fromStorage(object) ?? rename(object, kind)
  const view = (object: CachedObject): StoredObject => {
    const stored = encodeStored(kind, fromStorage(object.object()))
    return new StoredObject(own, object.key, stored, object.revision)
  }
  return {
    kind,
    converted: true,
    registry,
    view,
    toStorage: (object) => convert?.toStorage(object) ?? rename(object, registry.kind),
    fromStorage,
    validate(object, old, context) {
      const { validate, validateCreate, validateUpdate } = kind.strategy
      const own = validate?.(object, context) ?? []
      return [...own, ...((old === undefined ? validateCreate?.(object, context) : validateUpdate?.(object, old, context)) ?? [])]
    },
    written: (stored, revision, key) => view(new StoredObject(context, key, stored, revision)),
  }
}

/** A selection by this kind's fields, for the cache that holds its stored form. */
export function selected(served: Served, selection: Selection): Selection {
  const { fields } = selection.selector
  if (fields === undefined || !served.converted) return selection
  return { ...selection, selector: { ...selection.selector, fields: (object) => fields(served.view(object)) } }
}
