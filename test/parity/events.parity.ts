// What the cluster says of what it does: events of controllers and scheduler, and how watches tell of changes.
import { describe, expect, test } from 'vitest'
import { useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()

interface Told {
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly source: { readonly component?: string }
  readonly reportingComponent: string
}

/** Events about an object, once there are as many as are waited for. */
async function eventsOf(kind: string, name: string, count: number): Promise<string[]> {
  const selector = encodeURIComponent(`involvedObject.kind=${kind},involvedObject.name=${name}`)
  return cluster.until(async () => {
    const { json } = await cluster.ask('GET', `${cluster.at('v1', 'events')}?fieldSelector=${selector}`)
    const told = (json as { items: Told[] }).items
    if (told.length < count) return undefined
    return told.map(
      ({ type, reason, message, source, reportingComponent }) =>
        `${type} ${reason} (${source.component || reportingComponent}): ${message}`,
    )
  })
}

const template = (spec: object = {}): object => ({
  metadata: { labels: { app: 'a' } },
  spec: { containers: [{ name: 'c', image: 'navarch.local/none:1' }], ...spec },
})
const selector = { matchLabels: { app: 'a' } }
const nowhere = { nodeSelector: { 'parity.example.com/nowhere': 'here' } }

describe('events', () => {
  test('of a deployment and its set of replicas', async () => {
    await cluster.create('apps/v1', 'deployments', {
      metadata: { name: 'web' },
      spec: { replicas: 1, selector, template: template(nowhere) },
    })
    const [scaled] = await eventsOf('Deployment', 'web', 1)
    const set = /replica set (web-[a-z0-9]+) from 0 to 1$/.exec(scaled ?? '')?.[1] ?? ''
    expect(scaled).toBe(`Normal ScalingReplicaSet (deployment-controller): Scaled up replica set ${set} from 0 to 1`)
    const [made] = await eventsOf('ReplicaSet', set, 1)
    const pod = /Created pod: (.*)$/.exec(made ?? '')?.[1] ?? ''
    expect(made).toBe(`Normal SuccessfulCreate (replicaset-controller): Created pod: ${set}-${pod.slice(set.length + 1)}`)
    const [failed] = await eventsOf('Pod', pod, 1)
    expect(failed).toMatch(
      /^Warning FailedScheduling \(default-scheduler\): 0\/(\d+) nodes are available: \1 node\(s\) didn't match Pod's node affinity\/selector\. (no new claims to deallocate, )?preemption: 0\/\1 nodes are available: \1 Preemption is not helpful for scheduling\.$/,
    )
    const { status } = await cluster.ask('DELETE', cluster.at('apps/v1', 'deployments', 'web'))
    expect(status).toBe(200)
  })

  test('of a set that may not make its pods', async () => {
    await cluster.create('v1', 'resourcequotas', { metadata: { name: 'none' }, spec: { hard: { 'count/pods': '0' } } })
    await cluster.until(async () => {
      const { json } = await cluster.ask('GET', cluster.at('v1', 'resourcequotas', 'none'))
      return (json as { status?: { used?: object } }).status?.used
    })
    await cluster.create('apps/v1', 'replicasets', { metadata: { name: 'held' }, spec: { selector, template: template(nowhere) } })
    const [failed] = await eventsOf('ReplicaSet', 'held', 1)
    expect(failed).toMatch(
      /^Warning FailedCreate \(replicaset-controller\): Error creating: pods "held-[a-z0-9]{5}" is forbidden: exceeded quota: none, requested: count\/pods=1, used: count\/pods=0, limited: count\/pods=0$/,
    )
    await cluster.ask('DELETE', cluster.at('apps/v1', 'replicasets', 'held'))
    await cluster.ask('DELETE', cluster.at('v1', 'resourcequotas', 'none'))
  })

  test('of a stateful set', async () => {
    await cluster.create('apps/v1', 'statefulsets', {
      metadata: { name: 'db' },
      spec: {
        serviceName: 'db',
        selector,
        template: template(nowhere),
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { storageClassName: 'none', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    })
    expect((await eventsOf('StatefulSet', 'db', 2)).sort()).toEqual([
      'Normal SuccessfulCreate (statefulset-controller): create Claim data-db-0 Pod db-0 in StatefulSet db success',
      'Normal SuccessfulCreate (statefulset-controller): create Pod db-0 in StatefulSet db successful',
    ])
    await cluster.ask('DELETE', cluster.at('apps/v1', 'statefulsets', 'db'))
  })

  test('of a job that rests, and goes on', async () => {
    await cluster.create('batch/v1', 'jobs', {
      metadata: { name: 'rest' },
      spec: { suspend: true, template: template({ restartPolicy: 'Never', ...nowhere }) },
    })
    expect(await eventsOf('Job', 'rest', 1)).toEqual(['Normal Suspended (job-controller): Job suspended'])
    await cluster.ask('PATCH', cluster.at('batch/v1', 'jobs', 'rest'), {
      body: { spec: { suspend: false } },
      contentType: 'application/merge-patch+json',
    })
    const told = await eventsOf('Job', 'rest', 3)
    expect(told.map((line) => line.replace(/rest-[a-z0-9]{5}$/, 'rest-?')).sort()).toEqual([
      'Normal Resumed (job-controller): Job resumed',
      'Normal SuccessfulCreate (job-controller): Created pod: rest-?',
      'Normal Suspended (job-controller): Job suspended',
    ])
    await cluster.ask('DELETE', `${cluster.at('batch/v1', 'jobs', 'rest')}?propagationPolicy=Background`)
  })
})

describe('a watch', () => {
  /** The frames of a watch that lasts a second. */
  async function watched(
    query: string,
  ): Promise<{ type: string; object: { kind: string; metadata: { name?: string; annotations?: object } } }[]> {
    const { status, text } = await cluster.ask('GET', `${cluster.at('v1', 'configmaps')}?watch=true&timeoutSeconds=1&${query}`)
    expect(status, text).toBe(200)
    return text
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }

  test('tells what came, changed and went since', async () => {
    const { metadata } = await cluster.create('v1', 'configmaps', { metadata: { name: 'seen', labels: { watched: 'yes' } } })
    const path = cluster.at('v1', 'configmaps', 'seen')
    await cluster.ask('PATCH', path, { body: { data: { a: 'b' } }, contentType: 'application/merge-patch+json' })
    await cluster.ask('PATCH', path, { body: { metadata: { labels: null } }, contentType: 'application/merge-patch+json' })
    const all = await watched(`resourceVersion=${metadata.resourceVersion}&fieldSelector=metadata.name%3Dseen`)
    expect(all.map(({ type }) => type)).toEqual(['MODIFIED', 'MODIFIED'])
    const labelled = await watched(`resourceVersion=${metadata.resourceVersion}&labelSelector=watched%3Dyes`)
    expect(labelled.map(({ type }) => type)).toEqual(['MODIFIED', 'DELETED'])
  })

  test('begins with what is there, and says when that is all', async () => {
    await cluster.create('v1', 'configmaps', { metadata: { name: 'there' } })
    const frames = await watched(
      'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Dthere',
    )
    expect(frames.slice(0, 2).map(({ type, object }) => [type, object.metadata.name, object.metadata.annotations])).toEqual([
      ['ADDED', 'there', undefined],
      ['BOOKMARK', undefined, { 'k8s.io/initial-events-end': 'true' }],
    ])
  })

  test('takes no other wish for a beginning', async () => {
    expect(await cluster.refused('GET', `${cluster.at('v1', 'configmaps')}?watch=true&sendInitialEvents=true`)).toEqual({
      code: 422,
      reason: 'Invalid',
      message:
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    })
  })
})
