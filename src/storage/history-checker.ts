// Random load from many writers, readers and watchers at once, and a check of everything they were told against one model: the
// history that a watch from the very beginning has seen. Used by the contract suite, and by simulations with faults.
import type { Eventual } from '#base/eventual'
import type { Random } from '#base/random'
import { nextTurn } from './next-turn.ts'
import { bytes, type Recorder, record } from './store.testing.ts'
import { type RangeResult, type Store, type StoredValue, StoreError, type StoreEvent, type Write, type WriteResult } from './store.ts'

export interface LoadSize {
  readonly writers: number
  readonly writesEach: number
  readonly keys: number
  readonly watches: number
  readonly readers: number
}

interface DoneWrite {
  readonly writes: readonly Write[]
  readonly begun: number
  readonly ended: number
  /** Undefined: the store did not say what happened. */
  readonly result: WriteResult | undefined
}

interface DoneRead {
  readonly prefix: string
  readonly begun: number
  /** Whether the latest state was asked for, not that of a revision. */
  readonly latest: boolean
  readonly result: RangeResult
}

export interface Load {
  readonly start: number
  readonly writes: DoneWrite[]
  readonly reads: DoneRead[]
  readonly watches: Recorder[]
  readonly whole: Recorder
}

/** Writes, reads and watches at random until every writer is done. Steps are numbered, so that before and after can be told. */
export async function runRandomLoad(store: Store, random: Random, size: LoadSize): Promise<Load> {
  const start = await insist(() => store.currentRevision())
  const whole = record(store, '', { afterRevision: start, resume: true })
  const load: Load = { start, writes: [], reads: [], watches: [], whole }
  let step = 0
  let writing = size.writers
  const pick = (n: number): number => Math.floor(random() * n)
  const key = (): string => `/${'abc'[pick(3)]}/${pick(size.keys)}`
  const pause = async (): Promise<void> => {
    for (let turns = pick(3); turns > 0; turns--) await nextTurn()
  }

  const writer = async (name: number): Promise<void> => {
    for (let i = 0; i < size.writesEach; i++) {
      const keys = [...new Set(Array.from({ length: pick(5) === 0 ? 1 + pick(4) : 1 }, key))]
      const writes: Write[] = []
      for (const k of keys) writes.push(await randomWrite(store, k, `${name}.${i}`, pick))
      if (writes.length > 1) writes[0] = { ...writes[0]!, value: bytes(`${name}.${i}`) }
      const begun = ++step
      const result = await (writes.length === 1 ? store.write(writes[0]!) : store.writeAll(writes)).catch(unknownOutcome)
      if (result !== 'refused') load.writes.push({ writes, begun, ended: ++step, result })
      await pause()
    }
    writing--
  }
  const reader = async (): Promise<void> => {
    while (writing > 0) {
      const prefix = ['', '/', '/a/', '/b/', '/c/1'][pick(5)]!
      const latest = await insist(() => store.currentRevision())
      const oldest = await insist(() => store.oldestRevision())
      const begun = ++step
      const options = pick(2) === 0 ? {} : { revision: oldest + pick(latest - oldest + 1) }
      const result = await store.range(prefix, options).catch(unlessTransient)
      if (result !== undefined) load.reads.push({ prefix, begun, latest: !('revision' in options), result })
      await pause()
    }
  }
  const watcher = async (): Promise<void> => {
    for (let turns = pick(60); turns > 0; turns--) await nextTurn()
    const afterRevision = start + pick((await insist(() => store.currentRevision())) - start + 1)
    load.watches.push(record(store, ['', '/', '/a/', '/b/', '/c/1', '/c/11'][pick(6)]!, { afterRevision, resume: true }))
  }
  await Promise.all([
    ...Array.from({ length: size.writers }, (_, name) => writer(name)),
    ...Array.from({ length: size.readers }, reader),
    ...Array.from({ length: size.watches }, watcher),
  ])
  return load
}

async function randomWrite(store: Store, key: string, name: string, pick: (n: number) => number): Promise<Write> {
  const value = pick(4) === 0 ? undefined : bytes(`${name} ${key}`)
  const kind = pick(4)
  if (kind === 0) return { key, value }
  if (kind === 1) return { key, value, expectedModRevision: 0 }
  const now = await store.get(key).catch(unlessTransient)
  return { key, value, expectedModRevision: now?.modRevision ?? 0 }
}

