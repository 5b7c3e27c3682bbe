// Autoscalers against the real API server; metrics are what a test says they are, as another server behind aggregation would.
import { describe, expect, test } from 'vitest'
import { ApiError, pathNotFound } from '#api/errors'
import type { HorizontalPodAutoscaler as AutoscalerObject, HorizontalPodAutoscalerSpec, MetricSpec } from '#api/generated/autoscaling-v2'
import { Deployment } from '#api/kinds/apps/deployment'
import { HorizontalPodAutoscaler } from '#api/kinds/autoscaling/horizontal-pod-autoscaler'
import { Event } from '#api/kinds/core/event'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject, Manifest } from '#api/object'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster } from '../cluster.testing.ts'
import { createHorizontalPodAutoscalerController } from './horizontal-pod-autoscaler.ts'

const cpu: MetricSpec = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }

interface World {
  readonly autoscaler: () => AutoscalerObject
  readonly events: string[]
  readonly replicas: () => number
  /** Answers of paths, by their beginning. */
  readonly answers: Record<string, object>
  readonly asked: string[]
  look(): Promise<number | undefined>
  pass(seconds: number): Promise<void>
  readonly condition: (type: string) => string
}

function world(spec: Manifest<HorizontalPodAutoscalerSpec>, { replicas = 3 } = {}): World {
  const clock = new FakeClock(Date.UTC(2026, 0, 1, 12))
  let autoscaler = makeObject(HorizontalPodAutoscaler, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, ...spec },
    status: { currentReplicas: 0, desiredReplicas: 0 },
  } as Manifest<AutoscalerObject>)
  const pods = Array.from({ length: replicas }, (_, i) =>
    makeObject(Pod, {
      metadata: { name: `web-${i}`, namespace: 'default', labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image: 'navarch.local/web:1', resources: { requests: { cpu: '1' } } }] },
      status: {
        phase: 'Running',
        startTime: '2026-01-01T00:00:00Z',
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:10Z' }],
      },
    }),
  )
  const scale = { metadata: { name: 'web' }, spec: { replicas }, status: { replicas, selector: 'app=web' } }
  const answers: Record<string, object> = {
    '/apis/apps': { versions: [{ version: 'v1' }] },
    '/apis/apps/v1': { resources: [{ name: 'deployments', kind: 'Deployment' }] },
    '/apis/apps/v1/namespaces/default/deployments/web/scale': scale,
  }
  const asked: string[] = []
  const events: string[] = []
  const client = {
    async raw(method: string, path: string, body?: typeof scale) {
      asked.push(`${method} ${decodeURIComponent(path)}`)
      const answer = answers[path.split('?')[0] as string]
      if (answer === undefined) throw pathNotFound()
      if (answer instanceof Error) throw answer
      if (method === 'PUT' && body !== undefined) {
        scale.spec = body.spec
        return body
      }
      return structuredClone(answer)
    },
    async updateStatus(_kind: unknown, object: AutoscalerObject) {
      autoscaler = object
      return object
    },
  } as unknown as Client
  const cache = { get: () => autoscaler, list: () => pods } as unknown as Cache
  const controller = createHorizontalPodAutoscalerController()
  const record = (_about: KubeObject | object, _type: string, reason: string, message: string): void =>
    void events.push(`${reason}: ${message}`)
  const context = {
    cache,
    client,
    clock,
    random: seededRandom(1),
    events: { record, flush: async () => {} },
    signal: new AbortController().signal,
  }
  return {
    autoscaler: () => autoscaler,
    events,
    answers,
    asked,
    replicas: () => scale.spec.replicas,
    look: () => controller.reconcile('default/web', context),
    pass: (seconds) => clock.advance(seconds * 1_000),
    condition(type) {
      const found = autoscaler.status.conditions?.find((one) => one.type === type)
      return found === undefined ? '' : `${found.status} ${found.reason}: ${found.message}`
    },
  }
}

const podsPath = '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods'

function usages(...values: string[]): object {
  return {
    items: values.map((value, i) => ({
      metadata: { name: `web-${i}` },
      timestamp: '2026-01-01T12:00:00Z',
      window: '30s',
      containers: [{ name: 'c', usage: { cpu: value } }],
    })),
  }
}

