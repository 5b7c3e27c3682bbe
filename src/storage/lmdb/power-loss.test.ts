// What a power loss leaves is what was flushed, and any part of what was written after it. A commit writes its pages, flushes, and
// then writes the page that makes them count, flushed by itself (docs/decisions/storage-engine.md shows the calls). So between two
// acknowledged commits every mixture of old and new sectors must open as the older state, as long as that last page is the old
// one; the newer state is everything. Files are mixed here from copies taken at acknowledgements.
import { createHash } from 'node:crypto'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { type Random, seededRandom } from '#base/random'
import type { RangeResult, Store } from '../store.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { freshDir } from './store-dir.testing.ts'
import { storeFile } from './tables.ts'

const sectorBytes = 512
// The two pages of which each commit writes one.
const metaBytes = 2 * 4096

interface Moment {
  readonly file: Buffer
  /** Digest of all that is stored. */
  readonly state: string
}

test('MUSTHOLD 21: whatever part of a commit reached the disk, the store opens with what was acknowledged before it', {
  timeout: 120_000,
}, async () => {
  const random = seededRandom(21)
  const dir = await freshDir()
  const store = await openLmdbStore({ dir, clock, historyRevisionsMax: 60 })
  const moments: Moment[] = []
  for (let i = 0; i < 60; i++) {
    await writeSome(store, random, i)
    // The history's sweep is done as well, so that nothing writes while the copy is taken.
    await store.compact(await store.oldestRevision())
    const copy = join(dir, 'copy')
    await copyFile(await storeFile(dir), copy)
    moments.push({ file: await readFile(copy), state: digest(await store.range('')) })
  }
  await store.close()
  for (let i = 40; i < moments.length - 1; i++) {
    const [older, newer] = [moments[i]!, moments[i + 1]!]
    for (const share of [0, 0.2, 0.8, 1]) {
      const torn = mix(older.file, newer.file, () => random() < share)
      expect(await stateOf(torn)).toBe(older.state)
    }
    expect(await stateOf(newer.file)).toBe(newer.state)
  }
})

async function writeSome(store: Store, random: Random, round: number): Promise<void> {
  const pick = (n: number): number => Math.floor(random() * n)
  const writes = Array.from({ length: 1 + pick(30) }, () => {
    const value = pick(4) === 0 ? undefined : Buffer.alloc(pick(pick(8) === 0 ? 12_000 : 3_000), `${round} `)
    return store.write({ key: `/k/${pick(120)}`, value })
  })
  await Promise.all(writes)
}

// The older file with some sectors of the newer one, its meta pages excepted.
function mix(older: Buffer, newer: Buffer, takesNewer: () => boolean): Buffer {
  const mixed = Buffer.from(newer)
  older.copy(mixed, 0, 0, metaBytes)
  for (let at = metaBytes; at < older.length; at += sectorBytes) {
    if (!takesNewer()) older.copy(mixed, at, at, at + sectorBytes)
  }
  // What the file grew by is there, or zeros.
  if (!takesNewer()) mixed.fill(0, older.length)
  return mixed
}

async function stateOf(file: Buffer): Promise<string> {
  const dir = await freshDir()
  await writeFile(await storeFile(dir), file)
  const store = await openLmdbStore({ dir, clock })
  try {
    return digest(await store.range(''))
  } finally {
    await store.close()
  }
}

function digest({ items, revision }: RangeResult): string {
  const hash = createHash('sha256').update(String(revision))
  for (const { key, value, createRevision, modRevision, version } of items) {
    hash.update(`\n${key} ${createRevision} ${modRevision} ${version} ${value.length} `).update(value)
  }
  return hash.digest('hex')
}
