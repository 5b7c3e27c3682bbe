import { describe, expect, test } from 'vitest'
import type { PodDisruptionBudgetSpec } from '#api/generated/policy-v1'
import { Deployment } from '#api/kinds/apps/deployment'
import { Event } from '#api/kinds/core/event'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import { PodDisruptionBudget } from '#api/kinds/policy/pod-disruption-budget'
import { isPodReady } from '#api/pods'
import { timestamp } from '#base/clock'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster } from '../cluster.testing.ts'
import { planBudget } from './plan-budget.ts'

const nowMs = Date.UTC(2026, 0, 1, 1)
const budgetOf = (spec: Partial<PodDisruptionBudgetSpec>, status: object = {}) =>
  makeObject(PodDisruptionBudget, { metadata: { name: 'web' }, spec: { selector: { matchLabels: { app: 'web' } }, ...spec }, status })
const pods = (ready: number, others = 0, more: object = {}) =>
  Array.from({ length: ready + others }, (_, i) =>
    makeObject(Pod, {
      metadata: { name: `p${i}`, labels: { app: 'web' }, ...more },
      spec: { containers: [] },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
    }),
  )

test('a pod with several budgets is told so, by the first of them alone', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  for (const name of ['b', 'a']) {
    const spec = { minAvailable: 1, selector: { matchLabels: { app: 'web' } } }
    await cluster.create(PodDisruptionBudget, { metadata: { name, namespace: 'default' }, spec })
  }
  const metadata = { name: 'web', namespace: 'default', labels: { app: 'web' } }
  await cluster.create(Pod, { metadata, spec: { containers: [{ name: 'c', image: 'navarch.local/web:1' }] } })
  const events = async (): Promise<(string | undefined)[]> => {
    const { items } = await cluster.client.list(Event)
    return items.filter(({ reason }) => reason === 'MultiplePodDisruptionBudgets').map(({ message }) => message)
  }
  await cluster.until(async () => (await events()).length > 0)
  expect(new Set(await events())).toEqual(new Set(['Pod "default"/"web" matches multiple PodDisruptionBudgets.  Chose "a" arbitrarily.']))
})

describe('planBudget', () => {
  test.each([
    [
      'a number that must stay',
      { minAvailable: 2 },
      pods(3),
      0,
      { currentHealthy: 3, desiredHealthy: 2, disruptionsAllowed: 1, expectedPods: 3 },
    ],
    [
      'a share that must stay',
      { minAvailable: '50%' },
      pods(3),
      5,
      { currentHealthy: 3, desiredHealthy: 3, disruptionsAllowed: 0, expectedPods: 5 },
    ],
    [
      'a number that may go',
      { maxUnavailable: 1 },
      pods(3),
      4,
      { currentHealthy: 3, desiredHealthy: 3, disruptionsAllowed: 0, expectedPods: 4 },
    ],
    [
      'a share that may go, rounded up',
      { maxUnavailable: '30%' },
      pods(4),
      4,
      { currentHealthy: 4, desiredHealthy: 2, disruptionsAllowed: 2, expectedPods: 4 },
    ],
    [
      'what is not ready does not count',
      { minAvailable: 1 },
      pods(1, 2),
      0,
      { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, expectedPods: 3 },
    ],
    ['nothing to disrupt', { minAvailable: 0 }, [], 0, { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 }],
  ])('%s', (_name, spec, of, wanted, status) => {
    expect(planBudget(budgetOf(spec), of, wanted, nowMs).status).toMatchObject(status)
  })

  test('an allowed eviction is remembered for two minutes', () => {
    const budget = budgetOf(
      { minAvailable: 1 },
      { disruptedPods: { p0: '2026-01-01T00:59:00Z', p1: '2026-01-01T00:57:59Z', gone: '2026-01-01T00:59:00Z' } },
    )
    const { status, notDeleted, lookAgainAfterMs } = planBudget(budget, pods(3), 0, nowMs)
    expect([status.disruptedPods, status.currentHealthy, notDeleted.map(({ metadata }) => metadata.name), lookAgainAfterMs]).toEqual([
      { p0: '2026-01-01T00:59:00Z' },
      2,
      ['p1'],
      60_000,
    ])
  })

  test('says so as a condition', () => {
    const { conditions } = planBudget(budgetOf({ minAvailable: 1 }), pods(2), 0, nowMs).status
    expect(conditions).toEqual([
      {
        type: 'DisruptionAllowed',
        status: 'True',
        reason: 'SufficientPods',
        message: '',
        lastTransitionTime: '2026-01-01T01:00:00Z',
        observedGeneration: 1,
      },
    ])
  })
})

test('a budget follows its Deployment, and evictions are held to it', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'navarch.local/web:1' }] } }
  await cluster.create(Deployment, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template },
  })
  await cluster.create(PodDisruptionBudget, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } },
  })
  await cluster.until(async () => (await cluster.get(PodDisruptionBudget, 'web'))?.status?.disruptionsAllowed === 1)
  const [first, second] = await cluster.list(Pod)
  const evict = (name: string) =>
    cluster.client.createSubresource(Pod, { namespace: 'default', name }, 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: 'default' },
    })
  await evict(first!.metadata.name)
  await expect(evict(second!.metadata.name)).rejects.toThrow("Cannot evict pod as it would violate the pod's disruption budget.")
  await cluster.until(async () => (await cluster.get(PodDisruptionBudget, 'web'))?.status?.disruptionsAllowed === 1)
  expect(cluster.failures).toEqual([])
})

test('a ReplicationController keeps its pods', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  const template = { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'web', image: 'navarch.local/web:1' }] } }
  await cluster.create(ReplicationController, {
    metadata: { name: 'old', namespace: 'default' },
    spec: { replicas: 2, selector: { app: 'old' }, template },
  })
  await cluster.until(async () => (await cluster.get(ReplicationController, 'old'))?.status.readyReplicas === 2)
  const [pod] = await cluster.list(Pod)
  await cluster.client.delete(Pod, { namespace: 'default', name: pod!.metadata.name })
  await cluster.until(async () => (await cluster.get(Pod, pod!.metadata.name)) === undefined && (await cluster.list(Pod)).length === 2)
  await cluster.client.patch(ReplicationController, { namespace: 'default', name: 'old' }, 'merge', { spec: { replicas: 0 } })
  await cluster.until(async () => (await cluster.list(Pod)).length === 0)
  expect(cluster.failures).toEqual([])
})

test('a disruption that never came is taken back after two minutes', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'navarch.local/web:1' }] } }
  await cluster.create(Deployment, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template },
  })
  const pod = await cluster.until(async () => (await cluster.list(Pod)).find(isPodReady))
  const lastTransitionTime = timestamp(cluster.clock.now())
  const conditions = [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', lastTransitionTime }]
  const key = { namespace: 'default', name: pod.metadata.name }
  await cluster.client.patch(Pod, key, 'strategic', { status: { conditions } }, { subresource: 'status' })
  const status = async (): Promise<string | undefined> =>
    (await cluster.get(Pod, pod.metadata.name))?.status.conditions?.find(({ type }) => type === 'DisruptionTarget')?.status
  await cluster.clock.advance(100_000)
  expect(await status()).toBe('True')
  await cluster.until(async () => (await status()) === 'False')
  expect(cluster.failures).toEqual([])
})