describe('an autoscaler by cpu', () => {
  test('adds replicas when the pods use more than asked, and tells what it saw', async () => {
    const w = world({ maxReplicas: 10, metrics: [cpu] })
    w.answers[podsPath] = usages('900m', '900m', '900m')
    expect(await w.look()).toBe(15_000)
    expect(w.asked).toContain(`GET ${podsPath}?labelSelector=app=web`)
    expect(w.replicas()).toBe(6)
    expect(w.events).toEqual(['SuccessfulRescale: New size: 6; reason: cpu resource utilization (percentage of request) above target'])
    expect(w.autoscaler().status).toMatchObject({
      currentReplicas: 3,
      desiredReplicas: 6,
      lastScaleTime: '2026-01-01T12:00:00Z',
      currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '900m' } } }],
    })
    expect(w.condition('AbleToScale')).toBe('True SucceededRescale: the HPA controller was able to update the target scale to 6')
    expect(w.condition('ScalingActive')).toBe(
      'True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)',
    )
    expect(w.condition('ScalingLimited')).toBe('False DesiredWithinRange: the desired count is within the acceptable range')
  })

  test('takes replicas away when the last five minutes agree', async () => {
    const w = world({ maxReplicas: 10, minReplicas: 2, metrics: [cpu] })
    w.answers[podsPath] = usages('10m', '10m', '10m')
    await w.look()
    expect([w.replicas(), w.condition('AbleToScale')]).toEqual([
      3,
      'True ScaleDownStabilized: recent recommendations were higher than current one, applying the highest recent recommendation',
    ])
    await w.pass(301)
    await w.look()
    expect(w.replicas()).toBe(2)
    expect(w.events).toEqual(['SuccessfulRescale: New size: 2; reason: All metrics below target'])
    expect(w.condition('ScalingLimited')).toBe('True TooFewReplicas: the desired replica count is less than the minimum replica count')
  })

  test('without a metrics API tells so, and leaves the count', async () => {
    const w = world({ maxReplicas: 10, metrics: [cpu] })
    await w.look()
    const why =
      'failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)'
    expect(w.events).toEqual([
      `FailedGetResourceMetric: ${why}`,
      `FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: ${why}`,
    ])
    expect(w.condition('ScalingActive')).toBe(`False FailedGetResourceMetric: the HPA was unable to compute the replica count: ${why}`)
    expect(w.condition('AbleToScale')).toBe("True SucceededGetScale: the HPA controller was able to get the target's current scale")
    expect([w.replicas(), w.autoscaler().status.currentReplicas]).toEqual([3, 3])
  })

  test.each<[string, Manifest<HorizontalPodAutoscalerSpec>, number, number, string]>([
    ['above the maximum', { maxReplicas: 2 }, 5, 2, 'New size: 2; reason: Current number of replicas above Spec.MaxReplicas'],
    [
      'below the minimum',
      { minReplicas: 3, maxReplicas: 9 },
      1,
      3,
      'New size: 3; reason: Current number of replicas below Spec.MinReplicas',
    ],
  ])('a count %s is put right without asking for metrics', async (_, spec, from, to, message) => {
    const w = world({ metrics: [cpu], ...spec }, { replicas: from })
    await w.look()
    expect([w.replicas(), w.events]).toEqual([to, [`SuccessfulRescale: ${message}`]])
  })

  test('a target of none is left alone', async () => {
    const w = world({ maxReplicas: 9, metrics: [cpu] }, { replicas: 0 })
    await w.look()
    expect([w.replicas(), w.events]).toEqual([0, []])
    expect(w.condition('ScalingActive')).toBe('False ScalingDisabled: scaling is disabled since the replica count of the target is zero')
  })

  test('a target that is not there, or is no such kind, is told of', async () => {
    const w = world({ maxReplicas: 9, metrics: [cpu] })
    delete w.answers['/apis/apps/v1/namespaces/default/deployments/web/scale']
    await w.look()
    expect(w.condition('AbleToScale')).toBe(
      "False FailedGetScale: the HPA controller was unable to get the target's current scale: the server could not find the requested resource",
    )
    const odd = world({ maxReplicas: 9, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Web', name: 'web' } })
    await odd.look()
    expect(odd.events).toEqual(['FailedGetScale: no matches for kind "Web" in group "apps"'])
  })

  test('a scale that cannot be written is told of', async () => {
    const w = world({ maxReplicas: 2, metrics: [cpu] })
    const path = '/apis/apps/v1/namespaces/default/deployments/web/scale'
    const scale = w.answers[path]
    Object.defineProperty(w.answers, path, {
      get: () =>
        w.asked.at(-1)?.startsWith('PUT')
          ? new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'no', code: 403 })
          : scale,
    })
    await w.look()
    expect(w.events).toEqual(['FailedRescale: New size: 2; reason: Current number of replicas above Spec.MaxReplicas; error: no'])
    expect(w.condition('AbleToScale')).toBe('False FailedUpdateScale: the HPA controller was unable to update the target scale: no')
  })
})

