// Whether a Job has come to its end, for everybody who waits for that.
import type { JobCondition, Job as JobObject } from '#api/generated/batch-v1'

function finalCondition({ status }: Pick<JobObject, 'status'>): JobCondition | undefined {
  return status.conditions?.find(({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True')
}

export function isJobFinished(job: Pick<JobObject, 'status'>): boolean {
  return finalCondition(job) !== undefined
}

/** When it came to its end, in ms. */
export function jobFinishedAtMs(job: Pick<JobObject, 'status'>): number | undefined {
  const at = finalCondition(job)?.lastTransitionTime
  return at === undefined ? undefined : Date.parse(at)
}
