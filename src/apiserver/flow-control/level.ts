// One priority level at work: who is let in at once, who waits, who is sent away. While nobody waits a request costs it a few
// additions.
import type { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import type { Clock } from '#base/clock'
import { createDemand, createTimedHistogram, type Demand, type TimedHistogram } from './demand.ts'
import { createFairQueues, type FairQueues, type Queue, type Waiter } from './queues.ts'
import { createLevelSeats, type LevelSeats, type SeatLimits, type SeatPool } from './seats.ts'
import { type WorkEstimate, widthOf } from './work-estimate.ts'

/** Why a request was sent away, in the words of Kubernetes' metric. */
export type RejectReason = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled'

export class Rejected extends Error {
  override readonly name = 'Rejected'
  readonly reason: RejectReason
  constructor(reason: RejectReason) {
    super(reason)
    this.reason = reason
  }
}

export interface WaitOptions {
  /** Requests with the same text share their fate: they have one hand of queues. */
  readonly flow: string
  readonly work: WorkEstimate
  /** What it is, for who looks at the queues. */
  readonly about: unknown
  readonly waitMsMax: number
  readonly signal: AbortSignal
  /** Told how many wait in its queue, with it. */
  readonly onQueued?: (length: number) => void
}

/** A place on the server; given back once. */
export interface Place {
  readonly seats: number
  /** Of these, what it needs while it is served. */
  readonly servedSeats: number
  /** How long its seats stay taken after it was served. */
  readonly additionalMs: number
  readonly queue: Queue | undefined
  readonly sinceMs: number
}

// Of those who take no seat: all the same.
const freePlace: Place = { seats: 0, servedSeats: 0, additionalMs: 0, queue: undefined, sinceMs: 0 }

/** Bounds of the ranges of a level's utilization, in parts of its nominal seats. */
export const usedBounds = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1]
/** Likewise of what it could have used. */
export const wantedBounds = [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 6]

// The part of a level's nominal seats that one request may have at most.
const levelPartMax = 0.15

export interface Level {
  readonly name: string
  readonly uid: string
  /** Without limits and seats. */
  readonly exempt: boolean
  readonly seats: LevelSeats
  /** The most seats that one request is given; 0: no bound but the general one. */
  readonly requestSeatsMax: number
  readonly waiting: number
  readonly waitingSeats: number
  /** Absent where nobody waits. */
  readonly queues: FairQueues | undefined
  readonly demand: Demand
  /** How much of its seats was in use, as a part of its nominal ones; and how much it could have used. */
  readonly utilization: { readonly used: TimedHistogram; readonly wanted: TimedHistogram }
  /** It is no more, and lasts until who waits has gone. */
  readonly retired: boolean
  configure(config: PriorityLevelConfiguration, limits: SeatLimits): void
  /** A place if one is free and nobody waits for it. */
  enter(work: WorkEstimate): Place | undefined
  /** A place when it is this request's turn. Rejects with Rejected. */
  wait(options: WaitOptions): Promise<Place>
  /** `released` is called when the seats are given back: at once, or a while later. */
  leave(place: Place, released: () => void): void
  /** Lets in whoever may come in now; true when somebody did. */
  admitWaiting(): boolean
  retire(): void
}

export interface LevelDeps {
  readonly clock: Clock
  readonly pool: SeatPool
  /** Seats have become free that another level may borrow. */
  readonly onFreed: (level: Level) => void
}

