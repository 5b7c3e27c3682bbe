import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { systemClock } from '#base/clock'
import { describeStore } from '../store.contract.ts'
import { openLmdbStore } from './lmdb-store.ts'

const dirs: string[] = []

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'navarch-store-'))
  dirs.push(dir)
  return dir
}

afterAll(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true }))))

describeStore('lmdb', async () => openLmdbStore({ dir: await freshDir(), clock: systemClock }))
