// Job: runs pods until enough of them have succeeded, or too many have failed. A pod that has ended is held by a finalizer until
// it is written down in the Job's status, so that none is forgotten or counted twice.

import { isApiError } from '#api/errors'
import type { Job as JobObject } from '#api/generated/batch-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { Job } from '#api/kinds/batch/job'
import { Pod } from '#api/kinds/core/pod'
import { labelMatcher } from '#api/label-selectors'
import { controllerOf, parseKey } from '#api/object'
import type { Client } from '#client/client'
import { type Controller, defineController, type ReconcileContext } from '#client/controller'
import { isJobFinished } from '../job-finished.ts'
import { claimOwned, nameOf } from '../owned-objects.ts'
import { createPods, deletePods } from '../pods-of-template.ts'
import { watchKind, watchOwned } from '../watches.ts'
import { type JobBackoff, planJob } from './plan-job.ts'
import { isTracked, podOfJob, trackingFinalizer } from './pod-of-job.ts'

const ownManager = 'kubernetes.io/job-controller'

/** Backoff lives in memory, as in Kubernetes: a new process tries at once. */
export function createJobController(): Controller {
  const backoffs = new Map<string, JobBackoff>()
  return defineController({
    name: 'job-controller',
    watches: [watchKind(Job), watchOwned(Pod, { by: Job, selectorOf: (job) => job.spec.selector })],
    concurrency: 5,
    async reconcile(key, context) {
      const { cache, client, clock, events } = context
      const job = cache.get(Job, key)
      if (job === undefined || isJobFinished(job)) backoffs.delete(key)
      if (job === undefined) return releaseLeftBehind(key, context)
      if (job.spec.managedBy !== undefined && job.spec.managedBy !== ownManager) return
      const matches = labelMatcher(job.spec.selector)
      const pods = await claimOwned({ cache, client, ownerKind: Job, owner: job, kind: Pod, matches })
      if (isJobFinished(job)) {
        await release(pods.filter(isTracked), client)
        return
      }
      const plan = planJob(job, pods, clock.now(), backoffs.get(key))
      if (plan.backoff === undefined) backoffs.delete(key)
      else backoffs.set(key, plan.backoff)
      await release(plan.remove.filter(isTracked), client)
      await deletePods(context, job, [...plan.remove, ...plan.end])
      // What has ended is written down before it is let go of, and before a failure to make pods interrupts.
      const written = await writeStatus(job, plan.status, client)
      await release(plan.release, client)
      for (const { type, reason, message } of plan.events) events.record(job, type, reason, message)
      await createPods(context, job, plan.create.length, (i) => podOfJob(job, plan.create[i]!)).catch(async (error) => {
        await writeStatus(written, { ...plan.status, active: (plan.status.active ?? 0) - plan.create.length }, client)
        throw error
      })
      return plan.lookAgainAfterMs
    },
  })
}

async function writeStatus(job: JobObject, status: JobObject['status'], client: Client): Promise<JobObject> {
  const shown = (of: JobObject['status']): string =>
    canonicalJson(Object.fromEntries(Object.entries(of).filter(([, value]) => value !== 0 && value !== '')))
  return shown(job.status) === shown(status) ? job : client.updateStatus(Job, { ...job, status })
}

async function release(pods: readonly PodObject[], client: Client): Promise<void> {
  await Promise.all(
    pods.map(async (pod) => {
      const patch = { metadata: { uid: pod.metadata.uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } }
      try {
        await client.patch(Pod, nameOf(pod), 'strategic', patch)
      } catch (error) {
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Invalid') && !isApiError(error, 'Conflict')) throw error
      }
    }),
  )
}

/** Of a Job that is gone nobody will count the pods any more. */
async function releaseLeftBehind(key: string, { cache, client }: ReconcileContext): Promise<undefined> {
  const { namespace, name } = parseKey(key)
  const left = cache.list(Pod, namespace).filter((pod) => {
    const owner = controllerOf(pod)
    return isTracked(pod) && owner?.kind === Job.kind && owner.name === name
  })
  await release(left, client)
  return undefined
}
