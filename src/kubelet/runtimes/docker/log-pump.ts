// Copies one container's output from Docker's files into a log file in the CRI's format, for as long as the container lives. Docker
// keeps its own meanwhile, so nothing is lost while the agent is away, and the copy goes on where it stopped.
import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock, Timer } from '#base/clock'
import type { Logger } from '#platform/log'
import { deferred } from '../deferred.ts'
import { openJsonLog } from './json-log.ts'
import {
  disorderMs,
  findPosition,
  type LogPosition,
  type Resumer,
  resumeAfter,
  resumeLater,
  shiftTime,
  writeCheckpoint,
} from './log-resume.ts'

export interface LogPumpOptions {
  /** Docker's newest file for the container. */
  readonly source: string
  readonly path: string
  /** Where the position is kept when the file is replaced. */
  readonly checkpointPath: string
  readonly clock: Clock
  readonly log: Logger
}

export interface LogPump {
  /** Resolves when it is known where the file stands; before that it must not be renamed. */
  readonly ready: Promise<void>
  /** The container has exited and Docker has written its last line: resolves when that is in the file. */
  finish(): Promise<void>
  /** Goes on in a new file at the same path, the old one having been renamed. */
  reopen(): Promise<void>
  /** Lets go; another pump goes on where this one stopped. */
  stop(): Promise<void>
}

// Without a watch (the kernel has a limit of them), and after errors such as a full disk.
const pollMs = 1_000

/** Starts copying. */
export function startLogPump(options: LogPumpOptions): LogPump {
  const { source, clock, log } = options
  const stopping = new AbortController()
  const file = openLogFile(options)
  const wake = openWake(dirname(source), clock)
  const done = deferred<void>()
  let finishing = false

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const position = await file.position()
        const since = position === undefined ? undefined : shiftTime(position.line, -disorderMs)
        if ((await copy(resumeAfter(position), since)) === 'done') return
        // Docker has thrown that line away already.
        if (position !== undefined && (await copy(resumeLater(position), since)) === 'done') return
      } catch (error) {
        log.warn('copying a container log is tried again', { path: options.path, error })
        await clock.sleep(pollMs, stopping.signal).catch(() => undefined)
      }
    }
  }

  /** `lost`: everything was read and the position was not in it. */
  const copy = async (resumer: Resumer, since: string | undefined): Promise<'done' | 'lost'> => {
    const reader = openJsonLog(source, since)
    try {
      while (!stopping.signal.aborted) {
        // Taken before reading: what is written during it wakes us again.
        const woken = wake.next()
        const last = finishing
        const lines = await reader.next()
        if (lines !== undefined) {
          const fresh = resumer.fresh(lines)
          if (fresh.length > 0) await file.append(fresh)
        } else if (!resumer.found) return 'lost'
        else if (last) return 'done'
        else await woken
      }
      return 'done'
    } finally {
      await reader.close()
    }
  }

  run()
    .catch((error: unknown) => log.error('copying a container log failed', { path: options.path, error }))
    .finally(async () => {
      wake.close()
      await file.close()
      done.resolve()
    })
  return {
    ready: file.position().then(
      () => undefined,
      () => undefined,
    ),
    async finish() {
      finishing = true
      wake.now()
      await done.promise
    },
    reopen: () => file.reopen(),
    async stop() {
      stopping.abort()
      wake.now()
      await done.promise
    },
  }
}

interface Wake {
  /** Resolves at the next change after this call. */
  next(): Promise<void>
  now(): void
  close(): void
}

/** Wakes when something in the directory changes. */
function openWake(dir: string, clock: Clock): Wake {
  let waiting = deferred<void>()
  let timer: Timer | undefined
  const now = (): void => {
    waiting.resolve()
    waiting = deferred<void>()
  }
  const poll = (): void => {
    timer = clock.after(
      pollMs,
      () => {
        now()
        poll()
      },
      { background: true },
    )
  }
  let watcher: FSWatcher | undefined
  try {
    watcher = watch(dir, { persistent: false }, now)
    watcher.on('error', () => {
      watcher?.close()
      poll()
    })
  } catch {
    poll()
  }
  return {
    next: () => waiting.promise,
    now,
    close() {
      watcher?.close()
      timer?.cancel()
    },
  }
}

interface LogFile {
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
        await writeCheckpoint(checkpointPath, old)
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
