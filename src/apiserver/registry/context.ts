// What the verbs of one kind's registry work with.
import type { Kind, WriteContext } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { MetaRules } from '#api/validation/object-meta'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { Admission } from '../admission/admission.ts'
import type { VersionView } from '../custom/version-view.ts'
import type { DecodedObjects } from '../watch-cache/decoded-objects.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import type { Call } from './call.ts'
import type { Checked } from './checked.ts'
import type { RegistryHooks } from './hooks.ts'
import type { Turns } from './turns.ts'
import type { Validated } from './validated.ts'

export interface RegistryDeps {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  /** A fresh metadata.uid. */
  readonly newUid: () => string
  readonly admission: Admission
  readonly decoded: DecodedObjects
}

export interface RegistryContext<T extends KubeObject = KubeObject> extends RegistryDeps {
  readonly kind: Kind<T>
  readonly cache: ResourceCache<T>
  readonly hooks: RegistryHooks<T>
  readonly checked: Checked<T>
  readonly turns: Turns
  /** Of built-in kinds: rules of custom ones look at whatever they like. */
  readonly validated?: Validated<T>
  /** The kind has a status subresource: status is written there only. */
  readonly hasStatus: boolean
  readonly hasGeneration: boolean
  /** Of custom kinds: how what is stored comes to be of this kind, and back. */
  readonly versions?: VersionView
}

/** Where a write goes. `namespace` is empty at cluster scope. */
export interface Target {
  readonly namespace: string
  readonly name: string
}

export function writeContext(context: RegistryDeps, call: Call, subresource: string): WriteContext {
  return { nowMs: context.clock.now(), user: call.user, subresource, warn: (text) => call.warn(text) }
}

/** Whether the metadata is held to the core API's own rules: extensions, and what extends the API, are not. */
export function isBuiltIn({ custom, group }: Pick<Kind, 'custom' | 'group'>): boolean {
  return !custom && group !== 'apiextensions.k8s.io' && group !== 'apiregistration.k8s.io'
}

export function metaRules<T extends KubeObject>({ kind }: RegistryContext<T>): MetaRules {
  const { validateName } = kind.strategy
  return { namespaced: kind.namespaced, builtIn: isBuiltIn(kind), ...(validateName === undefined ? {} : { validateName }) }
}
