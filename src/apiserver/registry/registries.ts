// The registries of all served kinds, by kind.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Registry } from './registry.ts'

export interface Registries {
  /** The registry of a stored kind; undefined for kinds that are never stored. */
  find<T extends KubeObject>(kind: Kind<T>): Registry<T> | undefined
  /** Like `find`, for kinds that are known to be stored. */
  of<T extends KubeObject>(kind: Kind<T>): Registry<T>
}
