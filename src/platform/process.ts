// Processes: ours (title, identity, orderly end) and those we start. Linux; what /proc says is believed.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Names this process `navarch-<role>` for `ps`. */
export function setTitle(role: string): void {
  process.title = `navarch-${role}`
}

/** A process that cannot be mistaken for another one that got its number later. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks after boot at which it began (field 22 of /proc/PID/stat). */
  readonly startTicks: number
}

/** Who has this number now, or undefined when nobody (or only a zombie) has. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The command, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const startTicks = Number(fields[19])
  if (fields[0] === 'Z' || fields[0] === 'X' || !Number.isFinite(startTicks)) return undefined
  return { pid, startTicks }
}

/** Whether that very process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.startTicks === identity.startTicks
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch {
    return false
  }
}

/** Resident bytes of a process, for status and metrics; undefined when it is gone. */
export function residentBytes(pid: number): number | undefined {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
    return Number.isFinite(pages) ? pages * 4096 : undefined
  } catch {
    return undefined
  }
}

export interface CommandResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly input?: string | Uint8Array
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly signal?: AbortSignal
  /** Output beyond this is cut off; default 8 MiB for each stream. */
  readonly outputBytesMax?: number
}

/** Runs a program to its end. Rejects only when it cannot be started or the signal aborts; the exit code is the caller's matter. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: options.env, cwd: options.cwd, signal: options.signal, stdio: ['pipe', 'pipe', 'pipe'] })
    const limit = options.outputBytesMax ?? 8_388_608
    const stdout = collect(child.stdout, limit)
    const stderr = collect(child.stderr, limit)
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout: stdout(), stderr: stderr() }))
    // A program that does not read its input is not an error of ours.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
  })
}

function collect(stream: NodeJS.ReadableStream, limit: number): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    if (bytes >= limit) return
    chunks.push(bytes + chunk.length > limit ? chunk.subarray(0, limit - bytes) : chunk)
    bytes += chunk.length
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

/** `runCommand` that throws, with the command's own words, unless it exits with 0. Resolves with its standard output. */
export async function runChecked(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await runCommand(command, args, options)
  if (code === 0) return stdout
  throw new Error(`${command} ${args[0] ?? ''} failed (${signal ?? `exit code ${code}`}): ${stderr.trim().slice(0, 2000)}`)
}

/** Starts a process that outlives this one, with its own session; output goes to `logFd`. */
export function spawnDetached(
  command: string,
  args: readonly string[],
  options: { logFd: number; env?: NodeJS.ProcessEnv; cwd?: string },
): ChildProcess {
  const settings: SpawnOptions = { detached: true, stdio: ['ignore', options.logFd, options.logFd], env: options.env, cwd: options.cwd }
  const child = spawn(command, args, settings)
  child.unref()
  return child
}

/**
 * Aborts when the process is asked to end (SIGTERM, SIGINT). A second request ends it at once: the first one had its chance.
 */
export function terminationSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(1)
    controller.abort(new Error(`received ${name}`))
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return controller.signal
}
