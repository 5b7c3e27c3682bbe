import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { createLogger } from '#platform/log'
import { type Cluster, completeAfterAnnotation, isApiError, kinds, startCluster, waitFor } from './library.ts'

describe('startCluster', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, seed: 1 })
  })
  afterAll(() => cluster.stop())

  test('a Deployment comes up on simulated nodes, is scaled and rolled', async () => {
    const { client } = cluster
    const labels = { app: 'web' }
    const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1' }] } }
    await client.create(kinds.Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas: 3, selector: { matchLabels: labels }, template },
    })
    const key = { namespace: 'default', name: 'web' }
    await waitFor(cluster, kinds.Deployment, key, ({ status }) => status.availableReplicas === 3)
    await client.patch(kinds.Deployment, key, 'strategic', {
      spec: { replicas: 5, template: { spec: { containers: [{ name: 'web', image: 'navarch.local/web:v2' }] } } },
    })
    await waitFor(
      cluster,
      kinds.Deployment,
      key,
      ({ status }) => status.updatedReplicas === 5 && status.availableReplicas === 5 && status.replicas === 5,
    )
    const { items } = await client.list(kinds.Pod, { namespace: 'default', labelSelector: 'app=web' })
    expect([...new Set(items.map(({ spec }) => spec.containers[0]?.image))]).toEqual(['navarch.local/web:v2'])
    await client.delete(kinds.Deployment, key, { propagationPolicy: 'Foreground' })
    await expect(waitFor(cluster, kinds.Deployment, key, () => false, 1_500)).rejects.toThrow()
    expect((await client.list(kinds.Pod, { namespace: 'default' })).items).toEqual([])
  })

  test('a pod that says when it is done completes', async () => {
    const spec = { containers: [{ name: 'c', image: 'navarch.local/busybox:1' }], restartPolicy: 'Never' as const }
    await cluster.client.create(kinds.Pod, {
      metadata: { name: 'once', namespace: 'default', annotations: { [completeAfterAnnotation]: '20' } },
      spec,
    })
    const pod = await waitFor(cluster, kinds.Pod, { namespace: 'default', name: 'once' }, ({ status }) => status.phase === 'Succeeded')
    expect(pod.status.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(0)
  })

  test('somebody without rights is refused in Kubernetes’ words', async () => {
    const error = await cluster
      .clientAs({ name: 'eve' })
      .list(kinds.Secret, { namespace: 'default' })
      .catch((e) => e)
    expect(isApiError(error, 'Forbidden') && error.message).toBe(
      'secrets is forbidden: User "eve" cannot list resource "secrets" in API group "" in the namespace "default"',
    )
  })

  test('real clients connect with the kubeconfig', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '-e',
      `const https=require('https'),fs=require('fs');const y=fs.readFileSync(process.argv[1],'utf8');
       const pick=(n)=>Buffer.from(new RegExp(n+': *(?:[>|]-?\\\\n\\\\s+)?(\\\\S+)').exec(y)[1],'base64');
       https.get(process.argv[2]+'/api/v1/nodes',{ca:pick('certificate-authority-data'),cert:pick('client-certificate-data'),key:pick('client-key-data')},
       r=>{let s='';r.on('data',d=>s+=d);r.on('end',()=>console.log(JSON.parse(s).items.length))})`,
      cluster.kubeconfigPath,
      cluster.server,
    ])
    expect(stdout.trim()).toBe('2')
  })

  test('nothing is left behind', async () => {
    const other = await startCluster({ nodes: 0 })
    const path = other.kubeconfigPath
    await other.stop()
    expect(existsSync(path)).toBe(false)
    await expect(fetch(other.server)).rejects.toThrow()
  })
})

test('with a version off the controllers of the others go on', async () => {
  const problems: string[] = []
  const log = createLogger({ sink: { write: (line) => void problems.push(line) }, clock: systemClock, level: 'warn' })
  const cluster = await startCluster({ listen: false, log, runtimeConfig: { 'batch/v1': false, 'networking.k8s.io/v1beta1': true } })
  try {
    const labels = { app: 'web' }
    const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1' }] } }
    await cluster.client.create(kinds.Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    })
    await waitFor(cluster, kinds.Deployment, { namespace: 'default', name: 'web' }, ({ status }) => status.availableReplicas === 1)
    await expect(cluster.client.list(kinds.Job, {})).rejects.toMatchObject({ code: 404 })
    expect(await cluster.client.raw('GET', '/apis/networking.k8s.io/v1beta1/servicecidrs')).toMatchObject({ kind: 'ServiceCIDRList' })
    expect(problems).toEqual([])
  } finally {
    await cluster.stop()
  }
})