export function createLevel(first: PriorityLevelConfiguration, limits: SeatLimits, { clock, pool, onFreed }: LevelDeps): Level {
  let config = first
  const seats = createLevelSeats(pool, limits)
  let queues = queuesOf(config)

  function queuesOf({ spec }: PriorityLevelConfiguration, old?: FairQueues): FairQueues | undefined {
    const queuing = spec.limited?.limitResponse?.queuing
    if (spec.limited?.limitResponse?.type !== 'Queue' || queuing === undefined) return old?.waiting ? old : undefined
    const { queues: count = 64, handSize = 8, queueLengthLimit = 50 } = queuing
    const settings = { queues: count, handSize, lengthMax: queueLengthLimit }
    if (old === undefined) {
      return createFairQueues(settings, { seconds: () => clock.monotonic() / 1000, seatsInUse: () => seats.used })
    }
    old.settings = settings
    return old
  }

  const bornSeconds = clock.monotonic() / 1000
  const demand = createDemand(bornSeconds)
  const utilization = {
    used: createTimedHistogram(usedBounds, bornSeconds),
    wanted: createTimedHistogram(wantedBounds, bornSeconds),
  }
  const note = (ms: number): void => {
    const seconds = ms / 1000
    const wanted = seats.used + (queues?.waitingSeats ?? 0)
    demand.note(wanted, seconds)
    utilization.used.note(seats.used / Math.max(1, seats.limits.nominal), seconds)
    utilization.wanted.note(wanted / Math.max(1, seats.limits.nominal), seconds)
  }
  let requestSeatsMax = requestSeatsMaxOf(first, limits)
  let retired = false

  const placeFor = (work: WorkEstimate, queue: Queue | undefined): Place => {
    const wide = widthOf(work)
    seats.take(wide)
    const sinceMs = clock.monotonic()
    note(sinceMs)
    return { seats: wide, servedSeats: work.initialSeats, additionalMs: work.additionalMs, queue, sinceMs }
  }
  const release = (wide: number, released: () => void): void => {
    seats.take(-wide)
    note(clock.monotonic())
    released()
    if (queues !== undefined && queues.waiting > 0) level.admitWaiting()
    onFreed(level)
  }
  const level: Level = {
    get name() {
      return config.metadata.name ?? ''
    },
    get uid() {
      return config.metadata.uid ?? ''
    },
    get exempt() {
      return config.spec.type === 'Exempt'
    },
    seats,
    get requestSeatsMax() {
      return requestSeatsMax
    },
    get queues() {
      return queues
    },
    demand,
    utilization,
    get retired() {
      return retired
    },
    get waiting() {
      return queues?.waiting ?? 0
    },
    get waitingSeats() {
      return queues?.waitingSeats ?? 0
    },
    configure(next, nextLimits) {
      config = next
      seats.limits = nextLimits
      requestSeatsMax = requestSeatsMaxOf(next, nextLimits)
      retired = false
      queues = queuesOf(next, queues)
      level.admitWaiting()
    },
    enter(work) {
      if (config.spec.type === 'Exempt') return freePlace
      if ((queues !== undefined && queues.waiting > 0) || !seats.fits(widthOf(work))) return undefined
      return placeFor(work, undefined)
    },
    wait({ flow, work, about, waitMsMax, signal, onQueued }) {
      if (queues === undefined || config.spec.limited?.limitResponse?.type !== 'Queue') {
        return Promise.reject(new Rejected('concurrency-limit'))
      }
      if (signal.aborted) return Promise.reject(new Rejected('cancelled'))
      const fair = queues
      const queue = fair.queueFor(flow)
      if (queue === undefined) return Promise.reject(new Rejected('queue-full'))
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          seats: widthOf(work),
          servedSeats: work.initialSeats,
          laterWork: (work.finalSeats * work.additionalMs) / 1000,
          sinceSeconds: clock.monotonic() / 1000,
          about,
          admit(from) {
            done()
            resolve(placeFor(work, from))
          },
        }
        const giveUp = (reason: RejectReason): void => {
          done()
          fair.remove(queue, waiter)
          note(clock.monotonic())
          reject(new Rejected(reason))
          // A wide request may have stood before narrower ones.
          level.admitWaiting()
        }
        const onAbort = (): void => giveUp('cancelled')
        const timer = clock.after(waitMsMax, () => giveUp('time-out'), { background: true })
        const done = (): void => {
          timer.cancel()
          signal.removeEventListener('abort', onAbort)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        fair.add(queue, waiter)
        note(clock.monotonic())
        onQueued?.(queue.waiting.size)
      })
    },
    leave({ seats: wide, servedSeats, additionalMs, queue, sinceMs }, released) {
      if (wide === 0) return released()
      if (queue !== undefined) queues?.end(queue, servedSeats, (clock.monotonic() - sinceMs) / 1000)
      if (additionalMs > 0) clock.after(additionalMs, () => release(wide, released), { background: true })
      else release(wide, released)
    },
    admitWaiting() {
      let admitted = false
      for (let turn = queues?.next(); turn !== undefined; turn = queues?.next()) {
        if (!seats.fits(turn.waiter.seats)) break
        queues!.begin(turn.queue, turn.waiter)
        turn.waiter.admit(turn.queue)
        admitted = true
      }
      return admitted
    },
    retire() {
      retired = true
      seats.retire()
    },
  }
  return level
}

function requestSeatsMaxOf({ spec }: PriorityLevelConfiguration, { nominal }: SeatLimits): number {
  const queuing = spec.limited?.limitResponse?.queuing
  if (queuing === undefined) return 0
  return Math.max(1, Math.min(Math.ceil(nominal * levelPartMax), Math.floor(nominal / (queuing.handSize ?? 8))))
}
