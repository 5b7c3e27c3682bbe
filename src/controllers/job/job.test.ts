// Jobs and CronJobs in a whole cluster: what their pods do decides.
import { describe, expect, test } from 'vitest'
import type { Job as JobObject, JobSpec } from '#api/generated/batch-v1'
import { CronJob } from '#api/kinds/batch/cron-job'
import { Job } from '#api/kinds/batch/job'
import { Event } from '#api/kinds/core/event'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'
import { indexOf } from './pod-of-job.ts'

const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'navarch.local/task:1' }] } }

function jobOf(spec: Manifest<JobSpec> = {}): Manifest<JobObject> {
  return { metadata: { name: 'task', namespace: 'default' }, spec: { template, ...spec } }
}

async function condition(cluster: TestCluster, type: string): Promise<string> {
  return cluster.until(async () => {
    const job = await cluster.get(Job, 'task')
    const found = job?.status.conditions?.find((one) => one.type === type && one.status === 'True')
    return found === undefined ? undefined : `${found.reason}: ${found.message}`
  })
}

async function counts(cluster: TestCluster): Promise<Record<string, unknown>> {
  const { active, succeeded, failed, completedIndexes, failedIndexes, uncountedTerminatedPods } =
    (await cluster.get(Job, 'task'))?.status ?? {}
  return {
    active: active ?? 0,
    succeeded: succeeded ?? 0,
    failed: failed ?? 0,
    completedIndexes,
    failedIndexes,
    uncounted: uncountedTerminatedPods ?? {},
  }
}

describe('a Job', () => {
  test('runs in parallel until enough have succeeded, and counts each pod once', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    await cluster.create(Job, jobOf({ completions: 5, parallelism: 2 }))
    await cluster.until(async () => (await cluster.list(Pod)).length === 2)
    node.readiness(() => 'succeeded')
    expect(await condition(cluster, 'Complete')).toBe('CompletionsReached: Reached expected number of succeeded pods')
    expect(await counts(cluster)).toMatchObject({ active: 0, succeeded: 5, failed: 0, uncounted: {} })
    const pods = await cluster.list(Pod)
    expect([pods.length, pods.every(({ metadata }) => metadata.finalizers === undefined)]).toEqual([5, true])
    expect((await cluster.get(Job, 'task'))?.status.completionTime).toBeDefined()
    const events = (await cluster.list(Event)).filter(({ involvedObject }) => involvedObject.kind === 'Job')
    expect(events.filter(({ reason }) => reason === 'Completed').map(({ message }) => message)).toEqual(['Job completed'])
    expect(cluster.failures).toEqual([])
  })

  test('fails when its pods do, waiting longer each time', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness(() => 'failed')
    const begin = cluster.clock.now()
    await cluster.create(Job, jobOf({ backoffLimit: 2 }))
    expect(await condition(cluster, 'Failed')).toBe('BackoffLimitExceeded: Job has reached the specified backoff limit')
    expect(await counts(cluster)).toMatchObject({ active: 0, succeeded: 0, failed: 3 })
    expect(cluster.clock.now() - begin).toBeGreaterThanOrEqual(30_000)
  })

  test('ends at its deadline', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(Job, jobOf({ activeDeadlineSeconds: 30 }))
    expect(await condition(cluster, 'Failed')).toBe('DeadlineExceeded: Job was active longer than specified deadline')
    await cluster.until(async () => (await cluster.list(Pod)).length === 0)
  })

  test('suspended it has no pods, and loses none to its limit', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(Job, jobOf({ backoffLimit: 0 }))
    await cluster.until(async () => (await cluster.get(Job, 'task'))?.status.active === 1)
    await cluster.client.patch(Job, { namespace: 'default', name: 'task' }, 'merge', { spec: { suspend: true } })
    expect(await condition(cluster, 'Suspended')).toBe('JobSuspended: Job suspended')
    await cluster.until(async () => (await cluster.list(Pod)).length === 0)
    expect(await counts(cluster)).toMatchObject({ active: 0, failed: 0 })
    await cluster.client.patch(Job, { namespace: 'default', name: 'task' }, 'merge', { spec: { suspend: false } })
    await cluster.until(async () => (await cluster.get(Job, 'task'))?.status.active === 1)
  })

  test('by index each has one pod, and failed indexes end it', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness((pod) => (indexOf(pod) === 1 ? 'failed' : 'succeeded'))
    await cluster.create(Job, jobOf({ completions: 4, parallelism: 4, completionMode: 'Indexed', backoffLimitPerIndex: 1 }))
    expect(await condition(cluster, 'Failed')).toBe('FailedIndexes: Job has failed indexes')
    expect(await counts(cluster)).toMatchObject({ succeeded: 3, failed: 2, completedIndexes: '0,2,3', failedIndexes: '1' })
    const [first] = (await cluster.list(Pod)).filter((pod) => indexOf(pod) === 0)
    expect([first?.spec.hostname, first?.metadata.name.startsWith('task-0-'), first?.spec.containers[0]?.env?.[0]?.name]).toEqual([
      'task-0',
      true,
      'JOB_COMPLETION_INDEX',
    ])
  })

  test('its success policy lets it end early', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness((pod) => (indexOf(pod) === 0 ? 'succeeded' : 'ready'))
    const successPolicy = { rules: [{ succeededIndexes: '0' }] }
    await cluster.create(Job, jobOf({ completions: 3, parallelism: 3, completionMode: 'Indexed', successPolicy }))
    expect(await condition(cluster, 'Complete')).toBe('SuccessPolicy: Matched rules at index 0')
  })

  test('its failure policy ends it at once', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness(() => 'failed')
    const podFailurePolicy = { rules: [{ action: 'FailJob' as const, onExitCodes: { operator: 'In' as const, values: [1] } }] }
    await cluster.create(Job, jobOf({ podFailurePolicy }))
    expect(await condition(cluster, 'Failed')).toMatch(
      /^PodFailurePolicy: Container main for pod default\/task-\w+ failed with exit code 1 matching FailJob rule at index 0$/,
    )
  })

  test('goes when its time after the end is over, and its pods with it', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness(() => 'succeeded')
    await cluster.create(Job, jobOf({ ttlSecondsAfterFinished: 20 }))
    await condition(cluster, 'Complete')
    await cluster.until(async () => (await cluster.get(Job, 'task')) === undefined && (await cluster.list(Pod)).length === 0)
  })

  test('deleted while it runs leaves no pod held by its finalizer', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(Job, jobOf())
    await cluster.until(async () => (await cluster.get(Job, 'task'))?.status.active === 1)
    await cluster.client.delete(Job, { namespace: 'default', name: 'task' }, { propagationPolicy: 'Background' })
    await cluster.until(async () => (await cluster.list(Pod)).length === 0)
  })
})

