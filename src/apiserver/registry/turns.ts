// Writers of one object take turns: sixteen that change it at once would otherwise each make, admit and check an object that only one
// of them gets to store, and all others would do it again. Only a courtesy, which saves work: what counts is the store's comparison
// of revisions. So a turn that takes long is over for the others, who then go on beside it: admission may be waiting for a webhook
// that itself writes the object.
import type { Clock, Timer } from '#base/clock'

// A write takes some milliseconds, most of them the disk's.
const turnMsMax = 50
// Who finds more than this waiting does not wait.
const waitingMax = 1_024

interface Line {
  holder: Turn
  readonly waiting: ((turn: Turn) => void)[]
  timer: Timer | undefined
}

export interface Turn {
  /** It is the next one's. */
  done(): void
}

const nobodys: Turn = { done() {} }

/** The turns at the objects of one registry, in the order in which they were asked for. */
export class Turns {
  readonly #clock: Clock
  readonly #lines = new Map<string, Line>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** At once when nobody has it. */
  take(key: string): Turn | Promise<Turn> {
    const line = this.#lines.get(key)
    if (line === undefined) {
      const turn = this.#turn(key)
      this.#lines.set(key, { holder: turn, waiting: [], timer: undefined })
      return turn
    }
    if (line.waiting.length >= waitingMax) return nobodys
    return new Promise((resolve) => {
      line.waiting.push(resolve)
      this.#watch(key, line)
    })
  }

  #turn(key: string): Turn {
    const turn: Turn = { done: () => this.#end(key, turn) }
    return turn
  }

  #end(key: string, turn: Turn): void {
    const line = this.#lines.get(key)
    if (line === undefined || line.holder !== turn) return
    line.timer?.cancel()
    line.timer = undefined
    const next = line.waiting.shift()
    if (next === undefined) {
      this.#lines.delete(key)
      return
    }
    line.holder = this.#turn(key)
    this.#watch(key, line)
    next(line.holder)
  }

  // Nobody looks at the time while nobody waits.
  #watch(key: string, line: Line): void {
    if (line.waiting.length === 0 || line.timer !== undefined) return
    const { holder } = line
    line.timer = this.#clock.after(turnMsMax, () => this.#end(key, holder), { background: true })
  }
}
