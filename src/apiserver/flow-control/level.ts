// One priority level at work: who is let in at once, who waits, who is sent away. While nobody waits a request costs it a few
// additions.
import type { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import type { Clock } from '#base/clock'
import { createFairQueues, type FairQueues, type Queue, type Waiter } from './queues.ts'
import { createLevelSeats, type LevelSeats, type SeatLimits, type SeatPool } from './seats.ts'

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
  readonly seats: number
  readonly waitMsMax: number
  readonly signal: AbortSignal
}

/** A place on the server; given back once. */
export interface Place {
  readonly seats: number
  readonly queue: Queue | undefined
  readonly sinceMs: number
}

// Of those who take no seat: all the same.
const freePlace: Place = { seats: 0, queue: undefined, sinceMs: 0 }

export interface Level {
  readonly name: string
  readonly uid: string
  /** Without limits and seats. */
  readonly exempt: boolean
  readonly seats: LevelSeats
  readonly waiting: number
  readonly waitingSeats: number
  configure(config: PriorityLevelConfiguration, limits: SeatLimits): void
  /** A place if one is free and nobody waits for it. */
  enter(seats: number): Place | undefined
  /** A place when it is this request's turn. Rejects with Rejected. */
  wait(options: WaitOptions): Promise<Place>
  leave(place: Place): void
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

  const placeFor = (wide: number, queue: Queue | undefined): Place => {
    seats.take(wide)
    return { seats: wide, queue, sinceMs: clock.monotonic() }
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
    get waiting() {
      return queues?.waiting ?? 0
    },
    get waitingSeats() {
      return queues?.waitingSeats ?? 0
    },
    configure(next, nextLimits) {
      config = next
      seats.limits = nextLimits
      queues = queuesOf(next, queues)
      level.admitWaiting()
    },
    enter(wide) {
      if (config.spec.type === 'Exempt') return freePlace
      if ((queues !== undefined && queues.waiting > 0) || !seats.fits(wide)) return undefined
      return placeFor(wide, undefined)
    },
    wait({ flow, seats: wide, waitMsMax, signal }) {
      if (queues === undefined || config.spec.limited?.limitResponse?.type !== 'Queue') {
        return Promise.reject(new Rejected('concurrency-limit'))
      }
      if (signal.aborted) return Promise.reject(new Rejected('cancelled'))
      const fair = queues
      const queue = fair.queueFor(flow)
      if (queue === undefined) return Promise.reject(new Rejected('queue-full'))
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          seats: wide,
          admit(from) {
            done()
            resolve(placeFor(wide, from))
          },
        }
        const giveUp = (reason: RejectReason): void => {
          done()
          fair.remove(queue, waiter)
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
      })
    },
    leave({ seats: wide, queue, sinceMs }) {
      if (wide === 0) return
      if (queue !== undefined) queues?.end(queue, wide, (clock.monotonic() - sinceMs) / 1000)
      seats.take(-wide)
      if (queues !== undefined && queues.waiting > 0) level.admitWaiting()
      onFreed(level)
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
    retire: () => seats.retire(),
  }
  return level
}
