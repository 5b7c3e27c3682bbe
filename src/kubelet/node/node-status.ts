// Registers the node and keeps its status true: at once when something changes, otherwise every five minutes. The node is
// ready when its engine and its pod network are, which is told the moment it happens.

import { isApiError } from '#api/errors'
import type { NodeStatus, Node as NodeV1 } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Backoff } from '#base/backoff'
import type { Clock, Timer } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'
import type { EventRecorder } from '#client/events'
import type { EvictionThresholds, KubeletOptions, Log } from '../deps.ts'
import type { ContainerRuntime, ImageInfo, RuntimeReadiness } from '../runtimes/runtime.ts'
import type { NodeFacts } from './node-facts.ts'
import { changedStatus, newNode, nodeAnnotations, nodeLabels, nodeStatus, nodeStatusPatch } from './node-object.ts'
import { measureNode, type Pressure, pressureOf } from './pressure.ts'

const reportEveryMs = 300_000
// The engine has no event for these, so they are looked at, as often as Kubernetes does.
const checkEveryMs = 10_000
const checkUnreadyMs = { first: 20, max: 1_000 } as const
const relaxAfterMs = 300_000
const callTimeoutMs = 10_000

export interface NodeStatusDeps {
  readonly client: Client
  readonly runtime: ContainerRuntime
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly options: KubeletOptions
  readonly facts: NodeFacts
  readonly thresholds: EvictionThresholds
  readonly signal: AbortSignal
  /** The port that the agent's server got. */
  readonly port: () => number
  /** The engine's word on itself changed. */
  readonly onReadiness: (readiness: RuntimeReadiness) => void
  readonly onRegistered: (node: NodeV1) => void
}

export interface NodeReporter {
  /** Registers and reports until the signal aborts. */
  run(): Promise<void>
  /** Takes note of the node as the API has it; the first one with a pod range sets up the network. */
  nodeChanged(node: NodeV1): void
  /** Something may have changed: look now. */
  check(): void
  /** Images were pulled or removed: the next look lists them anew. */
  imagesChanged(): void
  readonly readiness: RuntimeReadiness
  readonly pressure: Pressure
}

const calm: Pressure = { memory: undefined, disk: undefined, pid: undefined }