describe('an autoscaler by other metrics', () => {
  const custom = '/apis/custom.metrics.k8s.io'
  const value = (text: string, name = 'x') => ({ describedObject: { name }, timestamp: '2026-01-01T12:00:00Z', value: text })

  test('of the pods', async () => {
    const target = { type: 'AverageValue', averageValue: '10' }
    const metric = { name: 'qps', selector: { matchLabels: { verb: 'GET' } } }
    const w = world({ maxReplicas: 10, metrics: [{ type: 'Pods', pods: { metric, target } }] })
    w.answers[custom] = { versions: [{ version: 'v1beta1' }, { version: 'v1beta2' }] }
    const path = `${custom}/v1beta2/namespaces/default/pods/*/qps`
    w.answers[path] = { items: [value('20', 'web-0'), value('20', 'web-1'), value('20', 'web-2')] }
    await w.look()
    expect(w.asked).toContain(`GET ${path}?labelSelector=app=web&metricLabelSelector=verb=GET`)
    expect([w.replicas(), w.events]).toEqual([6, ['SuccessfulRescale: New size: 6; reason: pods metric qps above target']])
    expect(w.autoscaler().status.currentMetrics).toEqual([{ type: 'Pods', pods: { metric, current: { averageValue: '20' } } }])
  })

  test('of an object', async () => {
    const describedObject = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'front' }
    const object = { describedObject, metric: { name: 'hits' }, target: { type: 'Value', value: '10' } }
    const w = world({ maxReplicas: 10, metrics: [{ type: 'Object', object }] })
    await w.look()
    const registered =
      'unable to get metric hits: unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered on Deployment default/front'
    expect(w.events[0]).toBe(`FailedGetObjectMetric: ${registered}`)
    w.answers[custom] = { versions: [{ version: 'v1beta2' }] }
    w.answers[`${custom}/v1beta2/namespaces/default/deployments.apps/front/hits`] = { items: [value('20')] }
    await w.look()
    expect([w.replicas(), w.events.at(-1)]).toEqual([6, 'SuccessfulRescale: New size: 6; reason: Deployment metric hits above target'])
  })

  test('of something outside', async () => {
    const external = { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '5' } }
    const w = world({ maxReplicas: 10, metrics: [{ type: 'External', external }] })
    await w.look()
    const why =
      'unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)'
    expect(w.events).toEqual([
      `FailedGetExternalMetric: ${why}`,
      `FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get queue external metric: ${why}`,
    ])
    w.answers['/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue'] = { items: [value('12'), value('13')] }
    await w.look()
    expect([w.replicas(), w.events.at(-1)]).toEqual([5, 'SuccessfulRescale: New size: 5; reason: external metric queue(nil) above target'])
  })

  test('one metric that fails does not keep the others from adding, only from taking away', async () => {
    const external = { metric: { name: 'queue' }, target: { type: 'Value', value: '5' } }
    const w = world({ maxReplicas: 10, metrics: [{ type: 'External', external }, cpu] })
    w.answers[podsPath] = usages('10m', '10m', '10m')
    await w.look()
    expect([w.replicas(), w.condition('ScalingActive').split(':')[0]]).toEqual([3, 'False FailedGetExternalMetric'])
    w.answers[podsPath] = usages('900m', '900m', '900m')
    await w.look()
    expect([w.replicas(), w.condition('ScalingActive').split(':')[0]]).toEqual([6, 'True ValidMetricFound'])
    expect(w.autoscaler().status.currentMetrics?.map(({ type }) => type)).toEqual(['', 'Resource'])
  })
})

test('in a cluster without metrics a Deployment keeps its count, within the limits, and no right is missing', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/web:1' }] } }
  await cluster.create(Deployment, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template },
  })
  await cluster.create(HorizontalPodAutoscaler, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 4 },
  })
  await cluster.until(async () => (await cluster.get(Deployment, 'web'))?.status.readyReplicas === 2)
  const told = await cluster.until(async () => {
    const { items } = await cluster.client.list(Event)
    return items.find(({ reason }) => reason === 'FailedGetResourceMetric')?.message
  })
  expect(told).toBe(
    'failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)',
  )
  const { status } = (await cluster.get(HorizontalPodAutoscaler, 'web')) as AutoscalerObject
  expect(status.conditions?.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)).toEqual([
    'AbleToScale True SucceededGetScale',
    'ScalingActive False FailedGetResourceMetric',
  ])
  expect(cluster.failures).toEqual([])
})
