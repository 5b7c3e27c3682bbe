// Crashes: any process of a cluster is killed, at any moment, and a machine loses power. What was acknowledged is there, what ran goes on.
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Pod } from '#api/kinds/core/pod'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import { shimsOf, unmountBelow } from '#bootstrap/engine/leftovers'
import type { Client } from '#client/client'
import { createHttpsTransport } from '#client/https-transport'
import { readKubeconfig } from '#client/kubeconfig'
import { startInformer } from '#client/reflector'
import { createClient } from '#client/rest-client'
import { openCgroups } from '#kubelet/cgroups'
import { runningProcess } from '#platform/daemon'
import { processIdentity, runChecked, runCommand, signalProcess } from '#platform/process'
import { eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { get, startLoad } from '../../tools/load.ts'
import { apply, engines, field, pod, podNames, portForward, ready, sandboxNamespaces, service, shell, statusOf, web } from './scene.ts'

const seed = Number(process.env['NAVARCH_SEED'] ?? 20_261)
const roles = ['apiserver', 'controllers', 'node']

describe.each(engines)('crashes, on %s', (engine) => {
  let cluster: TestCluster
  let address: string
  beforeAll(async () => {
    cluster = await startTestCluster({ engine })
    address = await field(cluster, 'nodes', '{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    const nodePort = { type: 'NodePort', ports: [{ port: 80, targetPort: 8080, nodePort: cluster.nodePorts.from }] }
    await apply(cluster, web('steady', 2), service('steady', nodePort), web('rolling', 3))
    const keep = shell('cat /proc/uptime > /data/written; exec sleep 3600', { volumeMounts: [{ name: 'data', mountPath: '/data' }] })
    await apply(cluster, pod('keeper', keep, { labels: { app: 'keeper' }, volumes: [{ name: 'data', emptyDir: {} }] }))
    for (const name of ['steady', 'rolling']) await cluster.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s')
    await ready(cluster, 'pod/keeper')
  })
  afterAll(() => cluster?.stop())

  /** Pod, container and how often it was restarted, a line each, of those that nobody changes. */
  const untouched = async (): Promise<string[]> => {
    const path =
      '{range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}'
    return (await cluster.kubectl('get', 'pods', '-l', 'app in (steady,keeper)', '-o', `jsonpath=${path}`)).trim().split('\n').sort()
  }
  const pidFile = (name: string): string => join(cluster.dataDir, 'run', `${name}.pid`)
  const killFrom = (name: string): boolean => {
    const running = runningProcess(pidFile(name))
    return running !== undefined && signalProcess(running, 'SIGKILL')
  }
  const everythingRuns = (): Promise<unknown> =>
    eventually(
      'everything to run again',
      () => statusOf(cluster),
      ({ state }) => state === 'running',
    )

  test(`processes killed at random moments of a rollout lose no acknowledged write and touch no other container (seed ${seed})`, async () => {
    const random = seededRandom(seed)
    const before = await untouched()
    const load = startLoad(`http://${address}:${cluster.nodePorts.from}/`, { concurrency: 2 })
    const transport = createHttpsTransport({ ...readKubeconfig(cluster.kubeconfig), clock })
    const client = createClient({ transport, userAgent: 'writer' })
    const stop = new AbortController()
    const watching = startInformer(Pod, { client, clock, random, signal: stop.signal }, { namespace: 'default' })
    await watching.untilSynced()
    const writer = startWriting(client)
    await cluster.kubectl('set', 'image', 'deployment/rolling', 'web=navarch.local/web:v2')
    // Each role twice and all at once twice, in an order of chance, with some writes, tried or done, in between.
    const victims = shuffle([...roles, ...roles, 'all', 'all'], random)
    for (const victim of victims) {
      const moment = writer.attempts() + 5 + Math.floor(random() * 60)
      await eventually(
        'the moment',
        async () => writer.attempts(),
        (attempts) => attempts >= moment,
      )
      for (const role of victim === 'all' ? roles : [victim]) killFrom(role)
    }
    await everythingRuns()
    await eventually(
      'writes after the last crash',
      async () => writer.sinceFailure(),
      (count) => count > 20,
    )
    const acknowledged = await writer.stop()
    await cluster.kubectl('rollout', 'status', 'deployment/rolling', '--timeout=120s')
    await eventually(
      'the old pods to go',
      () => podNames(cluster, 'app=rolling'),
      (names) => names.length === 3,
    )
    expect(await field(cluster, 'pods', '{.items[?(@.metadata.labels.app=="rolling")].spec.containers[0].image}')).toBe(
      Array.from({ length: 3 }, () => 'navarch.local/web:v2').join(' '),
    )

    const stored = (await client.list(ConfigMap, { namespace: 'default' })).items
    const lost = [...acknowledged.created].filter((name) => !stored.some(({ metadata }) => metadata.name === name))
    expect(lost).toEqual([])
    const counter = Number(stored.find(({ metadata }) => metadata.name === 'counter')?.data?.['count'])
    expect(counter).toBeGreaterThanOrEqual(acknowledged.counter)

    expect(await untouched()).toEqual(before)
    const { failures, requests } = await load.stop()
    expect(failures).toEqual([])
    expect(requests).toBeGreaterThan(100)

    await eventually(
      'the watch to show what a list shows',
      async () => {
        const versions = (pods: readonly { metadata: { name: string; resourceVersion?: string } }[]): string[] =>
          pods.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort()
        return [versions(watching.list()), versions((await client.list(Pod, { namespace: 'default' })).items)]
      },
      ([watched, listed]) => JSON.stringify(watched) === JSON.stringify(listed),
    )
    stop.abort()
    await watching.ended
    await transport.close()
  })

  test('a port-forward outlives controllers and scheduler, and after a crash of the others a new one works', async () => {
    const first = await portForward(cluster, 'service/steady', 80)
    killFrom('controllers')
    await everythingRuns()
    expect((await get(`http://127.0.0.1:${first.port}/`)).body).toMatch(/ v1\n$/)
    for (const role of roles) killFrom(role)
    await everythingRuns()
    await first.stop()
    const second = await portForward(cluster, 'service/steady', 80)
    expect((await get(`http://127.0.0.1:${second.port}/`)).body).toMatch(/ v1\n$/)
    await second.stop()
  })

  test('after a loss of power `navarch up` brings back all that was there, each pod restarted once', async () => {
    const counts = async (): Promise<string[]> => (await untouched()).map((line) => line.replace(/ \S+ /, ' '))
    const before = await counts()
    const written = await cluster.kubectl('exec', 'keeper', '--', 'cat', '/data/written')
    await cluster.kubectl('create', 'configmap', 'last-write', '--from-literal=said=before')
    await losePower(cluster, engine)
    expect((await cluster.tryKubectl('get', 'nodes')).code).not.toBe(0)

    const up = await cluster.navarch('up')
    expect({ code: up.code, stderr: up.stderr }).toEqual({ code: 0, stderr: '' })
    const restarted = before.map((line) => line.replace(/ (\d+)$/, (_, count) => ` ${Number(count) + 1}`))
    await eventually('each pod to be restarted once', counts, (now) => JSON.stringify(now) === JSON.stringify(restarted))
    for (const name of ['steady', 'rolling']) await cluster.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s')
    await ready(cluster, 'pod/keeper')
    expect(await field(cluster, 'configmap/last-write', '{.data.said}')).toBe('before')
    expect(await cluster.kubectl('exec', 'keeper', '--', 'ls', '/data')).toBe('written\n')
    expect(await cluster.kubectl('exec', 'keeper', '--', 'cat', '/data/written')).not.toBe(written)
    await eventually(
      'the NodePort',
      () =>
        get(`http://${address}:${cluster.nodePorts.from}/`).then(
          ({ body }) => body,
          (error: Error) => error.message,
        ),
      (answer) => answer.endsWith(' v1\n'),
    )
    const answer = await cluster.kubectl('exec', 'keeper', '--', 'wget', '-qO-', 'http://steady/')
    expect(answer).toMatch(/^steady-\S+ v1\n$/)
  })

  /** Ends everything at once and takes from the kernel what a machine forgets when it is off. Only the disk stays. */
  async function losePower(of: TestCluster, on: (typeof engines)[number]): Promise<void> {
    const { clusterDns, engineEndpoint } = await statusOf(of)
    const containerd = privateContainerdPaths(of.dataDir)
    const namespaces = sandboxNamespaces(of)
    for (const name of roles) killFrom(`${name}.keeper`)
    for (const name of [...roles, 'containerd']) killFrom(name)
    for (const shim of await shimsOf(containerd.socket)) signalProcess(shim, 'SIGKILL')
    await eventually(
      'every container to end',
      () => killIn(of.name),
      (left) => left === 0,
    )
    if (on === 'docker') {
      const list = ['-H', engineEndpoint, 'ps', '-aq', '--filter', 'ancestor=navarch.local/pause:1']
      const sandboxes = (await runChecked('docker', list)).split('\n').filter((id) => id !== '')
      await runChecked('docker', ['-H', engineEndpoint, 'rm', '-f', ...sandboxes])
    }
    for (const name of namespaces) {
      await runCommand('umount', ['--lazy', join('/run/netns', name)])
      await rm(join('/run/netns', name), { force: true })
    }
    await unmountBelow(of.dataDir)
    await runChecked('nft', ['delete', 'table', 'inet', `navarch-${of.name}`])
    await runChecked('ip', ['address', 'delete', `${clusterDns}/32`, 'dev', 'lo'])
  }
})

/** Creates numbered objects and raises a counter, over and over, and remembers what the server acknowledged. */
function startWriting(client: Client) {
  const namespace = 'default'
  const created = new Set<string>()
  let attempts = 0
  let counter = 0
  let sinceFailure = 0
  let stopping = false
  const write = async (next: (attempt: number) => Promise<void>): Promise<void> => {
    while (!stopping) {
      attempts += 1
      try {
        await next(attempts)
        sinceFailure += 1
      } catch {
        sinceFailure = 0
        await clock.sleep(20)
      }
    }
  }
  const create = async (attempt: number): Promise<void> => {
    const name = `write-${attempt}`
    await client.create(ConfigMap, { metadata: { name, namespace }, data: { attempt: String(attempt) } } as never)
    created.add(name)
  }
  const count = async (attempt: number): Promise<void> => {
    const wanted = { metadata: { name: 'counter', namespace }, data: { count: String(attempt) } }
    await client.apply(ConfigMap, wanted as never, { fieldManager: 'counter' })
    counter = attempt
  }
  const writers = [write(create), write(create), write(count)]
  return {
    attempts: () => attempts,
    sinceFailure: () => sinceFailure,
    async stop() {
      stopping = true
      await Promise.all(writers)
      return { created, counter }
    },
  }
}

function shuffle<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[items[i], items[j]] = [items[j]!, items[i]!]
  }
  return items
}

/** Kills every process in the cgroups of a cluster; says how many there were. */
async function killIn(clusterName: string): Promise<number> {
  assert.match(clusterName, /^nvt-/)
  const pids = await (await openCgroups()).processes(`/${clusterName}`)
  const identities = pids.map(processIdentity).filter((identity) => identity !== undefined)
  return identities.filter((identity) => signalProcess(identity, 'SIGKILL')).length
}
