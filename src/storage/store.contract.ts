// The one suite that every store driver passes. What a driver promises beyond the contract (durability, bounds, locks) it tests
// beside itself.
import { afterEach, beforeEach, describe } from 'vitest'
import { describeCompaction, describeEnd, describeLoad } from './contract/lifetime.ts'
import { describeRanges, describeReads } from './contract/reads.ts'
import { describeWatches } from './contract/watches.ts'
import { describeWrites } from './contract/writes.ts'
import type { Store } from './store.ts'

/** Runs the contract against stores that `open` makes: each fresh and empty, with room for a few thousand revisions of history. */
export function describeStore(name: string, open: () => Promise<Store>): void {
  describe(`Store: ${name}`, () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())
    const current = (): Store => store

    describeWrites(current)
    describeReads(current)
    describeRanges(current)
    describeWatches(current)
    describeCompaction(current)
    describeEnd(current)
    describeLoad(current)
  })
}
