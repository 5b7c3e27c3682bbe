// Nodes that only say they run what they are given: for tests and for trying things at a scale that no machine has. They report
// themselves, take pods from Pending to Running and Ready, end those that are deleted, and complete those that say so.

import { isApiError } from '#api/errors'
import type { Node as NodeObject, PodCondition, Pod as PodObject } from '#api/generated/core-v1'
import { Lease } from '#api/kinds/coordination/lease'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { type KeyText, keyOf, type Manifest, parseKey } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { type Clock, microTimestamp, timestamp } from '#base/clock'
import { WorkQueue } from '#base/work-queue'
import type { Client } from '#client/client'
import type { Informer } from '#client/informer'

export interface SimulatedNodesDeps {
  readonly client: Client
  readonly pods: Informer<PodObject>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly count: number
  /** Name of the i-th node, from 0; default `node-0`, `node-1`, … */
  readonly nameOf?: (index: number) => string
  /** What each node can hold; default 32 CPUs, 256 GiB, 110 pods. */
  readonly capacity?: Readonly<Record<string, string>>
  readonly kubeletVersion: string
  /** Called once every node is registered and Ready. */
  readonly onReady?: () => void
}

/** Milliseconds after which a simulated pod's containers end with exit code 0: for jobs. */
export const completeAfterAnnotation = 'simulated.navarch.dev/complete-after-ms'

const heartbeatMs = 10_000
const workers = 16
const defaultCapacity = { cpu: '32', memory: '256Gi', pods: '110', 'ephemeral-storage': '1Ti' } as const

/** Runs until the signal aborts. */
export async function runSimulatedNodes(deps: SimulatedNodesDeps): Promise<void> {
  const { clock, count, pods, signal } = deps
  const nameOf = deps.nameOf ?? ((index: number) => `node-${index}`)
  const names = Array.from({ length: count }, (_, index) => nameOf(index))
  await Promise.all(names.map((name, index) => register(deps, name, index)))
  deps.onReady?.()
  await pods.untilSynced(signal).catch(() => undefined)
  const queue = new WorkQueue<KeyText>({ clock })
  const ours = new Map(names.map((name, index) => [name, hostAddress(index)]))
  const stop = pods.subscribe(({ object }) => {
    if (ours.has(object.spec.nodeName ?? '')) queue.add(keyOf(object))
  })
  signal.addEventListener('abort', () => queue.close(), { once: true })
  if (signal.aborted) queue.close()
  const startedAt = new Map<KeyText, number>()
  const work = async (): Promise<void> => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        const waitMs = await advance(deps, key, startedAt, ours)
        queue.forget(key)
        if (waitMs !== undefined) queue.addAfter(key, waitMs)
      } catch (error) {
        if (!signal.aborted && !isApiError(error, 'NotFound')) queue.addAfterFailure(key)
      }
      queue.done(key)
    }
  }
  await Promise.all([keepLeases(deps, names), ...Array.from({ length: workers }, work)])
  stop()
}

async function register(
  { client, clock, capacity = defaultCapacity, kubeletVersion }: SimulatedNodesDeps,
  name: string,
  index: number,
): Promise<void> {
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': 'amd64',
  }
  let node: NodeObject
  try {
    node = await client.create(Node, { metadata: { name, labels } })
  } catch (error) {
    if (!isApiError(error, 'AlreadyExists')) throw error
    node = await client.get(Node, { namespace: '', name })
  }
  const now = timestamp(clock.now())
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  })
  const status: Manifest<NodeObject['status']> = {
    capacity: { ...capacity },
    allocatable: { ...capacity },
    conditions: [
      condition('Ready', 'True', 'KubeletReady', 'simulated'),
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'simulated'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'simulated'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'simulated'),
    ],
    addresses: [
      { type: 'InternalIP', address: hostAddress(index) },
      { type: 'Hostname', address: name },
    ],
    nodeInfo: {
      ...node.status.nodeInfo,
      kubeletVersion,
      operatingSystem: 'linux',
      architecture: 'amd64',
      containerRuntimeVersion: 'simulated://1',
      osImage: 'simulated',
    },
  }
  await client.updateStatus(Node, { ...node, status } as Manifest<NodeObject>)
  const lease = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(clock.now()) }
  await client.create(Lease, { metadata: { name, namespace: 'kube-node-lease' }, spec: lease }).catch((error) => {
    if (!isApiError(error, 'AlreadyExists')) throw error
  })
}

