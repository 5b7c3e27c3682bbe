// Sets of completion indexes as a Job's status writes them: `0,2-4,7`. Pure.

/** Ranges, sorted, apart from each other: a Job may have a hundred thousand indexes. */
export type Indexes = readonly (readonly [number, number])[]

/** The indexes of a text, those from `limit` on left out. What is no number is skipped. */
export function parseIndexes(text: string | undefined, limit = Number.POSITIVE_INFINITY): Indexes {
  const ranges: [number, number][] = []
  for (const part of (text ?? '').split(',')) {
    const [first, last = first] = part.split('-').map(Number)
    if (part === '' || first === undefined || last === undefined || Number.isNaN(first) || Number.isNaN(last) || first >= limit) continue
    ranges.push([first, Math.min(last, limit - 1)])
  }
  return merge(ranges)
}

/** Runs of three and more are written as ranges, shorter ones one by one. */
export function formatIndexes(indexes: Indexes): string {
  return indexes
    .map(([first, last]) => (last === first ? `${first}` : last === first + 1 ? `${first},${last}` : `${first}-${last}`))
    .join(',')
}

export function countIndexes(indexes: Indexes): number {
  return indexes.reduce((sum, [first, last]) => sum + last - first + 1, 0)
}

export function hasIndex(indexes: Indexes, index: number): boolean {
  let low = 0
  let high = indexes.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const [first, last] = indexes[middle] as readonly [number, number]
    if (index < first) high = middle - 1
    else if (index > last) low = middle + 1
    else return true
  }
  return false
}

export function withIndexes(indexes: Indexes, more: Iterable<number>): Indexes {
  return merge([...indexes, ...[...more].map((index) => [index, index] as const)])
}

export function commonIndexes(a: Indexes, b: Indexes): Indexes {
  const common: [number, number][] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [firstA, lastA] = a[i] as readonly [number, number]
    const [firstB, lastB] = b[j] as readonly [number, number]
    const first = Math.max(firstA, firstB)
    const last = Math.min(lastA, lastB)
    if (first <= last) common.push([first, last])
    if (lastA < lastB) i++
    else j++
  }
  return common
}

/** The lowest `count` indexes below `limit` that are in none of the sets. */
export function firstMissing(count: number, limit: number, ...sets: readonly Indexes[]): number[] {
  const taken = merge(sets.flat())
  const missing: number[] = []
  let next = 0
  for (const [first, last] of [...taken, [limit, limit] as const]) {
    for (; next < Math.min(first, limit) && missing.length < count; next++) missing.push(next)
    next = Math.max(next, last + 1)
  }
  return missing
}

function merge(ranges: readonly (readonly [number, number])[]): Indexes {
  const merged: [number, number][] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else merged.push([first, last])
  }
  return merged
}
