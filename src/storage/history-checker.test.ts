import { expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { checkHistory, runRandomLoad } from './history-checker.ts'
import { openMemoryStore } from './memory/memory-store.ts'
import type { Store, StoreEvent, WatchOptions } from './store.ts'

// Each of these stores breaks one promise now and then; the checker must notice.
type Break = (store: Store) => Partial<Store>

function everyNth(n: number): () => boolean {
  let calls = 0
  return () => ++calls % n === 0
}

function watching(store: Store, change: (events: readonly StoreEvent[]) => readonly StoreEvent[][]): Partial<Store> {
  return {
    watch: (prefix, options: WatchOptions) =>
      // The watch of everything is the checker's own measure.
      store.watch(prefix, prefix === '' ? options : { ...options, onEvents: (events) => change(events).forEach(options.onEvents) }),
  }
}

const breaks: [string, Break][] = [
  [
    'loses an event',
    (store) => {
      const now = everyNth(25)
      return watching(store, (events) => (now() ? [] : [[...events]]))
    },
  ],
  [
    'repeats an event',
    (store) => {
      const now = everyNth(25)
      return watching(store, (events) => (now() ? [[...events], [...events]] : [[...events]]))
    },
  ],
  [
    'swaps two events',
    (store) => {
      const now = everyNth(5)
      return watching(store, (events) => [events.length > 1 && now() ? [...events].reverse() : [...events]])
    },
  ],
  [
    'forgets a write that it acknowledged',
    (store) => {
      const now = everyNth(50)
      return {
        write: async (write) =>
          now() ? { outcome: 'committed', revision: (await store.currentRevision()) + 1, previous: undefined } : store.write(write),
      }
    },
  ],
  [
    'lets an outdated write through',
    (store) => {
      const now = everyNth(10)
      return { write: ({ key, value, expectedModRevision }) => store.write({ key, value, ...(now() ? {} : { expectedModRevision }) }) }
    },
  ],
  [
    'reads another revision than it says',
    (store) => {
      const now = everyNth(10)
      return {
        range: async (prefix, options) => {
          const result = await store.range(prefix, options)
          return now() ? { ...result, revision: Math.max(1, result.revision - 3) } : result
        },
      }
    },
  ],
  [
    'answers with what was true a while ago',
    (store) => ({
      range: async (prefix, options) => store.range(prefix, { revision: Math.max(1, (await store.currentRevision()) - 20), ...options }),
    }),
  ],
  [
    'tells of a conflict that was none',
    (store) => {
      const now = everyNth(30)
      return {
        write: async (write) =>
          now() ? { outcome: 'conflict', current: undefined, revision: await store.currentRevision() } : store.write(write),
      }
    },
  ],
]

test.each(breaks)('MUSTHOLD 22: a store that %s does not pass', async (_, breaks) => {
  const inner = openMemoryStore()
  const store = Object.assign(Object.create(null) as Store, methodsOf(inner), breaks(inner))
  const size = { writers: 6, writesEach: 60, keys: 4, watches: 8, readers: 3 }
  const load = await runRandomLoad(store, seededRandom(17), size)
  expect(await checkHistory(store, load)).not.toEqual([])
})

function methodsOf(store: Store): Store {
  return {
    currentRevision: () => store.currentRevision(),
    oldestRevision: () => store.oldestRevision(),
    get: (...args) => store.get(...args),
    range: (...args) => store.range(...args),
    count: (...args) => store.count(...args),
    write: (...args) => store.write(...args),
    writeAll: (...args) => store.writeAll(...args),
    watch: (...args) => store.watch(...args),
    compact: (...args) => store.compact(...args),
    sizeBytes: () => store.sizeBytes(),
    close: () => store.close(),
  }
}
