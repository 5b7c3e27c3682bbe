// What the parts of the contract suite are given, and the values they expect.
import { bytes, committed } from '../store.testing.ts'
import type { Store, StoredValue } from '../store.ts'

/** The store of the test that runs. */
export type Current = () => Store

/** Short ways to write to it; each returns the revision. */
export interface Shorthand {
  readonly put: (key: string, value: string) => Promise<number>
  readonly remove: (key: string) => Promise<number>
}

export function shorthand(current: Current): Shorthand {
  return {
    put: async (key, value) => (await committed(current().write({ key, value: bytes(value) }))).revision,
    remove: async (key) => (await committed(current().write({ key, value: undefined }))).revision,
  }
}

export function stored(key: string, value: string, createRevision: number, modRevision: number, version: number): StoredValue {
  return { key, value: bytes(value), createRevision, modRevision, version }
}
