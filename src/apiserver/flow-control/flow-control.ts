// API Priority and Fairness (KEP-1040): each request belongs to a flow schema, each schema to a priority level, each level has its
// share of the server's seats and queues for who finds none free. What belongs where is remembered per user until the
// configuration changes, so that a request that need not wait costs two look-ups and a few additions.
import { tooManyRequests } from '#api/errors'
import { FlowSchema } from '#api/kinds/flowcontrol/flow-schema'
import { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import type { Clock } from '#base/clock'
import { isLongRunning } from '../pipeline/request-info.ts'
import type { Answer, ApiReply, ApiRequest, Handler, LocalReader, Stage, User } from '../request.ts'
import { catchAllLevel, catchAllSchema, exemptLevel, exemptSchema, levelObject, schemaObject } from './default-objects.ts'
import { createDroppedRequests } from './dropped-requests.ts'
import { createLevel, type Level, type Place, Rejected, type RejectReason } from './level.ts'
import { schemaMatches } from './match.ts'
import { type SeatPool, shareOut } from './seats.ts'
import { createWatchTracker } from './watch-tracker.ts'
import { type EstimateDeps, estimateWork, oneSeat, type WorkEstimate, widthOf } from './work-estimate.ts'

export interface FlowControlDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  /** All seats: reads and writes together. */
  readonly totalSeats: number
  /** How long a request may wait when it has no deadline of its own, in milliseconds. */
  readonly waitMsMax: number
  /** What there is of a resource, for the width of lists of it. */
  readonly objectStats?: EstimateDeps['objectStats']
}

/** By whose right and at which place a request is served. */
export interface Running {
  readonly flow: Flow
  readonly place: Place
}

/** Who waits in a queue. */
export interface WaitingRequest {
  readonly request: ApiRequest
  readonly schema: string | undefined
}

/** A schema at work, and what was counted of it. */
export interface Flow {
  readonly schema: FlowSchema
  readonly level: Level
  readonly counts: FlowCounts
}

export interface FlowCounts {
  executing: number
  executingSeats: number
  waiting: number
  waitingSeats: number
  dispatched: number
  /** How often a request found no seats free. */
  unaccommodated: number
  /** Milliseconds. */
  waitedMs: number
  readonly rejected: Map<RejectReason, number>
}

export interface FlowControl {
  readonly stage: Stage
  /** How many are under way now. */
  readonly counts: { readonly readOnly: number; readonly mutating: number; readonly longRunning: number }
  /** How many wait now. */
  queued(): { readonly readOnly: number; readonly mutating: number }
  /** What there is at the moment, in the order of matching. */
  flows(): readonly Flow[]
  levels(): readonly Level[]
  /** Who is served now, watches only until they have begun. */
  readonly running: ReadonlyMap<ApiRequest, Running>
  /** Told when a request that lasts begins (1) and ends (-1). */
  onLongRunning: (request: ApiRequest, by: 1 | -1) => void
  /** Told of each watch that has written what it was to begin with, with the seconds that took. */
  onWatchList: (request: ApiRequest, seconds: number) => void
  /** Told of each request that had to wait, with how long it did (seconds) and whether it was let in. */
  onWaited: (flow: Flow, seconds: number, admitted: boolean) => void
  /** Told of each request that begins to wait, with how many then wait in its queue. */
  onQueued: (flow: Flow, length: number) => void
  /** Told of each request that is not exempt, with the seats it is given. */
  onEstimated: (flow: Flow, seats: number) => void
  /** Told of each request that is not exempt when it was served, with its seconds. */
  onServed: (flow: Flow, verb: string, seconds: number) => void
}

const waitMsHardMax = 60_000
const rememberedMax = 2_000

