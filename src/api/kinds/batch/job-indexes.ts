// Indexes of an Indexed Job as text: `1,3-5,7`, growing, each below the number of completions.
import { goQuote } from '../../validation/text.ts'

type Interval = readonly [first: number, last: number]

/** How many indexes the text names, or why it cannot be read. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0
  let total = 0
  let previous: number | undefined
  for (const part of text.split(',')) {
    const interval = parseInterval(part, completions)
    if (typeof interval === 'string') return interval
    const [first, last] = interval
    if (previous !== undefined && previous >= first) return `non-increasing order, previous: ${previous}, current: ${first}`
    total += last - first + 1
    previous = last
  }
  return total
}

function parseInterval(text: string, completions: number): Interval | string {
  const limits = text.split('-')
  if (limits.length > 2) {
    return `the fragment ${goQuote(text)} violates the requirement that an index interval can have at most two parts separated by '-'`
  }
  const numbers: number[] = []
  for (const limit of limits) {
    if (!/^\+?\d{1,18}$/.test(limit)) return `cannot convert string to integer for index: ${goQuote(limit)}`
    if (Number(limit) >= completions) return `too large index: ${goQuote(limit)}`
    numbers.push(Number(limit))
  }
  const [first = 0, last = first] = numbers
  if (numbers.length > 1 && first >= last) return `non-increasing order, previous: ${first}, current: ${last}`
  return [first, last]
}

/** The first index that both texts name, as far as they can be read. */
export function overlap(a: string, b: string, completions: number): number | undefined {
  const [left, right] = [a, b].map((text) =>
    (text === '' ? [] : text.split(',')).map((part) => parseInterval(part, completions)).filter((part) => typeof part !== 'string'),
  )
  let [i, j] = [0, 0]
  while (i < left!.length && j < right!.length) {
    const [[first, last], [otherFirst, otherLast]] = [left![i]!, right![j]!]
    if (first <= otherLast && otherFirst <= last) return Math.max(first, otherFirst)
    if (first <= otherFirst) i++
    else j++
  }
  return undefined
}
