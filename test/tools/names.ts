// How everything that a test makes outside its own process is called, so that what a killed run left can be found and removed.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { systemClock } from '#base/clock'
import { isRunning, type ProcessIdentity, processIdentity } from '#platform/process'

/** Names of clusters, directories, links, tables and network namespaces of tests begin with this. */
export const testPrefix = 'nvt-'

let made = 0

/**
 * A new empty directory for a test, such as /tmp/nvt-docker-5k2-2m9q-1. Its name says whose it is, the process by pid and start: once that
 * one is gone, the directory is a leftover.
 */
export function makeTestDir(purpose: string): string {
  const { pid, startTicks } = processIdentity(process.pid)!
  made += 1
  const dir = join(tmpdir(), `${testPrefix}${purpose}-${pid.toString(36)}-${startTicks.toString(36)}-${made}`)
  mkdirSync(dir)
  return dir
}

/** Test directories, and whether the process that made each still runs. */
export function listTestDirs(): { readonly dir: string; readonly inUse: boolean }[] {
  return readdirSync(tmpdir())
    .filter((name) => name.startsWith(testPrefix) && statSync(join(tmpdir(), name), { throwIfNoEntry: false })?.isDirectory())
    .map((name) => ({ dir: join(tmpdir(), name), inUse: ownerRuns(join(tmpdir(), name)) }))
}

function ownerRuns(dir: string): boolean {
  const owner = /-([0-9a-z]+)-([0-9a-z]+)-[0-9]+$/.exec(dir)
  if (owner !== null) return isRunning({ pid: Number.parseInt(owner[1]!, 36), startTicks: Number.parseInt(owner[2]!, 36) })
  // Made by hand: in use while somebody changed something at its top within the hour.
  const changed = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return systemClock.now() - changed < 3_600_000
}

/**
 * A number below `count` that no other running test on this machine has, for addresses and ports; `release` gives it back. Numbers of
 * processes that ended are taken over.
 */
export function takeSlot(count: number): { readonly slot: number; release(): void } {
  const { pid, startTicks } = processIdentity(process.pid)!
  for (let tried = 0; tried < count; tried++) {
    const slot = (pid + tried) % count
    const path = join(tmpdir(), `${testPrefix}slot-${slot}`)
    const holder = readOwner(path)
    if (holder !== undefined && !isRunning(holder)) rmSync(path, { force: true })
    try {
      writeFileSync(path, `${pid} ${startTicks}`, { flag: 'wx' })
      return { slot, release: () => rmSync(path, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`more than ${count} test clusters at once`)
}

function readOwner(path: string): ProcessIdentity | undefined {
  try {
    const [pid, startTicks] = readFileSync(path, 'utf8').split(' ').map(Number)
    return { pid: pid!, startTicks: startTicks! }
  } catch {
    return undefined
  }
}

/** Stops a test that would let an engine work, and later delete, outside a test directory. */
export function checkTestDir(dir: string): void {
  const inside = dir.split('/').some((part) => part.startsWith(testPrefix))
  assert.ok(inside, `${basename(dir)} is not a test directory: a part of its path has to begin with ${testPrefix}`)
}
