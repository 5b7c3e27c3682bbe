// News from a CRI engine, by the best way it has: containerd's event service on the same socket, else the CRI's own event stream, else
// lists compared. The first two cost nothing while nothing happens.
import type { Clock, Timer } from '#base/clock'
import type { Logger } from '#platform/log'
import type { RuntimeEvent } from '../runtime.ts'
import { type CriClient, isUnimplemented } from './client.ts'
import { containerMetaOf } from './convert.ts'
import type { ContainerItem, PodSandboxItem } from './messages.ts'

export interface CriWorld {
  readonly sandboxes: readonly PodSandboxItem[]
  readonly containers: readonly ContainerItem[]
}

export interface CriEventDeps {
  readonly client: CriClient
  readonly isContainerd: boolean
  /** The cluster's sandboxes and containers. */
  readonly list: () => Promise<CriWorld>
  /** The pod of a container or sandbox, asked of the engine when it is not known; undefined when it is none of the cluster's. */
  readonly podOf: (id: string) => Promise<{ readonly podUid: string; readonly isSandbox: boolean } | undefined>
  /** Whether the engine's own books show the exit, which may be a moment after its event. */
  readonly hasExited: (id: string) => Promise<boolean>
  readonly forget: (id: string) => void
  readonly clock: Clock
  readonly log: Logger
}

const retryMsMin = 200
const retryMsMax = 5_000
const pollMs = 1_000
const standsMs = 250
const settleMsFirst = 2
const settleMsMax = 200
const settleTriesMax = 40

// /tasks/delete is left out: the engine deletes the task of an exited container, and the exit was news already.
const containerdFilters = ['/tasks/start', '/tasks/exit', '/tasks/oom', '/containers/delete'].map(
  (topic) => `namespace==k8s.io,topic=="${topic}"`,
)