// Until the connection holds.
async function insist<T>(call: () => Eventual<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      unlessTransient(error)
    }
  }
}

function unknownOutcome(error: unknown): undefined | 'refused' {
  if (error instanceof StoreError && error.code === 'unavailable') return undefined
  if (error instanceof StoreError && (error.code === 'busy' || error.code === 'full')) return 'refused'
  throw error
}

function unlessTransient(error: unknown): undefined {
  if (error instanceof StoreError && (error.code === 'unavailable' || error.code === 'busy')) return undefined
  throw error
}

/** Everything that is wrong with the history, in words; nothing, if all is well. */
export async function checkHistory(store: Store, load: Load): Promise<string[]> {
  const latest = await insist(() => store.currentRevision())
  const watches = [load.whole, ...load.watches]
  await Promise.all(watches.map((watch) => watch.through(latest)))
  const history = load.whole.events
  const model = new Model(history)
  const flaws = [
    ...watches.flatMap((watch) => watch.flaws),
    ...model.flaws,
    ...checkWrites(load, model),
    ...checkReads(load, model),
    ...load.watches.flatMap((watch) => checkWatch(watch, history)),
  ]
  const now = await insist(() => store.range(''))
  if (!sameItems(now.items, model.range('', latest))) flaws.push('what is stored now is not what the history leads to')
  for (const watch of watches) watch.close()
  return flaws
}

/** The store as the history says it was at every revision. */
class Model {
  readonly flaws: string[] = []
  readonly byRevision = new Map<number, StoreEvent[]>()
  readonly #versions = new Map<string, { revision: number; stored: StoredValue | undefined }[]>()

  constructor(history: readonly StoreEvent[]) {
    let last = 0
    for (const event of history) {
      if (event.revision < last) this.flaws.push(`revision ${event.revision} follows ${last}`)
      last = event.revision
      const together = this.byRevision.get(event.revision) ?? []
      this.byRevision.set(event.revision, [...together, event])
      this.#apply(event)
    }
  }

  #apply(event: StoreEvent): void {
    const versions = this.#versions.get(event.key) ?? []
    this.#versions.set(event.key, versions)
    const before = versions.at(-1)?.stored
    if (!sameStored(before, event.previous)) this.flaws.push(`revision ${event.revision}: what was before ${event.key} is told wrong`)
    const created = before?.createRevision ?? event.revision
    if (event.createRevision !== created) this.flaws.push(`revision ${event.revision}: created at ${event.createRevision}, not ${created}`)
    if (event.value === undefined) {
      if (before === undefined) this.flaws.push(`revision ${event.revision}: deletes ${event.key}, which is not there`)
      versions.push({ revision: event.revision, stored: undefined })
      return
    }
    const stored = { key: event.key, value: event.value, createRevision: created, modRevision: event.revision }
    versions.push({ revision: event.revision, stored: { ...stored, version: (before?.version ?? 0) + 1 } })
  }

  get(key: string, revision: number): StoredValue | undefined {
    return this.#versions.get(key)?.findLast((version) => version.revision <= revision)?.stored
  }

  range(prefix: string, revision: number): StoredValue[] {
    const keys = [...this.#versions.keys()].filter((key) => key.startsWith(prefix)).sort()
    return keys.flatMap((key) => this.get(key, revision) ?? [])
  }
}

function checkWrites({ writes, start }: Load, model: Model): string[] {
  const flaws: string[] = []
  const told = new Set<number>()
  for (const { writes: asked, result } of writes) {
    if (result === undefined) continue
    if (result.outcome === 'conflict') {
      const met = asked.some(
        ({ key, expectedModRevision }) =>
          expectedModRevision !== undefined &&
          (result.current?.modRevision ?? 0) !== expectedModRevision &&
          sameStored(result.current, model.get(key, result.revision)),
      )
      if (!met) flaws.push(`a conflict at revision ${result.revision} that was none`)
      continue
    }
    if (isNoChange(asked, result)) {
      if (model.get(asked[0]!.key, result.revision) !== undefined)
        flaws.push(`${asked[0]!.key} was there to be deleted at ${result.revision}`)
      continue
    }
    if (told.has(result.revision)) flaws.push(`revision ${result.revision} was given to two writes`)
    told.add(result.revision)
    const events = model.byRevision.get(result.revision) ?? []
    if (!asked.every((write) => carriedOut(write, events, model, result.revision))) {
      flaws.push(`the write of revision ${result.revision} is not in the history`)
    }
  }
  const unknown = writes.filter((write) => write.result === undefined).length
  const unclaimed = [...model.byRevision.keys()].filter((revision) => revision > start && !told.has(revision)).length
  if (unclaimed > unknown) flaws.push(`${unclaimed} revisions that nobody wrote, at most ${unknown} possible`)
  return [...flaws, ...checkOrder(writes)]
}

