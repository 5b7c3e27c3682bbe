// The process that the crash test kills: many writers at once, each acknowledged write told in a line on stdout after the store
// has acknowledged it. Arguments: the store's directory, a seed.
import { writeSync } from 'node:fs'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { openLmdbStore } from './lmdb-store.ts'

const [dir, seed] = process.argv.slice(2)
const random = seededRandom(Number(seed))
const pick = (n: number): number => Math.floor(random() * n)
const store = await openLmdbStore({ dir: dir!, clock: systemClock, historyRevisionsMax: 1000 })
say(`open ${await store.currentRevision()}`)

// Whole lines, each before the next step. The reader may be slower than we are.
function say(line: string): void {
  for (let rest = Buffer.from(`${line}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

async function writeForever(name: number): Promise<void> {
  for (let i = 0; ; i++) {
    const keys = Array.from({ length: pick(6) === 0 ? 3 : 1 }, (_, k) => `/${name}/${pick(20)}/${k}`)
    const text = `${seed}.${name}.${i}.`
    const value = pick(5) === 0 ? undefined : Buffer.alloc(10 + pick(pick(10) === 0 ? 20_000 : 3_000), text)
    const result = await store.writeAll(keys.map((key) => ({ key, value })))
    // Deleting what is not there has no revision of its own to be remembered by.
    if (value === undefined && (keys.length > 1 || result.outcome !== 'committed' || result.previous === undefined)) continue
    say(`ack ${result.revision} ${value === undefined ? '-' : text} ${value?.length ?? 0} ${keys.join(' ')}`)
  }
}

await Promise.all(Array.from({ length: 24 }, (_, name) => writeForever(name)))
