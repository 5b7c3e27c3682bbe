// The one writer of the LMDB store. Whoever writes while a commit is on its way to the disk waits for the next one and shares it:
// group commit. A group is decided against what is on disk when the one before has arrived there, so that two writes to one key
// in one group behave as if they had come alone, and nothing is ever acknowledged, not even a conflict, that a crash could undo.
import type { Clock, Timer } from '#base/clock'
import type { EventLog } from '../event-log.ts'
import { checkWrites } from '../keys.ts'
import { nextTurn } from '../next-turn.ts'
import { planWrites, stands, type WriteRequest } from '../plan-writes.ts'
import { type StoredValue, StoreError, type StoreEvent, type Write, type WriteResult } from '../store.ts'
import { closedError, futureError } from '../watch-hub.ts'
import { pageBytes } from './environment.ts'
import { isFull, storeError } from './errors.ts'
import { type Entry, nextMilestone, positionOf, revisionOf } from './layout.ts'
import { readValue } from './reading.ts'
import type { Sweeper } from './sweeper.ts'
import type { Tables } from './tables.ts'

export interface CommitterOptions {
  readonly tables: Tables
  readonly clock: Clock
  readonly sweeper: Sweeper
  readonly recent: EventLog
  /** The store's revision, and the time of its record. */
  readonly revision: number
  readonly timeMs: number
  /** Called in the same turn in which the writers' promises resolve. */
  readonly onCommit: (events: readonly StoreEvent[], revision: number) => void
  /** Called once when writing is no longer possible. */
  readonly onFailure: (error: StoreError) => void
}

// Bounds of what waits, and of what goes into one commit; deciding and encoding a group takes a few milliseconds at most.
const waitingWritesMax = 32_768
const waitingBytesMax = 256 * 2 ** 20
const groupWritesMax = 256
const groupBytesMax = 8 * 2 ** 20

// Steps of sweeping: what a commit adds to its own work, and what one does when nobody writes.
const stepsPerWrite = 2
const stepsBeside = 32
const stepsAlone = 256
const stepsAtLeast = 4

// History that has grown too old is looked for at most this often, and again after the disk was full.
const ageCheckMs = 1_000
const retryMs = 5_000

// How often it is looked whether the file has become mostly gaps, beside whenever nobody writes.
const groupsPerLook = 64
const shrinkRetryMs = 3_600_000

// Room that only deletions and sweeping may use; what any commit takes; what a step of sweeping may take.
const reserveBytes = 2 * 2 ** 20
const baseBytes = 64 * pageBytes
const stepBytes = 3 * pageBytes

/** Collects writes, commits them in groups, sweeps along. */
export class Committer {
  readonly #options: CommitterOptions
  #revision: number
  #newest: number
  #timeMs: number
  #waiting: WriteRequest[] = []
  #waitingWrites = 0
  #waitingBytes = 0
  #running: Promise<void> | undefined
  #sweepers: { through: number; resolve: () => void; reject: (error: unknown) => void }[] = []
  #timer: Timer | undefined
  #closed = false
  #groups = 0
  #shrinkAfterMs = 0
  #failure: StoreError | undefined
  // Entries of the keys in the group being decided.
  readonly #entries = new Map<string, Entry | undefined>()

  constructor(options: CommitterOptions) {
    this.#options = options
    this.#revision = options.revision
    this.#newest = options.revision
    this.#timeMs = options.timeMs
    this.#kick()
  }

  /** Latest revision on disk. */
  get revision(): number {
    return this.#revision
  }

  /** The newest revision that the tables may show: that of the commit on its way, if there is one. */
  get newest(): number {
    return this.#newest
  }

