// The README's first application, typed as a user would type it, on both engines.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, startTestCluster, type TestCluster } from '../tools/cluster.ts'
import { get, startLoad } from '../tools/load.ts'

describe.each(['containerd', 'docker'] as const)('the first application, on %s', (engine) => {
  let cluster: TestCluster
  let url: string
  beforeAll(async () => {
    cluster = await startTestCluster({ engine })
    const address = await cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    url = `http://${address}:${cluster.nodePorts.from}/`
  })
  afterAll(() => cluster?.stop())

  const podNames = async (): Promise<string[]> => {
    const text = await cluster.kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}')
    return text.split(' ').filter((name) => name !== '')
  }

  test('a second `navarch up` finds the cluster running', async () => {
    const { code, stdout, stderr } = await cluster.navarch('up')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`cluster ${cluster.name} is running`)
  })

  test('is applied and becomes available', async () => {
    const manifest = readFileSync(join(import.meta.dirname, '../../examples/web.yaml'), 'utf8')
    await cluster.kubectlWith(manifest.replace('nodePort: 30080', `nodePort: ${cluster.nodePorts.from}`), 'apply', '-f', '-')
    expect(await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=180s')).toContain('successfully rolled out')
    expect(await podNames()).toHaveLength(3)
  })

  test('answers at its NodePort, and over many connections every replica does', async () => {
    await eventually(
      'the NodePort',
      () =>
        get(url)
          .then(({ status }) => status)
          .catch((error: Error) => error.message),
      (answer) => answer === 200,
    )
    const answers = new Set<string>()
    for (let asked = 0; asked < 100; asked++) answers.add((await get(url)).body.trim())
    expect([...answers].sort()).toEqual((await podNames()).map((name) => `${name} v1`).sort())
  })

  test('answers by its name from another pod', async () => {
    await cluster.kubectl('run', 'asking', '--image=navarch.local/busybox:1', '--restart=Never', '--', 'sleep', '3600')
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/asking', '--timeout=120s')
    for (const name of ['web', 'web.default', 'web.default.svc.cluster.local']) {
      expect(await cluster.kubectl('exec', 'asking', '--', 'wget', '-qO-', `http://${name}/`)).toMatch(/^web-\S+ v1\n$/)
    }
  })

  test('is scaled to five and to two', async () => {
    for (const replicas of [5, 2]) {
      await cluster.kubectl('scale', 'deployment/web', `--replicas=${replicas}`)
      await eventually(`${replicas} pods`, podNames, (names) => names.length === replicas)
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=180s')
    }
  })

  test('is updated to version 2 under a constant load without a failed request', async () => {
    const load = startLoad(url)
    await eventually(
      'requests before the update',
      async () => load.requests(),
      (count) => count > 100,
    )
    await cluster.kubectl('set', 'image', 'deployment/web', 'web=navarch.local/web:v2')
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=180s')
    await eventually('the old pods to go', podNames, (names) => names.length === 2)
    const { failures, answers } = await load.stop()
    expect(failures).toEqual([])
    expect([...answers.keys()].some((answer) => answer.endsWith(' v2'))).toBe(true)
    expect((await get(url)).body).toMatch(/ v2\n$/)
  })
})
