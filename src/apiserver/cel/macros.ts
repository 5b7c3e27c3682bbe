// Macros: loops over lists and maps, and what is done with optional values. Each round is paid for.
import { sortedBy } from './functions/lists.ts'
import type { Macro } from './syntax.ts'
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

// What a round costs beside what its body does.
const roundCost = 2

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

  const each = (frame: F, over: Value, round: Round): void => {
    const run = (key: Value, value: Value): boolean => {
      loop.spend(frame, roundCost)
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
  return (frame) => finish(macro, frame, range(frame), { each, body, kept })
}

interface Parts<F> {
  readonly each: (frame: F, over: Value, round: Round) => void
  readonly body: (frame: F) => Value
  readonly kept: (frame: F) => boolean
}

function finish<F extends Slots>(macro: Macro, frame: F, over: Value, { each, body, kept }: Parts<F>): Value {
  switch (macro.name) {
    case 'all':
      return decided(frame, over, each, body, false)
    case 'exists':
      return decided(frame, over, each, body, true)
    case 'exists_one': {
      let count = 0
      each(frame, over, () => {
        if (truth(body(frame))) count++
        return true
      })
      return count === 1
    }
    case 'filter': {
      const found: Value[] = []
      each(frame, over, (_, value) => {
        if (truth(body(frame))) found.push(value)
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
        return true
      })
      return sortedBy(items, keys)
    }
    case 'map':
    case 'transformList': {
      const found: Value[] = []
      each(frame, over, () => {
        if (kept(frame)) found.push(body(frame))
        return true
      })
      return listFrom(found)
    }
    default:
      return asMap(macro, frame, over, { each, body, kept })
  }
}

function asMap<F extends Slots>(macro: Macro, frame: F, over: Value, { each, body, kept }: Parts<F>): Value {
  const made = new EntryMap()
  const put = (key: Value, value: Value): void => {
    if (!made.add(key, value)) throw new CelError(`insert failed: key ${String(key)} already exists`)
  }
  each(frame, over, (key) => {
    if (!kept(frame)) return true
    const value = body(frame)
    if (macro.name === 'transformMap') put(key, value)
    else if (typeof value === 'object' && value !== null && isMap(value)) for (const one of value.keys()) put(one, value.get(one)!)
    else throw new CelError('no such overload')
    return true
  })
  return made
}

// A value that decides ends the loop, and makes errors before and after it irrelevant.
function decided<F extends Slots>(frame: F, over: Value, each: Parts<F>['each'], body: (frame: F) => Value, deciding: boolean): Value {
  let result = !deciding
  let failed: CelError | undefined
  each(frame, over, () => {
    try {
      if (truth(body(frame)) !== deciding) return true
      result = deciding
      failed = undefined
      return false
    } catch (error) {
      if (!(error instanceof CelError)) throw error
      failed ??= error
      return true
    }
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