/** Calls `onEvent` until the signal aborts. */
export async function watchCri(deps: CriEventDeps, onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): Promise<void> {
  const ways = [...(deps.isContainerd ? [fromContainerd] : []), fromCri, fromLists]
  let retryMs = retryMsMin
  let broke = false
  while (!signal.aborted) {
    const way = ways[0]!
    const began = deps.clock.monotonic()
    const missed = broke ? tellOfAll(deps, onEvent) : undefined
    try {
      await way(deps, onEvent, signal)
    } catch (error) {
      if (isUnimplemented(error)) {
        ways.shift()
        continue
      }
      deps.log.debug('the engine event stream broke', { error })
    } finally {
      missed?.cancel()
    }
    broke = true
    if (deps.clock.monotonic() - began > retryMsMax) retryMs = retryMsMin
    await deps.clock.sleep(retryMs, signal).catch(() => undefined)
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
}

/** What happened while nobody listened is not told again: once the stream stands, every pod is worth a look. */
function tellOfAll({ clock, list, log }: CriEventDeps, onEvent: (event: RuntimeEvent) => void): Timer {
  const tell = async (): Promise<void> => {
    const { sandboxes, containers } = await list()
    const pods = new Set([...sandboxes.map((s) => s.metadata.uid), ...containers.map((c) => containerMetaOf(c)?.podUid ?? '')])
    for (const podUid of pods) if (podUid !== '') onEvent({ type: 'sandboxChanged', podUid })
  }
  return clock.after(standsMs, () => void tell().catch((error: unknown) => log.debug('could not look for missed events', { error })))
}

async function fromContainerd(deps: CriEventDeps, onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): Promise<void> {
  await deps.client.containerdEvents(
    containerdFilters,
    ({ topic, containerId, processId }) => {
      // The exit of an exec, such as a probe: nobody's business here.
      if (topic === '/tasks/exit' && processId !== containerId) return
      void report(deps, onEvent, topic, containerId).catch((error: unknown) => deps.log.debug('an engine event was lost', { error }))
    },
    signal,
  )
}

async function report(deps: CriEventDeps, onEvent: (event: RuntimeEvent) => void, topic: string, id: string): Promise<void> {
  const pod = await deps.podOf(id)
  if (pod === undefined) return
  const { podUid, isSandbox } = pod
  if (topic === '/containers/delete') deps.forget(id)
  if (topic === '/tasks/exit') await settle(deps, id)
  if (isSandbox) return onEvent({ type: 'sandboxChanged', podUid })
  if (topic === '/tasks/start') onEvent({ type: 'containerStarted', podUid, containerId: id })
  if (topic === '/tasks/exit') onEvent({ type: 'containerExited', podUid, containerId: id })
  if (topic === '/containers/delete') onEvent({ type: 'containerRemoved', podUid, containerId: id })
}

// The CRI's part of containerd learns of an exit from the same event as we do; whoever hears of it from us will ask there.
async function settle({ clock, hasExited }: CriEventDeps, id: string): Promise<void> {
  let waitMs = settleMsFirst
  for (let attempt = 0; attempt < settleTriesMax; attempt++) {
    if (await hasExited(id)) return
    await clock.sleep(waitMs)
    waitMs = Math.min(waitMs * 2, settleMsMax)
  }
}

async function fromCri(deps: CriEventDeps, onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): Promise<void> {
  const types = ['created', 'containerStarted', 'containerExited', 'containerRemoved'] as const
  await deps.client.containerEvents(({ containerId, containerEventType, podSandboxStatus }) => {
    const podUid = podSandboxStatus?.metadata.uid
    const type = types[containerEventType]
    if (podUid === undefined || type === undefined || type === 'created') return
    if (podSandboxStatus?.id === containerId) onEvent({ type: 'sandboxChanged', podUid })
    else onEvent({ type, podUid, containerId })
  }, signal)
}

async function fromLists(deps: CriEventDeps, onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): Promise<void> {
  let before = await deps.list()
  while (!signal.aborted) {
    await deps.clock.sleep(pollMs, signal).catch(() => undefined)
    if (signal.aborted) return
    const now = await deps.list()
    for (const event of compareWorlds(before, now, await podsOf(deps, before))) onEvent(event)
    before = now
  }
}

async function podsOf(deps: CriEventDeps, { containers }: CriWorld): Promise<Map<string, string>> {
  const pods = new Map<string, string>()
  for (const { id } of containers) {
    const pod = await deps.podOf(id)
    if (pod !== undefined) pods.set(id, pod.podUid)
  }
  return pods
}

/** What happened between two lists. `podUids`: pods of the containers in the first. */
export function compareWorlds(before: CriWorld, now: CriWorld, podUids: ReadonlyMap<string, string>): RuntimeEvent[] {
  const events: RuntimeEvent[] = []
  const sandboxPod = new Map([...before.sandboxes, ...now.sandboxes].map((s) => [s.id, s.metadata.uid]))
  const podOf = (c: ContainerItem): string => podUids.get(c.id) ?? sandboxPod.get(c.podSandboxId) ?? ''
  const old = new Map(before.containers.map((c) => [c.id, c.state]))
  for (const c of now.containers) {
    const state = old.get(c.id)
    old.delete(c.id)
    if (state === c.state) continue
    if (c.state === 1) events.push({ type: 'containerStarted', podUid: podOf(c), containerId: c.id })
    if (c.state === 2) events.push({ type: 'containerExited', podUid: podOf(c), containerId: c.id })
  }
  for (const c of before.containers) if (old.has(c.id)) events.push({ type: 'containerRemoved', podUid: podOf(c), containerId: c.id })
  const oldSandboxes = new Map(before.sandboxes.map((s) => [s.id, s.state]))
  for (const s of now.sandboxes) {
    if (oldSandboxes.get(s.id) !== s.state) events.push({ type: 'sandboxChanged', podUid: s.metadata.uid })
    oldSandboxes.delete(s.id)
  }
  for (const s of before.sandboxes) if (oldSandboxes.has(s.id)) events.push({ type: 'sandboxChanged', podUid: s.metadata.uid })
  return events
}