async function keepLeases({ client, clock, signal }: SimulatedNodesDeps, names: readonly string[]): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(heartbeatMs, signal).catch(() => undefined)
    for (const name of names) {
      if (signal.aborted) return
      const patch = { spec: { renewTime: microTimestamp(clock.now()) } }
      await client.patch(Lease, { namespace: 'kube-node-lease', name }, 'merge', patch).catch(() => undefined)
    }
  }
}

/** One pod's next step; says when to look again. */
async function advance(
  { client, clock, pods }: SimulatedNodesDeps,
  key: KeyText,
  startedAt: Map<KeyText, number>,
  addresses: ReadonlyMap<string, string>,
): Promise<number | undefined> {
  const pod = pods.get(key)
  if (pod === undefined) {
    startedAt.delete(key)
    return undefined
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    await client.delete(Pod, parseKey(key), { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } })
    return undefined
  }
  if (isPodTerminal(pod)) return undefined
  const hostIP = addresses.get(pod.spec.nodeName ?? '') ?? ''
  const completeAfterMs = Number(pod.metadata.annotations?.[completeAfterAnnotation] ?? Number.NaN)
  if (pod.status.phase !== 'Running') {
    startedAt.set(key, clock.monotonic())
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, ...statusOf(pod, hostIP, clock, 'Running') } })
    return Number.isNaN(completeAfterMs) ? undefined : completeAfterMs
  }
  const begun = startedAt.get(key)
  if (Number.isNaN(completeAfterMs)) return undefined
  const leftMs = completeAfterMs - (clock.monotonic() - (begun ?? clock.monotonic() - completeAfterMs))
  if (leftMs > 0) return leftMs
  await client.updateStatus(Pod, { ...pod, status: { ...pod.status, ...statusOf(pod, hostIP, clock, 'Succeeded') } })
  return undefined
}

function statusOf(pod: PodObject, hostIP: string, clock: Clock, phase: 'Running' | 'Succeeded'): Partial<PodObject['status']> {
  const now = timestamp(clock.now())
  const running = phase === 'Running'
  const ip = pod.status.podIP ?? (pod.spec.hostNetwork ? hostIP : addressOf(pod))
  const kept = (pod.status.conditions ?? []).filter(({ type }) => type === 'PodScheduled')
  const condition = (type: string, status: boolean): PodCondition => ({
    type,
    status: status ? 'True' : 'False',
    lastTransitionTime: now,
    ...(status ? {} : { reason: 'PodCompleted' }),
  })
  return {
    phase,
    startTime: pod.status.startTime ?? now,
    hostIP,
    hostIPs: [{ ip: hostIP }],
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [
      ...kept,
      condition('PodReadyToStartContainers', running),
      condition('Initialized', true),
      condition('Ready', running),
      condition('ContainersReady', running),
    ],
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: `${image}@simulated`,
      containerID: `simulated://${pod.metadata.uid}-${name}`,
      ready: running,
      started: running,
      restartCount: 0,
      state: running
        ? { running: { startedAt: now } }
        : { terminated: { exitCode: 0, reason: 'Completed', startedAt: pod.status.startTime ?? now, finishedAt: now } },
      lastState: {},
    })) as PodObject['status']['containerStatuses'] & object,
  }
}

function hostAddress(index: number): string {
  return `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`
}

/** An address that looks like one and is the same for the same pod; nothing answers there. */
function addressOf({ metadata: { uid } }: PodObject): string {
  const number = Number.parseInt(uid.replaceAll('-', '').slice(0, 6), 16)
  return `10.${64 + ((number >> 16) & 63)}.${(number >> 8) & 255}.${number & 255 || 1}`
}
