// Copies one container's output from Docker into a log file in the CRI's format, for as long as the container lives. Docker keeps
// its own file meanwhile, so nothing is lost while the agent is away, and the copy goes on where it stopped.
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import { deferred } from '../deferred.ts'
import { RuntimeError } from '../runtime.ts'
import type { DockerClient } from './client.ts'
import { framedLogLines, terminalLogLines, timeOfLine } from './log-lines.ts'
import { disorderMs, findPosition, type LogPosition, resumeAfter, shiftTime, writeCheckpoint } from './log-resume.ts'

export interface LogPumpOptions {
  readonly client: DockerClient
  readonly containerId: string
  readonly path: string
  /** Where the position is kept when the file is replaced. */
  readonly checkpointPath: string
  readonly tty: boolean
  readonly clock: Clock
  readonly log: Logger
}

export interface LogPump {
  /** Resolves when it is known where the file stands; before that it must not be renamed. */
  readonly ready: Promise<void>
  /** Resolves when the container has ended and all its output is in the file, or `stop` was called. */
  readonly done: Promise<void>
  /** Goes on in a new file at the same path, the old one having been renamed. */
  reopen(): Promise<void>
  /** Lets go; another pump goes on where this one stopped. */
  stop(): Promise<void>
}

const retryMs = 1_000

/** Starts copying. */
export function startLogPump(options: LogPumpOptions): LogPump {
  const stopping = new AbortController()
  const file = openLogFile(options)
  const done = deferred<void>()
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        // Once more without following when it ended: what the engine wrote while the first reading closed is read then.
        await copy(options, file, true, stopping.signal)
        if (!(await isRunning(options)) && (await copy(options, file, false, stopping.signal)) !== 'again') break
      } catch (error) {
        if (stopping.signal.aborted) break
        if (error instanceof RuntimeError && error.code === 'notFound') break
        options.log.debug('copying a container log is tried again', { container: options.containerId, error })
        await options.clock.sleep(retryMs, stopping.signal).catch(() => undefined)
      }
    }
  }
  run()
    .catch((error: unknown) => options.log.error('copying a container log failed', { container: options.containerId, error }))
    .finally(async () => {
      await file.close()
      done.resolve()
    })
  return {
    ready: file.position().then(
      () => undefined,
      () => undefined,
    ),
    done: done.promise,
    reopen: () => file.reopen(),
    async stop() {
      stopping.abort()
      await done.promise
    },
  }
}

async function isRunning({ client, containerId }: LogPumpOptions): Promise<boolean> {
  const { State } = await client.call<{ State: { Running: boolean } }>('GET', `/containers/${containerId}/json`)
  return State.Running
}

/** Copies until the engine ends its answer. `again`: the position was gone, and the next reading begins after its time. */
async function copy(options: LogPumpOptions, file: LogFile, follow: boolean, signal: AbortSignal): Promise<'ended' | 'again'> {
  const { client, containerId, tty } = options
  const position = await file.position()
  const resumer = resumeAfter(
    file.skipsSearch ? undefined : position,
    timeOfLine,
    position === undefined ? '' : shiftTime(position.line, 2 * disorderMs),
  )
  const after = file.skipsSearch && position !== undefined ? timeOfLine(position.line) : undefined
  const response = await client.stream('GET', `/containers/${containerId}/logs`, {
    query: { follow, stdout: true, stderr: true, timestamps: true, since: position === undefined ? undefined : sinceOf(position) },
    signal,
    timeoutMs: Number.POSITIVE_INFINITY,
  })
  const lines = tty ? terminalLogLines() : framedLogLines()
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      let fresh = resumer.fresh(lines.push(chunk))
      if (after !== undefined) fresh = fresh.filter((line) => timeOfLine(line) > after)
      if (resumer.lost) break
      if (fresh.length === 0) continue
      await file.append(fresh)
      file.skipsSearch = false
    }
  } finally {
    response.destroy()
  }
  if (signal.aborted) return 'ended'
  if (resumer.lost || (!follow && !resumer.found)) {
    file.skipsSearch = true
    return 'again'
  }
  return 'ended'
}

function sinceOf(position: LogPosition): string {
  const ms = Date.parse(timeOfLine(position.line)) - disorderMs
  return `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000) * 1_000_000).padStart(9, '0')}`
}

interface LogFile {
  /** The engine no longer has the line at our position; only times decide from here on. */
  skipsSearch: boolean
  position(): Promise<LogPosition | undefined>
  append(lines: Buffer[]): Promise<void>
  reopen(): Promise<void>
  close(): Promise<void>
}

/** The file. One operation at a time, in the order they were asked for; none after the end. */
function openLogFile({ path, checkpointPath }: LogPumpOptions): LogFile {
  let handle: FileHandle | undefined
  let closed = false
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const next = last.then(act, act)
    last = next.catch(() => undefined)
    return next
  }
  const opened = async (): Promise<FileHandle> => {
    if (closed) throw new Error('the log file is closed')
    if (handle === undefined) {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 })
      handle = await open(path, 'a+', 0o640)
    }
    return handle
  }
  return {
    skipsSearch: false,
    position: () => inTurn(async () => findPosition(await opened(), checkpointPath)),
    append: (lines) =>
      inTurn(async () => {
        const file = await opened()
        const bytes = Buffer.concat(lines)
        for (let written = 0; written < bytes.length; ) written += (await file.write(bytes, written)).bytesWritten
      }),
    reopen: () =>
      inTurn(async () => {
        if (closed) return
        const old = await opened()
        const position = await findPosition(old, checkpointPath)
        if (position !== undefined) await writeCheckpoint(checkpointPath, position)
        handle = undefined
        await old.close()
        await opened()
      }),
    close: () =>
      inTurn(async () => {
        closed = true
        await handle?.close()
        handle = undefined
      }),
  }
}
