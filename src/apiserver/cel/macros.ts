// Macros: loops over lists and maps, and what is done with optional values. Each round is paid for.
import { sortedBy } from './functions/lists.ts'
import type { Macro, MacroName } from './syntax.ts'
import { CelError, CelList, EntryMap, isMap, listFrom, Optional, optionalNone, type Value } from './values.ts'

/** The part of an evaluation that loops need. */
interface Loop<F> {
  step(expr: Macro['body'], names: readonly string[]): (frame: F) => Value
  spend(frame: F, units: number): void
}

interface Slots {
  readonly slots: Value[]
}

type Round = (key: Value, value: Value) => boolean

// What the loop costs beside what its body does, by the fold that the macro stands for: for each round whether to go on is asked, and
// what was found is added to what there is; at the end the result is read. Lists and maps that nothing stands in are free.
const costs: Readonly<Record<MacroName, { readonly ask: number; readonly add: number; readonly end: number }>> = {
  all: { ask: 2, add: 1, end: 1 },
  exists: { ask: 3, add: 1, end: 1 },
  exists_one: { ask: 0, add: 2, end: 2 },
  filter: { ask: 0, add: 13, end: 1 },
  sortBy: { ask: 0, add: 12, end: 1 },
  map: { ask: 0, add: 12, end: 1 },
  transformList: { ask: 0, add: 12, end: 1 },
  transformMap: { ask: 0, add: 3, end: 1 },
  transformMapEntry: { ask: 0, add: 2, end: 1 },
  optMap: { ask: 0, add: 0, end: 0 },
  optFlatMap: { ask: 0, add: 0, end: 0 },
  bind: { ask: 0, add: 0, end: 0 },
}

/** The macro as one step. `names` are those of the macros around it. */
export function macroStep<F extends Slots>(loop: Loop<F>, macro: Macro, names: readonly string[]): (frame: F) => Value {
  const inner = [...names, ...macro.variables]
  const range = loop.step(macro.range, names)
  const body = loop.step(macro.body, inner)
  const filter = macro.filter === undefined ? undefined : loop.step(macro.filter, inner)
  const slot = names.length
  if (macro.name === 'optMap' || macro.name === 'optFlatMap') return optionalStep(macro.name, range, body, slot)
  if (macro.name === 'bind') {
    return (frame) => {
      frame.slots[slot] = range(frame)
      return body(frame)
    }
  }
  const two = macro.variables.length === 2
  const { ask, add, end } = costs[macro.name]
  const added = (frame: F): void => loop.spend(frame, add)

  const each = (frame: F, over: Value, round: Round): void => {
    const run = (key: Value, value: Value): boolean => {
      if (ask > 0) loop.spend(frame, ask)
      if (two) {
        frame.slots[slot] = key
        frame.slots[slot + 1] = value
      } else frame.slots[slot] = value
      return round(key, value)
    }
    if (over instanceof CelList) {
      for (let i = 0; i < over.size; i++) if (!run(BigInt(i), over.at(i))) return
    } else if (typeof over === 'object' && over !== null && isMap(over)) {
      // With one variable it goes through the keys.
      for (const key of over.keys()) if (!run(key, two ? over.get(key)! : key)) return
    } else throw new CelError('no such overload')
  }
  const kept = (frame: F): boolean => filter === undefined || truth(filter(frame))
  return (frame) => {
    const result = finish(macro, frame, range(frame), { each, body, kept, added })
    loop.spend(frame, end)
    return result
  }
}

interface Parts<F> {
  readonly each: (frame: F, over: Value, round: Round) => void
  readonly body: (frame: F) => Value
  readonly kept: (frame: F) => boolean
  /** Pays for what a round adds to the result. */
  readonly added: (frame: F) => void
}

function finish<F extends Slots>(macro: Macro, frame: F, over: Value, parts: Parts<F>): Value {
  const { each, body, kept, added } = parts
  switch (macro.name) {
    case 'all':
      return decided(frame, over, parts, false)
    case 'exists':
      return decided(frame, over, parts, true)
    case 'exists_one': {
      let count = 0
      each(frame, over, () => {
        if (!truth(body(frame))) return true
        added(frame)
        count++
        return true
      })
      return count === 1
    }
    case 'filter': {
      const found: Value[] = []
      each(frame, over, (_, value) => {
        if (!truth(body(frame))) return true
        added(frame)
        found.push(value)
        return true
      })
      return listFrom(found)
    }
    case 'sortBy': {
      const items: Value[] = []
      const keys: Value[] = []
      each(frame, over, (_, value) => {
        items.push(value)
        keys.push(body(frame))
        added(frame)
        return true
      })
      return sortedBy(items, keys)
    }
    case 'map':
    case 'transformList': {
      const found: Value[] = []
      each(frame, over, () => {
        if (!kept(frame)) return true
        found.push(body(frame))
        added(frame)
        return true
      })
      return listFrom(found)
    }
    default:
      return asMap(macro, frame, over, parts)
  }
}

function asMap<F extends Slots>(macro: Macro, frame: F, over: Value, { each, body, kept, added }: Parts<F>): Value {
  const made = new EntryMap()
  const put = (key: Value, value: Value): void => {
    if (!made.add(key, value)) throw new CelError(`insert failed: key ${String(key)} already exists`)
  }
  each(frame, over, (key) => {
    if (!kept(frame)) return true
    const value = body(frame)
    added(frame)
    if (macro.name === 'transformMap') put(key, value)
    else if (typeof value === 'object' && value !== null && isMap(value)) for (const one of value.keys()) put(one, value.get(one)!)
    else throw new CelError('no such overload')
    return true
  })
  return made
}

// A value that decides ends the loop, and makes errors before and after it irrelevant.
function decided<F extends Slots>(frame: F, over: Value, { each, body, added }: Parts<F>, deciding: boolean): Value {
  let result = !deciding
  let failed: CelError | undefined
  each(frame, over, () => {
    // It ends where the next round asks whether to go on.
    if (result === deciding) return false
    try {
      if (truth(body(frame)) === deciding) {
        result = deciding
        failed = undefined
      }
    } catch (error) {
      if (!(error instanceof CelError)) throw error
      failed ??= error
    }
    added(frame)
    return true
  })
  if (failed !== undefined) throw failed
  return result
}

function optionalStep<F extends Slots>(name: string, range: (frame: F) => Value, body: (frame: F) => Value, slot: number) {
  return (frame: F): Value => {
    const over = range(frame)
    if (!(over instanceof Optional)) throw new CelError('no such overload')
    if (over.value === undefined) return optionalNone
    frame.slots[slot] = over.value
    const value = body(frame)
    if (name === 'optMap') return new Optional(value)
    if (value instanceof Optional) return value
    throw new CelError('no such overload')
  }
}

function truth(value: Value): boolean {
  if (typeof value === 'boolean') return value
  throw new CelError('no such overload')
}
