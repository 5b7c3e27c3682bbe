// Processes that outlive the one that started them, found again by a pid file. A process is known by its pid, the moment it started and
// the boot it belongs to, and never by its name.
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock'
import { isRunning, type ProcessIdentity, processIdentity, signalProcess } from './process.ts'

/** The id that the kernel gave this boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** The process that a pid file names, if it still runs. */
export function runningProcess(pidFile: string): ProcessIdentity | undefined {
  try {
    const [pid, startTicks, boot] = readFileSync(pidFile, 'utf8').trim().split(' ')
    const identity = { pid: Number(pid), startTicks: Number(startTicks) }
    return boot === bootId() && isRunning(identity) ? identity : undefined
  } catch {
    return undefined
  }
}

/** Writes the pid file of a process that runs (default: this one), so that `runningProcess` finds it. */
export function writePidFile(pidFile: string, pid = process.pid): ProcessIdentity {
  const identity = processIdentity(pid) ?? { pid, startTicks: 0 }
  const partial = `${pidFile}.new`
  writeFileSync(partial, `${identity.pid} ${identity.startTicks} ${bootId()}\n`)
  renameSync(partial, pidFile)
  return identity
}

/** What to start. The program's output goes to `logFile`, which is put aside as `.1` once it is larger than `logBytesMax` (16 MiB). */
export interface DaemonSpec {
  readonly program: string
  readonly args: readonly string[]
  /** What process lists show instead of the program's path. */
  readonly title: string
  readonly pidFile: string
  readonly logFile: string
  readonly logBytesMax?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/**
 * Starts a process in a session of its own, so that it goes on when this one ends, and writes its pid file. Rejects when the program
 * cannot be started; whether it then works is for the caller to find out.
 */
export async function startDaemon(spec: DaemonSpec): Promise<ProcessIdentity> {
  mkdirSync(dirname(spec.logFile), { recursive: true })
  mkdirSync(dirname(spec.pidFile), { recursive: true })
  putLargeLogAside(spec.logFile, spec.logBytesMax ?? 16 << 20)
  const log = openSync(spec.logFile, 'a', 0o600)
  try {
    const child = spawn(spec.program, spec.args, {
      argv0: spec.title,
      cwd: spec.cwd ?? '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...spec.env },
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error) => reject(new Error(`cannot start ${spec.program}: ${error.message}`, { cause: error })))
    })
    child.unref()
    return writePidFile(spec.pidFile, child.pid!)
  } finally {
    closeSync(log)
  }
}

/** Ends that very process: SIGTERM, then SIGKILL after `graceMs`. Resolves once it is gone; fine if it already was. */
export async function stopProcess(identity: ProcessIdentity, options: { clock: Clock; graceMs: number }): Promise<void> {
  const { clock, graceMs } = options
  const killAt = clock.monotonic() + graceMs
  const giveUpAt = killAt + 30_000
  signalProcess(identity, 'SIGTERM')
  let killed = false
  for (let pauseMs = 2; isRunning(identity); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (!killed && clock.monotonic() >= killAt) {
      signalProcess(identity, 'SIGKILL')
      killed = true
    }
    if (clock.monotonic() > giveUpAt) throw new Error(`process ${identity.pid} does not end`)
    await clock.sleep(pauseMs)
  }
}

function putLargeLogAside(path: string, bytesMax: number): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size <= bytesMax) return
  rmSync(`${path}.1`, { force: true })
  renameSync(path, `${path}.1`)
}
