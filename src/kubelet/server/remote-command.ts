// Joins a client's streams to a process in a container: exec and attach, whatever protocol carries them.
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ProcessStreams } from '../runtimes/runtime.ts'
import { exited, failed, type RemoteStatus, success } from './remote-status.ts'

/** The client's side. Streams that were not asked for are absent. */
export interface RemoteStreams {
  /** Ends when the client closes its side. */
  readonly stdin?: Readable
  readonly stdout?: Writable
  readonly stderr?: Writable
  onResize(handler: (columns: number, rows: number) => void): void
  /** Sends the status; then nothing more comes. */
  finish(status: RemoteStatus): Promise<void>
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
}

/** Runs until the process or its client is gone. `open` starts the process, or joins it. Never rejects: failures go to the client. */
export async function serveRemoteCommand(remote: RemoteStreams, open: () => Promise<ProcessStreams>, doing: string): Promise<void> {
  let process: ProcessStreams
  try {
    process = await open()
  } catch (error) {
    return await remote.finish(failed(doing, error))
  }
  const leave = (): void => process.close()
  remote.signal.addEventListener('abort', leave, { once: true })
  if (remote.signal.aborted) leave()
  try {
    remote.onResize(oneAtATime((columns, rows) => process.resize(columns, rows)))
    const output = joinStreams(remote, process)
    const exitCode = await process.exit
    await output
    await remote.finish(exitCode === undefined ? success : exited(exitCode))
  } catch (error) {
    if (!remote.signal.aborted) await remote.finish(failed(doing, error))
  } finally {
    remote.signal.removeEventListener('abort', leave)
    process.close()
  }
}

/**
 * Terminal sizes in the order in which they came: two requests to an engine at once could overtake each other, and the older
 * size would stay. While one is under way only the newest of those that wait counts.
 */
function oneAtATime(resize: (columns: number, rows: number) => Promise<void>): (columns: number, rows: number) => void {
  let waiting: readonly [number, number] | undefined
  let busy = false
  const work = async (): Promise<void> => {
    busy = true
    while (waiting !== undefined) {
      const [columns, rows] = waiting
      waiting = undefined
      // A process that has just ended has no size.
      await resize(columns, rows).catch(() => undefined)
    }
    busy = false
  }
  return (columns, rows) => {
    waiting = [columns, rows]
    if (!busy) void work()
  }
}

/** Resolves when all output has been passed on. */
async function joinStreams({ stdin, stdout, stderr }: RemoteStreams, process: ProcessStreams): Promise<void> {
  if (stdin !== undefined) {
    // A process that does not read to the end is no error.
    pipeline(stdin, process.io, { end: true }).catch(() => undefined)
  } else process.io.end()
  const outputs: Promise<void>[] = []
  if (stdout !== undefined) outputs.push(copy(process.io, stdout))
  else process.io.resume()
  if (process.stderr !== undefined) {
    if (stderr !== undefined) outputs.push(copy(process.stderr, stderr))
    else process.stderr.resume()
  }
  await Promise.all(outputs)
}

async function copy(from: NodeJS.ReadableStream, to: Writable): Promise<void> {
  for await (const chunk of from) {
    if (to.destroyed) return
    if (!to.write(chunk))
      await new Promise<void>((resolve) => {
        const done = (): void => {
          to.off('drain', done)
          to.off('close', done)
          resolve()
        }
        to.once('drain', done)
        to.once('close', done)
      })
  }
}