  async write(writes: readonly Write[]): Promise<WriteResult> {
    checkWrites(writes)
    this.#checkOpen()
    const bytes = bytesOf(writes)
    const some = this.#waiting.length > 0
    if (some && (this.#waitingWrites + writes.length > waitingWritesMax || this.#waitingBytes + bytes > waitingBytesMax)) {
      throw new StoreError('busy', `${this.#waitingWrites} writes are waiting for the disk; try again`)
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, resolve, reject })
      this.#waitingWrites += writes.length
      this.#waitingBytes += bytes
      this.#kick()
    })
  }

  /** Forgets history before the revision; resolves when its space has been given back. */
  async compact(revision: number): Promise<void> {
    this.#checkOpen()
    if (revision > this.#revision) throw futureError(revision, this.#revision)
    const { sweeper } = this.#options
    sweeper.forget(revision)
    const through = Math.min(revision, this.#revision - 1)
    if (sweeper.sweptThrough(through)) return
    return new Promise((resolve, reject) => {
      this.#sweepers.push({ through, resolve, reject })
      this.#kick()
    })
  }

  /** Commits what waits and stops. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#running
    this.#rejectSweepers(closedError())
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError()
    if (this.#failure !== undefined) throw this.#failure
  }

  #kick(): void {
    if (this.#failure === undefined) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    this.#timer?.cancel()
    for (;;) {
      // Those who heard of the last commit, and others of this turn, get their chance to join the next one.
      await nextTurn()
      const stuck = await this.#step()
      // What was asked for while the step's promise settled counts too, so this is looked at only now.
      this.#settleSweepers()
      if (this.#failure !== undefined) break
      if (this.#waiting.length === 0 && (stuck || this.#closed || this.#options.sweeper.clean(this.#revision))) break
    }
    this.#running = undefined
    this.#wakeForAge()
  }

  // Whether nothing more can be done for now although there is something to sweep.
  async #step(): Promise<boolean> {
    let group: readonly WriteRequest[] = []
    try {
      group = this.#take()
      const { fitting, steps } = await this.#fitting(group)
      await this.#commitGroup(fitting, steps)
      if (group.length === 0 || ++this.#groups % groupsPerLook === 0) await this.#shrink()
      return false
    } catch (error) {
      this.#fail(error, group)
      return true
    } finally {
      this.#newest = this.#revision
      this.#entries.clear()
    }
  }

  // A file that is mostly gaps is replaced; those who write wait for as long as copying what is in use takes.
  async #shrink(): Promise<void> {
    const { tables, clock } = this.#options
    if (clock.now() < this.#shrinkAfterMs || !tables.wasteful()) return
    try {
      await tables.shrink()
    } catch (error) {
      // No room for a copy is no harm done.
      this.#shrinkAfterMs = clock.now() + shrinkRetryMs
      if (!isFull(error)) throw error
    }
  }

  #take(): WriteRequest[] {
    let writes = 0
    let bytes = 0
    let end = 0
    for (const request of this.#waiting) {
      writes += request.writes.length
      bytes += bytesOf(request.writes)
      if (end > 0 && (writes > groupWritesMax || bytes > groupBytesMax)) break
      end++
    }
    const group = this.#waiting.slice(0, end)
    this.#waiting = this.#waiting.slice(end)
    for (const request of group) {
      this.#waitingWrites -= request.writes.length
      this.#waitingBytes -= bytesOf(request.writes)
    }
    return group
  }

  // Lets in what there is room for, and says how much may be swept along. Only deletions and sweeping may use the reserve, so that
  // a full store can be made less full.
  async #fitting(group: readonly WriteRequest[]): Promise<{ fitting: readonly WriteRequest[]; steps: number }> {
    const steps = stepsFor(group)
    const wanted = group.reduce((sum, { writes }) => sum + commitBytes(writes), baseBytes + steps * stepBytes)
    const available = await this.#options.tables.available(wanted + reserveBytes, this.#options.clock.monotonic())
    if (available >= wanted + reserveBytes) return { fitting: group, steps }
    let left = available - baseBytes
    const fitting: WriteRequest[] = []
    for (const request of group) {
      const needed = commitBytes(request.writes)
      if (left - needed >= (bytesOf(request.writes) === 0 ? 0 : reserveBytes)) {
        left -= needed
        fitting.push(request)
      } else request.reject(new StoreError('full', 'there is no space left to write; free some or delete something'))
    }
    // History gives way to the present, half of it each time.
    if (fitting.length < group.length) this.#options.sweeper.forgetHalf(this.#revision)
    return { fitting, steps: Math.min(steps, Math.max(stepsAtLeast, Math.floor(left / stepBytes))) }
  }

  async #commitGroup(group: readonly WriteRequest[], steps: number): Promise<void> {
    const { sweeper, tables } = this.#options
    const plan = planWrites({ requests: group, revision: this.#revision, current: (key) => this.#current(key) })
    const sweep = sweeper.plan(this.#revision, steps)
    if (plan.events.length > 0 || sweeper.changes(sweep)) {
      this.#newest = plan.revision
      this.#timeMs = Math.max(this.#timeMs, this.#options.clock.now())
      await tables.commit(() => {
        this.#fill(plan.events)
        sweeper.fill(sweep)
      })
    }
    sweeper.done(sweep)
    this.#revision = plan.revision
    this.#options.recent.append(plan.events)
    group.forEach(({ resolve }, i) => {
      resolve(plan.results[i]!)
    })
    if (plan.events.length > 0) this.#options.onCommit(plan.events, plan.revision)
  }

  #current(key: string): StoredValue | undefined {
    const { tables, recent } = this.#options
    const entry = tables.keys.get(key)
    this.#entries.set(key, entry)
    if (entry === undefined) return undefined
    const { position, createRevision, version } = entry
    const modRevision = revisionOf(position)
    // The buffer that watchers were given, if it is still about: they know what is in it.
    const value = recent.find(key, modRevision)?.value ?? readValue(tables, position)
    return { key, value, createRevision, modRevision, version }
  }

  #fill(events: readonly StoreEvent[]): void {
    const { log, values, keys, graves } = this.#options.tables
    let revision = 0
    let index = 0
    for (const event of events) {
      index = event.revision === revision ? index + 1 : 0
      revision = event.revision
      const { type, key, createRevision } = event
      const position = positionOf(revision, index)
      const before = this.#entries.get(key)
      const milestone = nextMilestone(before)
      const version = stands(event)?.version ?? event.previous!.version
      log.put(position, { type, key, version, createRevision, previous: before?.position ?? 0, milestone, timeMs: this.#timeMs })
      if (event.value === undefined) {
        keys.remove(key)
        graves.put({ key, position }, nothing)
        this.#entries.set(key, undefined)
        continue
      }
      const entry = { position, createRevision, version, milestone }
      values.put(position, event.value)
      keys.put(key, entry)
      this.#entries.set(key, entry)
    }
  }

  // A full disk fails the group and nothing else; whatever else goes wrong ends the writing, since what is on disk is no longer
  // known.
  #fail(error: unknown, group: readonly WriteRequest[]): void {
    const failure = storeError('the store', error)
    for (const { reject } of group) reject(failure)
    this.#rejectSweepers(failure)
    if (failure.code === 'full') return this.#wake(retryMs)
    this.#failure = failure
    for (const { reject } of this.#waiting) reject(failure)
    this.#waiting = []
    this.#options.onFailure(failure)
  }

  #settleSweepers(): void {
    if (this.#sweepers.length === 0) return
    const done = (through: number): boolean => this.#options.sweeper.sweptThrough(through)
    for (const { through, resolve } of this.#sweepers) if (done(through)) resolve()
    this.#sweepers = this.#sweepers.filter(({ through }) => !done(through))
  }

  #rejectSweepers(error: StoreError): void {
    for (const { reject } of this.#sweepers) reject(error)
    this.#sweepers = []
  }

  // One timer for the moment at which the oldest history is too old; none when there is no history.
  #wakeForAge(): void {
    if (this.#closed || this.#failure !== undefined) return
    const dueMs = this.#options.sweeper.nextDueMs(this.#revision)
    if (dueMs !== undefined) this.#wake(Math.max(ageCheckMs, dueMs - this.#options.clock.now()))
  }

  #wake(waitMs: number): void {
    if (this.#closed || this.#failure !== undefined) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(waitMs, () => this.#kick(), { background: true })
  }
}

const nothing = Buffer.alloc(1)

function bytesOf(writes: readonly Write[]): number {
  let bytes = 0
  for (const { value } of writes) if (value !== undefined) bytes += value.length + 1
  return bytes
}

function stepsFor(group: readonly WriteRequest[]): number {
  if (group.length === 0) return stepsAlone
  return group.reduce((sum, { writes }) => sum + stepsPerWrite * writes.length, stepsBeside)
}

// The value's pages, and those on the way to its place in each table, as if no given-up page could be used again.
function commitBytes(writes: readonly Write[]): number {
  return writes.reduce((sum, { value }) => sum + (3 + Math.ceil((value?.length ?? 0) / pageBytes)) * pageBytes, 0)
}