export function createNodeReporter(deps: NodeStatusDeps): NodeReporter {
  const { client, clock, options, runtime, signal } = deps
  // A shortage is reported for a while after it is over, so that pods do not come and go with it.
  const shortUntil = new Map<keyof Pressure, number>()
  let imageDir: string | undefined
  let readiness: RuntimeReadiness = {
    runtimeReady: false,
    runtimeMessage: 'not asked yet',
    networkReady: false,
    networkMessage: 'not asked yet',
  }
  let pressure = calm
  let problem = ''
  let images: readonly ImageInfo[] = []
  let imagesStale = true
  let podCidr = ''
  let node: NodeV1 | undefined
  let reported: NodeStatus | undefined
  let reportedAt = Number.NEGATIVE_INFINITY
  let wake: () => void = () => undefined
  let wanted = true

  function check(): void {
    wanted = true
    wake()
  }

  async function look(): Promise<void> {
    readiness = await runtime.readiness().catch((error) => {
      const message = error instanceof Error ? error.message : String(error)
      return { runtimeReady: false, runtimeMessage: message, networkReady: false, networkMessage: message }
    })
    if (imageDir === undefined && readiness.runtimeReady) {
      imageDir = await runtime.imageFilesystem().then(
        ({ path }) => path,
        () => undefined,
      )
    }
    if (imagesStale && readiness.runtimeReady) {
      imagesStale = false
      images = await runtime.listImages().catch(() => {
        imagesStale = true
        return images
      })
    }
    const use = await measureNode(options.dataDir, imageDir ?? options.dataDir)
    pressure = pressureOf(use, deps.thresholds)
    const now = clock.monotonic()
    for (const name of ['memory', 'disk', 'pid'] as const) if (pressure[name] !== undefined) shortUntil.set(name, now + relaxAfterMs)
    deps.onReadiness(readiness)
  }

  function currentStatus(): NodeStatus {
    return nodeStatus({
      options,
      facts: deps.facts,
      runtime: runtime.info,
      readiness,
      problems: problem === '' ? [] : [problem],
      short: (name) => (shortUntil.get(name) ?? Number.NEGATIVE_INFINITY) > clock.monotonic(),
      images,
      port: deps.port(),
      now: clock.now(),
      lastConditions: reported?.conditions ?? node?.status?.conditions ?? [],
    })
  }

  async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController()
    const timer = clock.after(callTimeoutMs, () => timeout.abort(new Error('timed out')), { background: true })
    try {
      return await work(AbortSignal.any([signal, timeout.signal]))
    } finally {
      timer.cancel()
    }
  }

  async function register(): Promise<void> {
    const status = currentStatus()
    try {
      node = await withDeadline((s) => client.create(Node, newNode(options, deps.facts, status), { signal: s }))
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
      node = await withDeadline((s) => adoptNode(s))
    }
    deps.onRegistered(node)
    deps.events.record(node, 'Normal', 'Starting', 'Starting kubelet.')
  }

  /** The node is known from an earlier life: labels that it owns are put right, the rest stays. */
  async function adoptNode(s: AbortSignal): Promise<NodeV1> {
    const existing = await client.get(Node, { namespace: '', name: options.nodeName }, { signal: s })
    const labels = nodeLabels(options, deps.facts)
    const wrong = Object.entries(labels).some(([key, value]) => existing.metadata.labels?.[key] !== value)
    if (!wrong) return existing
    const patch = { metadata: { labels, annotations: nodeAnnotations } }
    return await client.patch(Node, { namespace: '', name: options.nodeName }, 'strategic', patch, { signal: s })
  }

  async function report(): Promise<void> {
    const status = currentStatus()
    const due = clock.monotonic() - reportedAt >= reportEveryMs
    if (!due && !changedStatus(reported, status)) return
    const wasReady = isReady(reported)
    const patch = { status: nodeStatusPatch(reported, status) }
    const key = { namespace: '', name: options.nodeName }
    await withDeadline((s) => client.patch(Node, key, 'strategic', patch, { subresource: 'status', signal: s }))
    reported = status
    reportedAt = clock.monotonic()
    if (node !== undefined && isReady(status) !== wasReady) {
      const reason = isReady(status) ? 'NodeReady' : 'NodeNotReady'
      deps.events.record(node, 'Normal', reason, `Node ${options.nodeName} status is now: ${reason}`)
    }
  }

  function pause(ms: number): Promise<void> {
    if (wanted || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      let timer: Timer | undefined
      const done = (): void => {
        timer?.cancel()
        signal.removeEventListener('abort', done)
        wake = () => undefined
        resolve()
      }
      timer = clock.after(ms, done, { background: true })
      signal.addEventListener('abort', done, { once: true })
      wake = done
    })
  }

  async function setUpNetwork(cidr: string): Promise<void> {
    try {
      await runtime.setPodCidr(cidr)
      problem = ''
    } catch (error) {
      podCidr = ''
      problem = `setting up the pod network for ${cidr} failed: ${error instanceof Error ? error.message : String(error)}`
      deps.log.error('setting up the pod network failed', { cidr, error: String(error) })
    }
    check()
  }

  return {
    async run() {
      const retry = new Backoff({ initialMs: 100, maxMs: 5_000, jitter: 0.3, random: deps.random })
      let unready: number = checkUnreadyMs.first
      while (!signal.aborted) {
        wanted = false
        let wait = checkEveryMs
        try {
          await look()
          if (node === undefined) await register()
          await report()
          retry.reset()
          const ready = readiness.runtimeReady && readiness.networkReady
          // Between the network's set-up and the engine's noticing it lie moments that everybody waits for.
          if (!ready && podCidr !== '') wait = unready
          unready = ready ? checkUnreadyMs.first : Math.min(unready * 2, checkUnreadyMs.max)
        } catch (error) {
          if (signal.aborted) return
          // A node that was deleted is registered anew.
          if (isApiError(error, 'NotFound')) node = reported = undefined
          deps.log.warn('reporting the node status failed', { error: String(error) })
          wait = retry.next()
        }
        await pause(wait)
      }
    },
    nodeChanged(changed) {
      const cidr = changed.spec?.podCIDR || changed.spec?.podCIDRs?.[0] || ''
      if (node !== undefined && node.metadata.uid !== changed.metadata.uid) node = changed
      if (cidr === '' || cidr === podCidr) return
      podCidr = cidr
      void setUpNetwork(cidr)
    },
    check,
    imagesChanged() {
      imagesStale = true
    },
    get readiness() {
      return readiness
    },
    get pressure() {
      return pressure
    },
  }
}

function isReady(status: NodeStatus | undefined): boolean {
  return status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True'
}