describe('a CronJob', () => {
  const cron = (more: object = {}) => ({
    metadata: { name: 'tick', namespace: 'default' },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template } }, ...more },
  })

  test('starts a Job each minute and keeps three of the finished', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness(() => 'succeeded')
    await cluster.create(CronJob, cron())
    await cluster.until(
      async () =>
        (await cluster.list(Event))
          .filter(({ reason }) => reason === 'SawCompletedJob')
          .reduce((sum, { count }) => sum + (count ?? 1), 0) >= 5,
      { withinMs: 600_000 },
    )
    await cluster.until(async () => (await cluster.list(Job)).length === 3)
    const names = (await cluster.list(Job)).map(({ metadata }) => metadata.name)
    expect(names.every((name) => /^tick-\d{8}$/.test(name))).toBe(true)
    const found = await cluster.get(CronJob, 'tick')
    expect([
      found?.status.active,
      found?.status.lastScheduleTime?.endsWith(':00Z'),
      found?.status.lastSuccessfulTime !== undefined,
    ]).toEqual([undefined, true, true])
    expect(cluster.failures).toEqual([])
  })

  test.each([
    ['Forbid', 1, 'JobAlreadyActive'],
    ['Replace', 1, 'SuccessfulDelete'],
  ])('under %s runs %i at a time', async (concurrencyPolicy, running, reason) => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(CronJob, cron({ concurrencyPolicy }))
    await cluster.until(async () => (await cluster.list(Event)).some((event) => event.reason === reason), { withinMs: 300_000 })
    await cluster.until(async () => (await cluster.get(CronJob, 'tick'))?.status.active?.length === running)
    await cluster.until(async () => (await cluster.list(Job)).length === running)
  })
})
