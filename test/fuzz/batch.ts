// A batch: some hundreds of requests from one seed in a namespace of their own, then a look at everything that is left of them.
import { systemClock } from '#base/clock'
import { rollDice } from './dice.ts'
import type { Scene } from './maker.ts'
import { draw } from './makers.ts'
import { collectionPath, customDefinition, manifestOf, resources } from './manifests.ts'
import { complaintAbout, complaintAboutPrototypes, complaintsAboutStore, shown } from './oracle.ts'
import type { Target } from './target.ts'
import { type Answer, type FuzzRequest, http1Wire, http2Wire, type Wire } from './wire.ts'

export interface BatchOptions {
  readonly requests: number
  /** After how long an unanswered request counts as hung. */
  readonly hangMs: number
  /** What one request may cost at most, in milliseconds of the processor's time. */
  readonly cpuMsMax: number
  /** Told of each request before it is sent and after: what was under way when a process died. */
  readonly onRequest?: (request: FuzzRequest, phase: 'sent' | 'done') => void
}

export interface BatchResult {
  readonly failures: readonly string[]
  /** How often each status was the answer; 0: the exchange was refused. */
  readonly statuses: ReadonlyMap<number, number>
}

const atOnce = 6
// Requests that took at least this long are sent again alone, to see what they cost.
const slowMs = 700

const json = { 'content-type': 'application/json' }

/** Admin over both HTTP versions; mostly HTTP/2, as Go clients. */
export function wiresOf(target: Target, hangMs: number): { wires: readonly Wire[]; close(): void } {
  const [two, one] = [http2Wire(target, target.admin, hangMs), http1Wire(target, target.admin, hangMs)]
  return {
    wires: [two, two, two, one],
    close() {
      two.close()
      one.close()
    },
  }
}

/** Makes the namespace, its default account and the custom kind that requests play with. */
export async function setScene(wire: Wire, namespace: string): Promise<Scene> {
  const post = (path: string, object: object): Promise<Answer> =>
    wire.send({ what: 'scene', method: 'POST', path, headers: json, body: Buffer.from(JSON.stringify(object)) })
  const made = await post('/api/v1/namespaces', { metadata: { name: namespace } })
  if (made.status !== 201) throw new Error(`cannot make the namespace: ${made.status} ${made.body.toString()}`)
  await post(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } })
  await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customDefinition)
  // The first is made at once and drawn more often: most requests are to find something there.
  const names = ['fuzz-a', 'fuzz-a', 'fuzz-b', 'fuzz-c']
  for (const resource of resources) await post(collectionPath(resource, namespace), manifestOf(resource, namespace, names[0]!))
  return { namespace, names }
}

export async function runBatch(target: Target, seed: number, options: BatchOptions): Promise<BatchResult> {
  const dice = rollDice(seed)
  const { wires, close } = wiresOf(target, options.hangMs)
  const failures: string[] = []
  const statuses = new Map<number, number>()
  try {
    const scene = await setScene(wires[0]!, `fuzz-${seed}`)
    const costly: FuzzRequest[] = []
    let left = options.requests
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const request = draw(dice, scene)
        options.onRequest?.(request, 'sent')
        const { status, complaint, slow } = await tryRequest(target, dice.pick(wires), request)
        if (slow) costly.push(request)
        options.onRequest?.(request, 'done')
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (complaint !== undefined) failures.push(`${complaint}\n    ${shown(request)}`)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    for (const request of costly) {
      const complaint = await complaintAboutCost(wires[0]!, request, options)
      if (complaint !== undefined) failures.push(`${complaint}\n    ${shown(request)}`)
    }
    failures.push(...(await lookAround(target, wires[0]!, scene)))
    await clearUp(wires[0]!, scene)
  } finally {
    close()
  }
  return { failures: [...new Set(failures)], statuses }
}

/** Sends one request and says what was wrong with the answer. `slow`: it took so long that its cost is worth a look. */
export async function tryRequest(
  target: Target,
  wire: Wire,
  request: FuzzRequest,
): Promise<{ status: number; complaint: string | undefined; slow: boolean }> {
  const began = systemClock.monotonic()
  const answer = await wire.send(request)
  const wrong = complaintAbout(request, answer)
  // Other requests are under way, so only an answer that tells of a fault is told apart with it.
  const complaint =
    (wrong !== undefined && answer.status === 500 ? `${wrong.trim()}\n    ${faultIn(target)}` : wrong) ?? complaintAboutPrototypes()
  return { status: answer.status, complaint, slow: systemClock.monotonic() - began > slowMs && request.endless !== true }
}

function faultIn(target: Target): string | undefined {
  const faults = target.takeFaults()
  return faults.length === 0 ? undefined : `a fault in the log: ${faults.join(' ').slice(0, 2_500)}`
}

/** Sends a request once more, with nothing else going on, and says when it costs too much. */
export async function complaintAboutCost(
  wire: Wire,
  request: FuzzRequest,
  { cpuMsMax }: Pick<BatchOptions, 'cpuMsMax'>,
): Promise<string | undefined> {
  const before = process.cpuUsage()
  await wire.send(request)
  const { user, system } = process.cpuUsage(before)
  const cpuMs = (user + system) / 1_000
  return cpuMs > cpuMsMax ? `it costs ${cpuMs.toFixed(0)} ms of the processor` : undefined
}

async function lookAround(target: Target, wire: Wire, { namespace }: Scene): Promise<string[]> {
  const fault = faultIn(target)
  const complaints = [...(fault === undefined ? [] : [fault]), ...(await complaintsAboutStore(target))]
  const list = await wire.send({ what: 'list', method: 'GET', path: `/api/v1/namespaces/${namespace}/configmaps` })
  if (list.status !== 200)
    complaints.push(`the server no longer lists: ${list.outcome} ${list.status} ${list.body.toString().slice(0, 300)}`)
  return complaints
}

const finalizerFree = JSON.stringify({ metadata: { finalizers: null } })

// Nobody collects what is left of a namespace here: so that the store does not grow from batch to batch, everything of the scene goes.
async function clearUp(wire: Wire, { namespace }: Scene): Promise<void> {
  for (const resource of resources) {
    const path = collectionPath(resource, namespace)
    const list = await wire.send({ what: 'clear', method: 'GET', path })
    if (list.status !== 200) continue
    for (const { metadata } of (JSON.parse(list.body.toString()) as { items: { metadata: { name: string; finalizers?: string[] } }[] })
      .items) {
      if (!resource.namespaced && !metadata.name.includes('fuzz')) continue
      const one = `${path}/${metadata.name}`
      if (metadata.finalizers !== undefined) {
        const headers = { 'content-type': 'application/merge-patch+json' }
        await wire.send({ what: 'clear', method: 'PATCH', path: one, headers, body: Buffer.from(finalizerFree) })
      }
      await wire.send({ what: 'clear', method: 'DELETE', path: `${one}?gracePeriodSeconds=0` })
    }
  }
}
