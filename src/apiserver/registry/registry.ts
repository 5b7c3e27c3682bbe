// `Registry<T>`: the verbs of one kind, and the Store's only writer: decode, default, admit, validate, write. Reads go to its
// watch cache.
import { notFound } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { type VersionView, versionView } from '../custom/version-view.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { Call } from './call.ts'
import { Checked } from './checked.ts'
import type { RegistryContext, RegistryDeps, Target } from './context.ts'
import { beginObject, type CreateOptions, createObject } from './create.ts'
import { type Deleted, type DeleteOptions, deleteObject } from './delete.ts'
import type { RegistryHooks } from './hooks.ts'
import { Turns } from './turns.ts'
import { type Change, updateObject } from './update.ts'
import { Validated } from './validated.ts'
import { readPresent, type Written } from './written.ts'

export interface Registry<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>
  readonly cache: ResourceCache<T>
  /** Of custom kinds: how objects of the cache are shown. */
  readonly versions?: VersionView
  /** The object as it is now; throws NotFound. */
  read(target: Target): Promise<StoredObject<T>>
  /** Whether this server wrote what the object says after metadata, and found it valid. */
  isValid(object: T): boolean
  /** What a create does before admission, for objects of which copies are to be created; see `beginObject`. */
  begin(object: T, namespace: string, call: Call): Promise<void> | undefined
  /** Creates a decoded and defaulted object, which becomes the registry's. */
  create(object: T, namespace: string, call: Call, options?: CreateOptions<T>): Promise<Written<T>>
  /** Changes an object, as often as others get in between. */
  update(target: Target, change: Change<T>, call: Call): Promise<Written<T>>
  delete(target: Target, options: DeleteOptions, call: Call): Promise<Deleted<T>>
}

export function createRegistry<T extends KubeObject>(
  kind: Kind<T>,
  cache: ResourceCache<T>,
  hooks: RegistryHooks<T>,
  deps: RegistryDeps,
): Registry<T> {
  const versions = kind.custom ? versionView(kind as unknown as Kind, cache.context) : undefined
  const context: RegistryContext<T> = {
    ...deps,
    ...(versions === undefined ? {} : { versions }),
    kind,
    cache,
    hooks,
    checked: new Checked<T>(kind),
    turns: new Turns(deps.clock),
    ...(kind.custom ? {} : { validated: new Validated<T>(kind.strategy) }),
    hasStatus: kind.subresources.some((subresource) => subresource.name === 'status'),
    hasGeneration: kind.strategy.hasGeneration ?? kind.schema().fields.has('spec'),
  }
  return {
    kind,
    cache,
    ...(versions === undefined ? {} : { versions }),
    async read(target) {
      const object = await readPresent(context, target, false)
      if (object === undefined) throw notFound(kind, target.name)
      return object
    },
    isValid: (object) => context.validated?.has(object) === true,
    begin: (object, namespace, call) => beginObject(context, object, namespace, call),
    create: (object, namespace, call, options) => createObject(context, object, namespace, call, options),
    update: (target, change, call) => updateObject(context, target, change, call),
    delete: (target, options, call) => deleteObject(context, target, options, call),
  }
}
