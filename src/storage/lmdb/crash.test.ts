import { expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import type { Store } from '../store.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { freshDir, startWriter } from './store-dir.testing.ts'

interface Acknowledged {
  readonly revision: number
  readonly value: Buffer | undefined
}

test('MUSTHOLD 21: a process killed at any moment loses no acknowledged write, and revisions never go back', {
  timeout: 240_000,
}, async () => {
  const dir = await freshDir()
  const random = seededRandom(7)
  const newest = new Map<string, Acknowledged>()
  let revision = 1
  for (let life = 0; life < 8; life++) {
    const child = startWriter(dir, life)
    // From the very first write to well into compaction.
    await child.wrote(1 + Math.floor(random() * (life % 3 === 0 ? 20 : 3_000)))
    child.process.kill('SIGKILL')
    await child.ended
    expect(openedAt(child.lines)).toBeGreaterThanOrEqual(revision)
    const acknowledged = child.lines.slice(1).map(parse)
    for (const { keys, ...write } of acknowledged) {
      for (const key of keys) if ((newest.get(key)?.revision ?? 0) < write.revision) newest.set(key, write)
    }
    const store = await openLmdbStore({ dir, clock: systemClock, historyRevisionsMax: 1000 })
    const now = await store.currentRevision()
    expect(now).toBeGreaterThanOrEqual(Math.max(revision, ...acknowledged.map((write) => write.revision)))
    revision = now
    expect(await lost(store, newest)).toEqual([])
    expect(await wrongInThePast(store, acknowledged)).toEqual([])
    await store.close()
  }
  expect(newest.size).toBeGreaterThan(100)
})

function openedAt(lines: readonly string[]): number {
  return Number(lines[0]?.split(' ')[1] ?? Number.NaN)
}

function parse(line: string): Acknowledged & { keys: string[] } {
  const [word, revision, text, length, ...keys] = line.split(' ')
  expect(word).toBe('ack')
  return { revision: Number(revision), value: text === '-' ? undefined : Buffer.alloc(Number(length), text), keys }
}

// What was acknowledged last for a key is there, or something newer that was not acknowledged any more.
async function lost(store: Store, newest: ReadonlyMap<string, Acknowledged>): Promise<string[]> {
  const flaws: string[] = []
  for (const [key, { revision, value }] of newest) {
    const now = await store.get(key)
    if (now !== undefined && now.modRevision > revision) continue
    if (now === undefined && value !== undefined && (await deletedLater(store, key, revision))) continue
    if (!same(now?.value, value)) flaws.push(`${key} of revision ${revision}`)
  }
  return flaws
}

async function deletedLater(store: Store, key: string, revision: number): Promise<boolean> {
  if (revision < (await store.oldestRevision())) return true
  const then = await store.get(key, { revision })
  return then?.modRevision === revision
}

async function wrongInThePast(store: Store, acknowledged: readonly (Acknowledged & { keys: string[] })[]): Promise<string[]> {
  const flaws: string[] = []
  const oldest = await store.oldestRevision()
  for (const { revision, value, keys } of acknowledged) {
    if (revision < oldest) continue
    for (const key of keys) {
      if (!same((await store.get(key, { revision }))?.value, value)) flaws.push(`${key} at revision ${revision}`)
    }
  }
  return flaws
}

function same(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
