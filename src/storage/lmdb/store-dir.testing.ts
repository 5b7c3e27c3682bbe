// Directories for tests, and a child process that uses a store in one.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { systemClock } from '#base/clock'
import type { Store } from '../store.ts'
import { type LmdbStoreOptions, openLmdbStore } from './lmdb-store.ts'

/** A directory that goes away with the test. `inMemory`: where flushing costs nothing, if there is such a place. */
export async function freshDir({ inMemory = false } = {}): Promise<string> {
  const parent = inMemory && existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const dir = await mkdtemp(join(parent, 'navarch-store-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A store that is closed with the test; in a fresh directory unless told. */
export async function openForTest(options: Partial<LmdbStoreOptions> = {}): Promise<Store> {
  const dir = options.dir ?? (await freshDir())
  const store = await openLmdbStore({ clock: systemClock, ...options, dir })
  onTestFinished(() => store.close())
  return store
}

export interface Child {
  readonly process: ChildProcess
  /** Complete lines it has written. */
  readonly lines: string[]
  /** Resolves when it has written this many lines, or has ended. */
  wrote(lines: number): Promise<void>
  readonly ended: Promise<void>
}

/** A process of its own that writes to the store in `dir`; see crash-writer.testing.ts. */
export function startWriter(dir: string, seed: number): Child {
  const script = fileURLToPath(new URL('./crash-writer.testing.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, dir, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting: { lines: number; resolve: () => void }[] = []
  let rest = ''
  let over = false
  const settle = (): void => {
    for (const { lines: wanted, resolve } of waiting) if (over || lines.length >= wanted) resolve()
  }
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop()!
    lines.push(...parts)
    settle()
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      over = true
      settle()
      resolve()
    })
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const wrote = (wanted: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ lines: wanted, resolve })
      settle()
    })
  return { process: child, lines, wrote, ended }
}
