// An agent on a fake engine, a fake clock and an API in memory, with a directory of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Node } from '#api/kinds/core/node'
import { systemClock } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import type { EventRecorder } from '#client/events'
import { startInformer } from '#client/reflector'
import type { Cgroups } from '../cgroups.ts'
import type { KubeletDeps, Log } from '../deps.ts'
import { runKubelet } from '../kubelet.ts'
import { fakeCommand } from '../runtimes/fake/behaviours.ts'
import { FakeEngine } from '../runtimes/fake/engine.ts'
import { openFakeRuntime } from '../runtimes/fake/runtime.ts'
import type { Mounter } from '../volumes/mounter.ts'
import { createMemoryApi, type MemoryApi } from './memory-api.ts'
import { testNow } from './pods.ts'

export interface TestAgent {
  readonly api: MemoryApi
  readonly engine: FakeEngine
  readonly clock: FakeClock
  readonly dataDir: string
  /** `<reason>: <message>` in order. */
  readonly events: string[]
  readonly warnings: string[]
  /** Ends the agent and starts another one on the same engine and directory. */
  restart(): Promise<void>
  stop(): Promise<void>
  /** Lets time go on in small steps until the condition holds. Throws when it never does. */
  until(what: string, condition: () => boolean | Promise<boolean>, forMs?: number): Promise<void>
  /** As `until`, for what goes over real sockets: real time passes, and as much on the fake clock. */
  untilReal(what: string, condition: () => boolean): Promise<void>
  /** Lets time go on, and everything that falls due happen. */
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

export const behaviourCommand = fakeCommand

const stepMs = 20
const stepMsMax = 400
const looksMin = 2_000

export async function startAgent({
  withServer = false,
  ...options
}: Partial<KubeletDeps> & { withServer?: boolean } = {}): Promise<TestAgent> {
  const clock = new FakeClock(testNow)
  const dataDir = await mkdtemp(join(tmpdir(), 'nvt-agent-'))
  const engine = new FakeEngine({ clock, random: seededRandom(3), logs: 'files', registry: 'listed' } as never)
  engine.addImage({ name: 'navarch.local/app:1', present: true })
  const api = createMemoryApi(() => clock.now())
  const events: string[] = []
  const warnings: string[] = []
  const recorder: EventRecorder = {
    record: (_about, _type, reason, message) => void events.push(`${reason}: ${message}`),
    flush: async () => undefined,
  }
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields ?? {})}`),
    error: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields ?? {})}`),
  }
  let running: { stop: AbortController; done: Promise<void> } | undefined
  const start = (): void => {
    const stop = new AbortController()
    const { signal } = stop
    const random = seededRandom(5)
    const deps: KubeletDeps = {
      client: api.client,
      openInformer: (kind, informerOptions, s) => startInformer(kind, { client: api.client, clock, random, signal: s }, informerOptions),
      events: recorder,
      runtime: openFakeRuntime(engine),
      clock,
      random,
      log,
      signal,
      nodeName: 'node-1',
      nodeIps: ['192.0.2.1'],
      hostname: 'node-1',
      dataDir,
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      maxPods: 110,
      cgroupRoot: '/test',
      labels: {},
      taints: [],
      kubeletVersion: 'v1.36.0+navarch',
      port: 0,
      address: '127.0.0.1',
      tls: { cert: '', key: '', clientCa: '' },
      eviction: { memoryAvailableBytes: 0, nodefsAvailablePercent: 0, nodefsInodesFreePercent: 0, imagefsAvailablePercent: 0 },
      ...options,
    }
    const done = runKubelet(deps, { cgroups: noCgroups, mounter: noMounts, withoutServer: !withServer })
    running = { stop, done }
  }
  const stop = async (): Promise<void> => {
    running?.stop.abort()
    await running?.done
    running = undefined
  }
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve))
    // Files are real, and take real time.
    await systemClock.sleep(1)
  }
  const agent: TestAgent = {
    api,
    engine,
    clock,
    dataDir,
    events,
    warnings,
    async restart() {
      await stop()
      start()
    },
    stop,
    async until(what, condition, forMs = 60_000) {
      // Short steps at first, longer ones when there is long to wait; at the end real time for what is still under way on the disk.
      for (let spent = 0, step = stepMs, looks = 0; spent <= forMs || looks < looksMin; looks++) {
        await settle()
        if (await condition()) return
        if (spent > forMs) continue
        await clock.advance(step)
        spent += step
        step = Math.min(step * 1.1, stepMsMax)
      }
      throw new Error(`never happened: ${what}\n${[...events.slice(-20), ...warnings.slice(-10)].join('\n')}`)
    },
    async untilReal(what, condition) {
      for (let spent = 0; spent < 10_000; spent++) {
        if (condition()) return
        await systemClock.sleep(1)
        await clock.advance(1)
      }
      throw new Error(`never happened: ${what}\n${[...events.slice(-20), ...warnings.slice(-10)].join('\n')}`)
    },
    async pass(ms) {
      for (let spent = 0; spent < ms; spent += 5 * stepMs) {
        await clock.advance(Math.min(5 * stepMs, ms - spent))
        await settle()
      }
    },
    async close() {
      await stop()
      // Containers of the fake engine may still write their logs.
      await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
    },
  }
  start()
  await agent.until('the node is registered', () => api.get(Node, '', 'node-1') !== undefined)
  const node = api.get(Node, '', 'node-1')!
  api.put(Node, { ...node, spec: { ...node.spec, podCIDR: '10.244.1.0/24' } })
  await agent.until(
    'the node is ready',
    () => api.get(Node, '', 'node-1')?.status.conditions?.find((c) => c.type === 'Ready')?.status === 'True',
  )
  return agent
}

const noCgroups: Pick<Cgroups, 'create' | 'remove' | 'parentFor' | 'children' | 'usage'> = {
  create: async () => undefined,
  remove: async () => true,
  parentFor: (path) => path,
  children: async () => [],
  usage: async () => undefined,
}

const noMounts: Mounter = {
  tmpfs: async () => undefined,
  bind: async () => undefined,
  unmount: async () => undefined,
  mountsBelow: async () => [],
}
