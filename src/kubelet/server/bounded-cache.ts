// Answers that are good for a while: bounded in number and in age, and asked for once when many want the same.
import type { Clock } from '#base/clock'

export interface BoundedCache<V> {
  /** The cached value, or what `load` gives; its age limit is the loaded value's. */
  get(key: string, load: () => Promise<{ readonly value: V; readonly forMs: number }>): Promise<V>
}

export function createBoundedCache<V>(clock: Clock, entriesMax: number): BoundedCache<V> {
  const entries = new Map<string, { readonly value: V; readonly until: number }>()
  const loading = new Map<string, Promise<V>>()
  return {
    async get(key, load) {
      const entry = entries.get(key)
      if (entry !== undefined && clock.monotonic() < entry.until) return entry.value
      const going = loading.get(key)
      if (going !== undefined) return await going
      const work = load().then(({ value, forMs }) => {
        entries.delete(key)
        if (forMs > 0) entries.set(key, { value, until: clock.monotonic() + forMs })
        const oldest = entries.size > entriesMax ? entries.keys().next().value : undefined
        if (oldest !== undefined) entries.delete(oldest)
        return value
      })
      loading.set(key, work)
      try {
        return await work
      } finally {
        loading.delete(key)
      }
    },
  }
}
