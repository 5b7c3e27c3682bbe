// A whole one-node cluster on each engine: how long `navarch up` takes, what the idle cluster costs, how soon pods run.
// Pod start is set against the engine's own time for the same sandbox and container, through the same driver, in the same run.
//   npx tsx bench/cluster.ts [docker] [containerd]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { readClusterConfig } from '#bootstrap/cluster-config'
import { createHttpsTransport } from '#client/https-transport'
import { readKubeconfig } from '#client/kubeconfig'
import { startInformer } from '#client/reflector'
import { createClient } from '#client/rest-client'
import { openRuntime } from '#kubelet/runtimes/all'
import type { ContainerConfig, SandboxConfig } from '#kubelet/runtimes/runtime'
import { silentLogger } from '#platform/log'
import { residentBytes } from '#platform/process'
import { startTestCluster, type TestCluster } from '../test/tools/cluster.ts'

const image = 'navarch.local/busybox:1'
const rounds = 15
const burst = 100
const idleSeconds = 30

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const say = (what: string, value: string): void => void process.stdout.write(`${what.padEnd(62)}${value}\n`)
const ms = (value: number): string => `${value.toFixed(0)} ms`

interface ProcessCost {
  readonly role: string
  readonly pid: number
}

async function idle(cluster: TestCluster): Promise<void> {
  const { processes } = JSON.parse((await cluster.navarch('status', '--output', 'json')).stdout) as { processes: ProcessCost[] }
  const ticks = (pid: number): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  }
  await clock.sleep(10_000)
  const before = processes.map(({ pid }) => ticks(pid))
  await clock.sleep(idleSeconds * 1_000)
  let total = 0
  let cpu = 0
  processes.forEach(({ role, pid }, i) => {
    const bytes = residentBytes(pid) ?? 0
    const share = (ticks(pid) - (before[i] ?? 0)) / idleSeconds
    say(`  idle ${role}`, `${(bytes / 2 ** 20).toFixed(0)} MiB resident, ${share.toFixed(2)} % of a core`)
    if (role === 'containerd') return
    total += bytes
    cpu += share
  })
  say('  idle, all of ours (limits 250 MiB and 1 %)', `${(total / 2 ** 20).toFixed(0)} MiB, ${cpu.toFixed(2)} %`)
}

/** The engine alone: sandbox, container and start, one after the other. */
async function engineStart(cluster: TestCluster): Promise<number> {
  const config = readClusterConfig(cluster.dataDir)
  if (config === undefined) throw new Error('no cluster')
  const endpoint = JSON.parse((await cluster.navarch('status', '--output', 'json')).stdout).engineEndpoint as string
  const runtime = await openRuntime({
    engine: config.engine,
    ...(config.engine === 'docker' ? { dockerHost: endpoint } : { criEndpoint: endpoint }),
    dataDir: join(cluster.dataDir, 'bench'),
    clusterName: `${config.name}-b`,
    clock,
    random: seededRandom(1),
    log: silentLogger,
  })
  await runtime.setPodCidr(config.podCidr.replace(/\.0\.0\/16$/, '.250.0/24'))
  const imageRef = (await runtime.imageStatus(image))?.id ?? image
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const [sandboxConfig, containerConfig] = engineConfigs(cluster, i, imageRef)
    const began = clock.monotonic()
    const sandbox = await runtime.runSandbox(sandboxConfig)
    const id = await runtime.createContainer(sandbox.id, containerConfig, sandboxConfig)
    await runtime.startContainer(id)
    times.push(clock.monotonic() - began)
    await runtime.removeSandbox(sandbox.id)
  }
  await runtime.close()
  return median(times)
}

function engineConfigs(cluster: TestCluster, i: number, imageRef: string): [SandboxConfig, ContainerConfig] {
  const identity = { podUid: `bench-${i}`, podName: `bench-${i}`, podNamespace: 'bench' }
  const marks = { labels: {}, annotations: {} }
  const sandbox: SandboxConfig = {
    ...identity,
    ...marks,
    attempt: 0,
    hostname: `bench-${i}`,
    hostPorts: [],
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
    sysctls: {},
    privileged: false,
    logDirectory: join(cluster.dataDir, 'bench', 'logs'),
    cgroupParent: `/${cluster.name}/bench`,
    runtimeHandler: '',
  }
  const container: ContainerConfig = {
    ...marks,
    name: 'c',
    attempt: 0,
    image,
    imageRef,
    command: ['sleep', '3600'],
    args: [],
    workingDir: '',
    env: [],
    mounts: [],
    devices: [],
    logPath: `c-${i}.log`,
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: {},
    security: {
      privileged: false,
      capabilitiesAdd: [],
      capabilitiesDrop: [],
      readOnlyRootFilesystem: false,
      noNewPrivileges: false,
      supplementalGroups: [],
      seccomp: { type: 'Unconfined' },
      maskedPaths: [],
      readonlyPaths: [],
    },
    stopSignal: '',
  }
  return [sandbox, container]
}

/** From POST to Running as a watcher sees it: one at a time, then many at once. */
async function podStart(cluster: TestCluster): Promise<{ single: number; all: number }> {
  const transport = createHttpsTransport({ ...readKubeconfig(cluster.kubeconfig), clock })
  const client = createClient({ transport, userAgent: 'bench' })
  const stop = new AbortController()
  const pods = startInformer(Pod, { client, clock, random: seededRandom(1), signal: stop.signal }, { namespace: 'default' })
  await pods.untilSynced()
  const running = (name: string): Promise<void> =>
    new Promise((resolve) => {
      const unsubscribe = pods.subscribe(({ object }: { object: PodObject }) => {
        if (object.metadata.name !== name || object.status.phase !== 'Running') return
        queueMicrotask(() => unsubscribe())
        resolve()
      })
    })
  const create = (name: string) =>
    client.create(Pod, {
      metadata: { name, namespace: 'default' },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image, command: ['sleep', '3600'] }] },
    })
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const began = clock.monotonic()
    await Promise.all([running(`one-${i}`), create(`one-${i}`)])
    times.push(clock.monotonic() - began)
    await client.delete(Pod, { namespace: 'default', name: `one-${i}` })
  }
  while (pods.list().length > 0) await clock.sleep(100)
  const began = clock.monotonic()
  await Promise.all(Array.from({ length: burst }, (_, i) => Promise.all([running(`many-${i}`), create(`many-${i}`)])))
  const all = clock.monotonic() - began
  stop.abort()
  await transport.close()
  return { single: median(times), all }
}

for (const engine of (process.argv.slice(2).length > 0 ? process.argv.slice(2) : ['containerd', 'docker']) as ('docker' | 'containerd')[]) {
  say(engine, '')
  const cluster = await startTestCluster({ engine })
  try {
    const ups: number[] = []
    for (let i = 0; i < 3; i++) {
      await cluster.navarch('down')
      const began = clock.monotonic()
      const { code, stderr } = await cluster.navarch('up')
      if (code !== 0) throw new Error(stderr)
      ups.push(clock.monotonic() - began)
    }
    say('  navarch up, to Ready and DNS (limit 3000 ms)', ms(median(ups)))
    await idle(cluster)
    const own = await engineStart(cluster)
    const { single, all } = await podStart(cluster)
    say('  the engine alone: sandbox, create, start', ms(own))
    say('  a pod, POST to Running seen (limit: the engine plus 150 ms)', `${ms(single)}, the engine plus ${ms(single - own)}`)
    say(`  ${burst} pods at once, until the last runs`, `${ms(all)}, ${(all / (own * burst)).toFixed(2)} of the engine's time one by one`)
  } finally {
    await cluster.stop()
  }
}
