// TTL after finished (KEP-592): Jobs that say how long they want to be remembered are deleted when that time is over.
import { isApiError } from '#api/errors'
import { Job } from '#api/kinds/batch/job'
import { defineController } from '#client/controller'
import { jobFinishedAtMs } from '../job-finished.ts'
import { nameOf } from '../owned-objects.ts'
import { watchKind } from '../watches.ts'

export const ttlAfterFinishedController = defineController({
  name: 'ttl-after-finished-controller',
  watches: [watchKind(Job)],
  async reconcile(key, { cache, client, clock }) {
    const job = cache.get(Job, key)
    const ttlSeconds = job?.spec.ttlSecondsAfterFinished
    if (job === undefined || ttlSeconds === undefined || job.metadata.deletionTimestamp !== undefined) return
    const finishedAtMs = jobFinishedAtMs(job)
    if (finishedAtMs === undefined) return
    const leftMs = finishedAtMs + ttlSeconds * 1_000 - clock.now()
    if (leftMs > 0) return leftMs
    const { uid, resourceVersion } = job.metadata
    // The time may have been prolonged since the cache heard of the Job: then the version is another.
    await client.delete(Job, nameOf(job), { propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion } }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
    return
  },
})