export function createFlowControl(deps: FlowControlDeps): FlowControl {
  const { reader, clock } = deps
  const pool: SeatPool = { total: 0, used: 0, kept: 0 }
  const levels = new Map<string, Level>()
  const counts = new Map<string, FlowCounts>()
  const inFlight = { readOnly: 0, mutating: 0, longRunning: 0 }
  const queued = { readOnly: 0, mutating: 0 }
  const running = new Map<ApiRequest, Running>()
  const watches = createWatchTracker()
  const dropped = createDroppedRequests()
  const estimateDeps: EstimateDeps = {
    ...(deps.objectStats === undefined ? {} : { objectStats: deps.objectStats }),
    watchCount: (info) => watches.interested(info),
  }

  let flows: readonly Flow[] | undefined
  let remembered = new WeakMap<User, { size: number; readonly byNamespace: Map<string, Map<string, Flow>> }>()
  for (const kind of [FlowSchema, PriorityLevelConfiguration]) {
    reader.onChange(kind, () => {
      flows = undefined
    })
  }

  const onFreed = (level: Level): void => {
    if (pool.total === 0 || queued.readOnly + queued.mutating === 0) return
    for (const other of levels.values()) if (other !== level && other.waiting > 0) other.admitWaiting()
  }
  const current = (): readonly Flow[] => {
    if (flows !== undefined) return flows
    remembered = new WeakMap()
    configureLevels(reader, levels, deps.totalSeats, { clock, pool, onFreed })
    flows = orderedSchemas(reader).flatMap((schema) => {
      const level = levels.get(schema.spec.priorityLevelConfiguration.name)
      const name = schema.metadata.name!
      if (level === undefined) return []
      let counted = counts.get(name)
      if (counted === undefined) {
        counted = {
          executing: 0,
          executingSeats: 0,
          waiting: 0,
          waitingSeats: 0,
          dispatched: 0,
          unaccommodated: 0,
          waitedMs: 0,
          rejected: new Map(),
        }
        counts.set(name, counted)
      }
      return [{ schema, level, counts: counted }]
    })
    const named = new Set(flows.map(({ schema }) => schema.metadata.name!))
    for (const [name, { executing, waiting }] of counts) if (!named.has(name) && executing + waiting === 0) counts.delete(name)
    return flows
  }
  const flowOf = (request: ApiRequest): Flow => {
    const all = current()
    const { user, info, path } = request
    let known = remembered.get(user)
    if (known === undefined) {
      known = { size: 0, byNamespace: new Map() }
      remembered.set(user, known)
    }
    let inNamespace = known.byNamespace.get(info.namespace)
    if (inNamespace === undefined) {
      inNamespace = new Map()
      known.byNamespace.set(info.namespace, inNamespace)
    }
    const key = info.isResource ? info.action : `${info.verb} ${path}`
    let found = inNamespace.get(key)
    if (found === undefined) {
      found = all.find(({ schema }) => schemaMatches(schema.spec.rules ?? [], user, info, path)) ?? all[all.length - 1]!
      if (++known.size > rememberedMax) remembered.delete(user)
      else inNamespace.set(key, found)
    }
    return found
  }

  const control: FlowControl = {
    counts: inFlight,
    running,
    queued: () => queued,
    flows: current,
    levels: () => {
      current()
      return [...levels.values()]
    },
    onLongRunning: () => undefined,
    onWatchList: () => undefined,
    onWaited: () => undefined,
    onQueued: () => undefined,
    onEstimated: () => undefined,
    onServed: () => undefined,
    stage: {
      name: 'shareFairly',
      run(request, next) {
        const { info } = request
        const longRunning = isLongRunning(info)
        const share = longRunning ? 'longRunning' : info.verb === 'get' || info.verb === 'list' ? 'readOnly' : 'mutating'
        if (longRunning && info.verb !== 'watch') return serve(request, next, share, undefined, undefined)
        const flow = flowOf(request)
        request.flow = { schemaUid: flow.schema.metadata.uid, levelUid: flow.level.uid }
        const { level } = flow
        const work = level.exempt ? oneSeat : estimateWork(request, level.requestSeatsMax, estimateDeps)
        if (!level.exempt) control.onEstimated(flow, widthOf(work))
        const place = level.enter(work)
        if (place !== undefined) return serve(request, next, share, flow, place)
        flow.counts.unaccommodated++
        return waitFor(request, flow, work, share === 'readOnly' ? 'readOnly' : 'mutating').then((admitted) =>
          serve(request, next, share, flow, admitted),
        )
      },
    },
  }

  // A streamed answer keeps its place until it is written; a watch gives it back once it has begun.
  function serve(
    request: ApiRequest,
    next: Handler,
    share: keyof typeof inFlight,
    flow: Flow | undefined,
    place: Place | undefined,
  ): Answer {
    inFlight[share]++
    const forget = share === 'longRunning' ? begun(request) : undefined
    if (flow !== undefined && place !== undefined) enter(flow, place)
    let answer: Answer
    try {
      answer = next(request)
    } catch (error) {
      leave(request, share, flow, place, forget)
      throw error
    }
    // What is over in the turn in which it began is seen running by nobody.
    if (!(answer instanceof Promise) && typeof answer.body !== 'function') return served(request, answer, share, flow, place, forget)
    if (flow !== undefined && place !== undefined) running.set(request, { flow, place })
    if (!(answer instanceof Promise)) return served(request, answer, share, flow, place, forget)
    return answer.then(
      (reply) => served(request, reply, share, flow, place, forget),
      (error: unknown) => {
        leave(request, share, flow, place, forget)
        throw error
      },
    )
  }

  function served(
    request: ApiRequest,
    reply: ApiReply,
    share: keyof typeof inFlight,
    flow: Flow | undefined,
    place: Place | undefined,
    forget: (() => void) | undefined,
  ): ApiReply {
    const { body } = reply
    if (typeof body !== 'function') {
      leave(request, share, flow, place, forget)
      return reply
    }
    let kept = place
    if (share === 'longRunning') {
      kept = undefined
      if (reply.begun === undefined) giveBack(request, flow, place)
      else reply.begun.then(() => hasBegun(request, flow, place))
    }
    return { ...reply, body: (sink, signal) => body(sink, signal).finally(() => leave(request, share, flow, kept, forget)) }
  }

  function hasBegun(request: ApiRequest, flow: Flow | undefined, place: Place | undefined): void {
    giveBack(request, flow, place)
    if (request.query.has('sendInitialEvents')) control.onWatchList(request, Math.max(0, clock.now() - request.receivedAtMs) / 1000)
  }

  function enter({ counts: counted }: Flow, place: Place): void {
    counted.executing++
    counted.executingSeats += place.seats
    counted.dispatched++
  }

  function begun(request: ApiRequest): (() => void) | undefined {
    control.onLongRunning(request, 1)
    return request.info.verb === 'watch' ? watches.register(request) : undefined
  }

  function leave(
    request: ApiRequest,
    share: keyof typeof inFlight,
    flow: Flow | undefined,
    place: Place | undefined,
    forget: (() => void) | undefined,
  ): void {
    inFlight[share]--
    if (share === 'longRunning') control.onLongRunning(request, -1)
    forget?.()
    giveBack(request, flow, place)
  }

  function giveBack(request: ApiRequest, flow: Flow | undefined, place: Place | undefined): void {
    if (flow === undefined || place === undefined) return
    const { info } = request
    running.delete(request)
    flow.counts.executing--
    if (place.seats > 0) control.onServed(flow, info.verb, (clock.monotonic() - place.sinceMs) / 1000)
    flow.level.leave(place, () => {
      flow.counts.executingSeats -= place.seats
    })
  }

  async function waitFor(request: ApiRequest, flow: Flow, work: WorkEstimate, line: keyof typeof queued): Promise<Place> {
    const { counts: counted, level } = flow
    const sinceMs = clock.monotonic()
    const seats = widthOf(work)
    counted.waiting++
    queued[line]++
    counted.waitingSeats += seats
    const waited = (admitted: boolean): void => {
      const ms = clock.monotonic() - sinceMs
      counted.waiting--
      queued[line]--
      counted.waitingSeats -= seats
      counted.waitedMs += ms
      control.onWaited(flow, ms / 1000, admitted)
    }
    try {
      const waitMsMax = request.timeoutMs === undefined ? deps.waitMsMax : request.timeoutMs / 4
      const place = await level.wait({
        flow: `${flow.schema.metadata.name}\u0000${distinguisherOf(request, flow.schema)}`,
        work,
        about: { request, schema: flow.schema.metadata.name } satisfies WaitingRequest,
        waitMsMax: Math.min(waitMsMax, waitMsHardMax),
        signal: request.signal,
        onQueued: (length) => control.onQueued(flow, length),
      })
      waited(true)
      return place
    } catch (error) {
      waited(false)
      if (!(error instanceof Rejected)) throw error
      counted.rejected.set(error.reason, (counted.rejected.get(error.reason) ?? 0) + 1)
      throw tooManyRequests('Too many requests, please try again later.', dropped.record(level.name, clock.now()))
    }
  }
  return control
}