// Deleting what is not there takes no revision. Writes that go together always put something here, so this is a single one.
function isNoChange(asked: readonly Write[], result: WriteResult & { outcome: 'committed' }): boolean {
  return asked.length === 1 && asked[0]!.value === undefined && result.previous === undefined
}

function carriedOut(write: Write, events: readonly StoreEvent[], model: Model, revision: number): boolean {
  const event = events.find(({ key }) => key === write.key)
  if (event === undefined) return write.value === undefined && model.get(write.key, revision) === undefined
  if (write.expectedModRevision !== undefined && (event.previous?.modRevision ?? 0) !== write.expectedModRevision) return false
  return write.value === undefined ? event.type === 'delete' : event.value?.equals(write.value) === true
}

// A write that began after another was acknowledged has the greater revision.
function checkOrder(writes: readonly DoneWrite[]): string[] {
  const flaws: string[] = []
  const known = writes.flatMap((write) => (write.result === undefined ? [] : [{ ...write, revision: write.result.revision }]))
  const byEnd = [...known].sort((a, b) => a.ended - b.ended)
  const byBegin = [...known].sort((a, b) => a.begun - b.begun)
  let newest = 0
  let next = 0
  for (const write of byBegin) {
    for (; next < byEnd.length && byEnd[next]!.ended < write.begun; next++) newest = Math.max(newest, byEnd[next]!.revision)
    if (write.revision < newest) flaws.push(`revision ${write.revision} was given after ${newest} had been acknowledged`)
  }
  return flaws
}

function checkReads({ reads, writes }: Load, model: Model): string[] {
  const flaws: string[] = []
  for (const { prefix, result } of reads) {
    if (!sameItems(result.items, model.range(prefix, result.revision))) flaws.push(`a read of ${prefix} at ${result.revision} is wrong`)
  }
  return [...flaws, ...staleReads(reads, writes)]
}

// A read of the latest state is not older than any write that was acknowledged before it began.
function staleReads(reads: readonly DoneRead[], writes: readonly DoneWrite[]): string[] {
  const acknowledged = writes.filter((write) => write.result?.outcome === 'committed').sort((a, b) => a.ended - b.ended)
  const latest = reads.filter((read) => read.latest).sort((a, b) => a.begun - b.begun)
  const flaws: string[] = []
  let newest = 0
  let next = 0
  for (const { begun, prefix, result } of latest) {
    for (; next < acknowledged.length && acknowledged[next]!.ended < begun; next++) {
      newest = Math.max(newest, acknowledged[next]!.result!.revision)
    }
    if (result.revision < newest) flaws.push(`a read of ${prefix} at ${result.revision} is older than ${newest}, acknowledged before`)
  }
  return flaws
}

function checkWatch(watch: Recorder, history: readonly StoreEvent[]): string[] {
  const expected = history.filter((event) => event.revision > watch.afterRevision && event.key.startsWith(watch.prefix))
  const seen = watch.events
  if (seen.length !== expected.length) {
    return [`a watch of '${watch.prefix}' after ${watch.afterRevision} saw ${seen.length} events, not ${expected.length}`]
  }
  const wrong = seen.find((event, i) => !sameEvent(event, expected[i]!))
  return wrong === undefined ? [] : [`a watch of '${watch.prefix}' after ${watch.afterRevision} saw revision ${wrong.revision} wrong`]
}

function sameEvent(a: StoreEvent, b: StoreEvent): boolean {
  return (
    a.type === b.type &&
    a.key === b.key &&
    a.revision === b.revision &&
    a.createRevision === b.createRevision &&
    sameBytes(a.value, b.value) &&
    sameStored(a.previous, b.previous)
  )
}

function sameItems(a: readonly StoredValue[], b: readonly StoredValue[]): boolean {
  return a.length === b.length && a.every((item, i) => sameStored(item, b[i]))
}

function sameStored(a: StoredValue | undefined, b: StoredValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const same = a.key === b.key && a.modRevision === b.modRevision && a.createRevision === b.createRevision && a.version === b.version
  return same && sameBytes(a.value, b.value)
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
