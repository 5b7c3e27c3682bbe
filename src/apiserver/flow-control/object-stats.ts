// How many objects of a resource there are, and how large they are on average, for the width of lists. Sizes are those of a few of
// them, looked at again now and then.
import type { Clock } from '#base/clock'
import type { ApiCore } from '../api-server.ts'
import { isStored } from '../registry/registries.ts'
import type { RequestInfo } from '../request.ts'
import type { ObjectStats } from './work-estimate.ts'

const sampleMax = 8
const sampledForMs = 30_000

interface Sample {
  readonly averageBytes: number
  readonly atMs: number
}

/** Undefined for what is not stored here. */
export function createObjectStats(
  { catalog, registries }: Pick<ApiCore, 'catalog' | 'registries'>,
  clock: Clock,
): (info: RequestInfo) => ObjectStats | undefined {
  const samples = new WeakMap<object, Sample>()
  return ({ group, version, resource }) => {
    const kind = catalog.find(group, version, resource)
    if (kind === undefined || !isStored(kind)) return undefined
    const { cache } = registries.of(kind)
    const count = cache.ready ? cache.size : 0
    if (count === 0) return { count, averageBytes: 0 }
    let sample = samples.get(cache)
    const nowMs = clock.monotonic()
    if (sample === undefined || nowMs - sample.atMs > sampledForMs) {
      const { items } = cache.page({}, { limit: sampleMax })
      const bytes = items.reduce((sum, { json }) => sum + json.length, 0)
      sample = { averageBytes: items.length === 0 ? 0 : Math.ceil(bytes / items.length), atMs: nowMs }
      samples.set(cache, sample)
    }
    return { count, averageBytes: sample.averageBytes }
  }
}
