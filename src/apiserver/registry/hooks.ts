// What a few kinds need beyond their strategy: things that are taken when an object is created and given back when it goes
// (service addresses, node ports), and ends of life of their own (namespaces).
import type { KubeObject } from '#api/object'
import type { Write } from '#storage/store'
import type { Call } from './call.ts'

/** Something taken for one write. Its writes go into the same commit as the object; then exactly one of the ends is called. */
export interface Claim {
  /** Writes that must succeed together with the object's. */
  readonly writes: readonly Write[]
  /** The commit happened. */
  commit(): void
  /** It did not, or was a dry run: what was taken is free again. */
  release(): void
}

export interface RegistryHooks<T extends KubeObject = KubeObject> {
  /** Before preparation and validation of a new object; may complete it. Called again when the claim's writes met a conflict. */
  beginCreate?(object: T, call: Call): Promise<Claim | undefined>
  beginUpdate?(object: T, old: T, call: Call): Promise<Claim | undefined>
  /** Writes that go with the deletion. */
  beginDelete?(object: T, call: Call): Promise<Claim | undefined>
  /** Whether an update that leaves a terminating object without finalizers may delete it. Default: yes. */
  mayDeleteOnUpdate?(object: T, old: T): boolean
  /**
   * A deletion that is none yet: the object to write instead (a namespace that begins to terminate); `pending`: it is under way;
   * undefined: go on.
   */
  divertDelete?(object: T, nowMs: number): T | 'pending' | undefined
}
