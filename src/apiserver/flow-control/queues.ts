// The queues of one priority level: each flow has a hand of a few of them, dealt from its hash, and waits in the emptiest, so that a
// flow that floods fills its own hand and hardly ever all of another's (shuffle sharding). Queues take turns by the work that each
// has had: fair queuing over seats and seconds, in virtual time.
import { createHash } from 'node:crypto'

export interface QueueSettings {
  readonly queues: number
  readonly handSize: number
  /** Requests that may wait in one queue. */
  readonly lengthMax: number
}

/** One request that waits. */
export interface Waiter {
  /** The seats that it takes while it is served and until it has given all of them back. */
  readonly seats: number
  /** The seats that it needs while it is served. */
  readonly servedSeats: number
  /** Seat-seconds that it costs after it was served. */
  readonly laterWork: number
  /** When it came, in seconds of monotonic time. */
  readonly sinceSeconds: number
  /** What it is, for who looks at the queues. */
  readonly about: unknown
  /** Lets it go on; it has its seats already. */
  admit(queue: Queue): void
}

export interface Queue {
  readonly waiting: Set<Waiter>
  waitingSeats: number
  /** Under way of this queue. */
  executing: number
  /** The virtual time at which its next request may be said to begin. */
  nextStart: number
}

// What a request is taken to last until it has shown how long it does.
const guessedSeconds = 0.003

export interface FairQueues {
  settings: QueueSettings
  readonly waiting: number
  readonly waitingSeats: number
  /** All queues, in order. */
  readonly all: readonly Queue[]
  /** Virtual time. */
  readonly virtual: number
  /** The queue that a flow's next request waits in; undefined when that one is full. */
  queueFor(flow: string): Queue | undefined
  add(queue: Queue, waiter: Waiter): void
  remove(queue: Queue, waiter: Waiter): void
  /** Whose turn it is, still waiting; undefined when nobody waits. */
  next(): { readonly queue: Queue; readonly waiter: Waiter } | undefined
  /** `next` goes on: charges its queue for what it may cost. */
  begin(queue: Queue, waiter: Waiter): void
  /** It has ended: the charge for its serving becomes what that did cost. */
  end(queue: Queue, seats: number, seconds: number): void
}

/** `seconds`: monotonic time. `seatsInUse`: how much work is done at this moment, which is the pace of virtual time. */
export function createFairQueues(initial: QueueSettings, now: { seconds(): number; seatsInUse(): number }): FairQueues {
  let settings = initial
  let queues = emptyQueues(settings.queues)
  // Those where somebody waits, in the order of their turns.
  const busy = new Set<Queue>()
  // Those where somebody waits or is served: they share the work.
  const active = new Set<Queue>()
  let waiting = 0
  let waitingSeats = 0
  let virtual = 0
  let virtualAt = now.seconds()

  const advance = (): void => {
    const seconds = now.seconds()
    if (active.size > 0) virtual += ((seconds - virtualAt) * now.seatsInUse()) / active.size
    virtualAt = seconds
  }
  const settle = (queue: Queue): void => {
    if (queue.waiting.size === 0) busy.delete(queue)
    if (queue.waiting.size === 0 && queue.executing === 0) active.delete(queue)
  }
  return {
    get settings() {
      return settings
    },
    set settings(next) {
      // Who waits already goes on waiting where it is.
      if (next.queues !== settings.queues) queues = emptyQueues(next.queues)
      settings = next
    },
    get all() {
      return queues
    },
    get virtual() {
      advance()
      return virtual
    },
    get waiting() {
      return waiting
    },
    get waitingSeats() {
      return waitingSeats
    },
    queueFor(flow) {
      let best: Queue | undefined
      for (const card of dealHand(flow, settings.queues, settings.handSize)) {
        const queue = queues[card]!
        if (best === undefined || loadOf(queue) < loadOf(best)) best = queue
      }
      return best === undefined || best.waiting.size >= settings.lengthMax ? undefined : best
    },
    add(queue, waiter) {
      advance()
      if (!active.has(queue)) queue.nextStart = virtual
      queue.waiting.add(waiter)
      queue.waitingSeats += waiter.seats
      waiting++
      waitingSeats += waiter.seats
      busy.add(queue)
      active.add(queue)
    },
    remove(queue, waiter) {
      if (!queue.waiting.delete(waiter)) return
      advance()
      queue.waitingSeats -= waiter.seats
      waiting--
      waitingSeats -= waiter.seats
      settle(queue)
    },
    next() {
      let best: { readonly queue: Queue; readonly waiter: Waiter; readonly finish: number } | undefined
      for (const queue of busy) {
        const [waiter] = queue.waiting
        const finish = queue.nextStart + workOf(waiter!)
        if (best === undefined || finish < best.finish) best = { queue, waiter: waiter!, finish }
      }
      return best
    },
    begin(queue, waiter) {
      this.remove(queue, waiter)
      queue.executing++
      queue.nextStart += workOf(waiter)
      active.add(queue)
      // Of equals, the one that had no turn for longest comes first.
      if (busy.delete(queue)) busy.add(queue)
    },
    end(queue, seats, seconds) {
      advance()
      queue.executing--
      queue.nextStart += (seconds - guessedSeconds) * seats
      settle(queue)
    },
  }
}

function emptyQueues(count: number): Queue[] {
  return Array.from({ length: count }, () => ({ waiting: new Set<Waiter>(), waitingSeats: 0, executing: 0, nextStart: 0 }))
}

function loadOf(queue: Queue): number {
  return queue.waitingSeats + queue.executing
}

// In seat-seconds.
function workOf({ servedSeats, laterWork }: Waiter): number {
  return guessedSeconds * servedSeats + laterWork
}

/** `handSize` different numbers below `deckSize`, always the same for the same flow. */
export function dealHand(flow: string, deckSize: number, handSize: number): number[] {
  let entropy = createHash('sha256').update(flow).digest().readBigUInt64LE(0)
  const hand: number[] = []
  for (let dealt = 0; dealt < Math.min(handSize, deckSize); dealt++) {
    const left = BigInt(deckSize - dealt)
    // The n-th of those that are left: step over each that was dealt and is not above it.
    let card = Number(entropy % left)
    entropy /= left
    for (const earlier of [...hand].sort((a, b) => a - b)) if (earlier <= card) card++
    hand.push(card)
  }
  return hand
}