/** What tells a schema's flows apart, of a request. */
export function distinguisherOf({ user, info }: ApiRequest, { spec }: FlowSchema): string {
  const type = spec.distinguisherMethod?.type
  return type === 'ByUser' ? user.name : type === 'ByNamespace' ? info.namespace : ''
}

function orderedSchemas(reader: LocalReader): FlowSchema[] {
  const stored = reader
    .list(FlowSchema)
    .slice()
    .sort((a, b) => (a.spec.matchingPrecedence ?? 0) - (b.spec.matchingPrecedence ?? 0) || (a.metadata.name! < b.metadata.name! ? -1 : 1))
  const has = (name: string): boolean => stored.some(({ metadata }) => metadata.name === name)
  // The mandatory ones are there even before they are stored.
  if (!has('exempt')) stored.unshift(schemaObject(exemptSchema) as unknown as FlowSchema)
  if (!has('catch-all')) stored.push(schemaObject(catchAllSchema) as unknown as FlowSchema)
  return stored
}

function configureLevels(
  reader: LocalReader,
  levels: Map<string, Level>,
  totalSeats: number,
  levelDeps: Parameters<typeof createLevel>[2],
): void {
  const configs = new Map(reader.list(PriorityLevelConfiguration).map((config) => [config.metadata.name!, config]))
  for (const mandatory of [exemptLevel, catchAllLevel]) {
    if (!configs.has(mandatory.name)) configs.set(mandatory.name, levelObject(mandatory) as unknown as PriorityLevelConfiguration)
  }
  const all = [...configs.values()]
  const limits = shareOut(totalSeats, all.map(sharesOf))
  for (const [i, config] of all.entries()) {
    const name = config.metadata.name!
    const level = levels.get(name)
    if (level === undefined) levels.set(name, createLevel(config, limits[i]!, levelDeps))
    else level.configure(config, limits[i]!)
  }
  for (const [name, level] of levels) {
    if (configs.has(name)) continue
    level.retire()
    // Who waits there is let in as places fall free.
    if (level.waiting === 0) levels.delete(name)
    else level.admitWaiting()
  }
}

function sharesOf({ spec }: PriorityLevelConfiguration) {
  if (spec.type === 'Exempt') {
    return {
      shares: spec.exempt?.nominalConcurrencyShares ?? 0,
      lendablePercent: spec.exempt?.lendablePercent ?? 0,
      borrowingLimitPercent: undefined,
    }
  }
  const { nominalConcurrencyShares = 30, lendablePercent = 0, borrowingLimitPercent } = spec.limited ?? {}
  return { shares: nominalConcurrencyShares, lendablePercent, borrowingLimitPercent }
}
