// Exec and attach in the Docker engine.
import { readFile } from 'node:fs/promises'
import type { Clock } from '#base/clock'
import { type ExecOptions, type ProcessStreams, RuntimeError } from '../runtime.ts'
import { type DockerClient, DockerError } from './client.ts'
import type { Inspected } from './convert.ts'
import { openRawStreams } from './raw-streams.ts'

interface ExecState {
  readonly Running: boolean
  readonly ExitCode: number | null
  readonly Pid: number
}

// Docker watches terminals for a key sequence that detaches, ctrl-p ctrl-q by default, and keeps back what could be its beginning.
// One that nobody types leaves ctrl-p alone.
const detachKeys = 'ctrl-^,ctrl-_,ctrl-^,ctrl-_'
// What Docker writes to stdout in place of output when the command could not be started.
const startFailure = /^OCI runtime exec failed|^(?:exec: )?cannot exec in a stopped/
const exitCodesOfFailure = new Set([126, 127])

/** Runs a command in a running container. */
export async function dockerExec(
  client: DockerClient,
  containerId: string,
  options: ExecOptions,
  clock: Clock,
): Promise<ProcessStreams & { readonly execId: string }> {
  const execId = await createExec(client, containerId, options)
  const socket = await client.hijack(`/exec/${execId}/start`, { body: { Detach: false, Tty: options.tty } })
  const streams = openRawStreams(socket, { ...options, hold: (first) => startFailure.test(first.toString('latin1')) })
  const exit = async (): Promise<number | undefined> => {
    await streams.ended
    const code = await exitCodeOf(client, execId, clock)
    const held = streams.whenHeld()
    if (held !== undefined && exitCodesOfFailure.has(code)) {
      streams.close()
      throw new RuntimeError('startFailed', held.held.toString().trim())
    }
    held?.release()
    return code
  }
  const ended = exit()
  ended.catch(() => undefined)
  return {
    execId,
    io: streams.io,
    ...(streams.stderr === undefined ? {} : { stderr: streams.stderr }),
    exit: ended,
    async resize(columns, rows) {
      await client.call('POST', `/exec/${execId}/resize`, { query: { w: columns, h: rows } })
    },
    close: streams.close,
  }
}

/** Looks at (and talks to) a running container's own process. */
export async function dockerAttach(
  client: DockerClient,
  inspected: Inspected,
  options: Omit<ExecOptions, 'command'>,
): Promise<ProcessStreams> {
  if (!inspected.State.Running) throw new RuntimeError('notRunning', `container "${inspected.Id}" is not running`)
  const { stdin, stdout, stderr } = options
  const socket = await client.hijack(`/containers/${inspected.Id}/attach`, { query: { stream: true, stdin, stdout, stderr, detachKeys } })
  const streams = openRawStreams(socket, { ...options, tty: inspected.Config.Tty })
  return {
    io: streams.io,
    ...(streams.stderr === undefined ? {} : { stderr: streams.stderr }),
    exit: streams.ended.then(() => undefined),
    async resize(columns, rows) {
      await client.call('POST', `/containers/${inspected.Id}/resize`, { query: { w: columns, h: rows } })
    },
    close: streams.close,
  }
}

/** Runs a command to its end, keeping at most `bytesMax` of each stream. */
export async function dockerExecSync(
  client: DockerClient,
  containerId: string,
  command: readonly string[],
  limits: { timeoutMs: number; bytesMax: number; clock: Clock },
): Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }> {
  const streams = await dockerExec(client, containerId, { command, stdin: false, stdout: true, stderr: true, tty: false }, limits.clock)
  const stdout = collect(streams.io, limits.bytesMax)
  const stderr = collect(streams.stderr, limits.bytesMax)
  let timer: { cancel(): void } | undefined
  const late = new Promise<never>((_, reject) => {
    if (limits.timeoutMs <= 0 || limits.timeoutMs === Number.POSITIVE_INFINITY) return
    timer = limits.clock.after(limits.timeoutMs, () => reject(new RuntimeError('timeout', `command "${command.join(' ')}" timed out`)))
  })
  try {
    const exitCode = await Promise.race([streams.exit, late])
    return { exitCode: exitCode ?? 0, stdout: await stdout, stderr: await stderr }
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'timeout') {
      streams.close()
      await killExec(client, containerId, streams.execId)
    }
    throw error
  } finally {
    timer?.cancel()
  }
}

async function createExec(
  client: DockerClient,
  containerId: string,
  { command, stdin, stdout, stderr, tty }: ExecOptions,
): Promise<string> {
  try {
    const { Id } = await client.call<{ Id: string }>('POST', `/containers/${containerId}/exec`, {
      body: { AttachStdin: stdin, AttachStdout: stdout, AttachStderr: stderr, Tty: tty, Cmd: command, DetachKeys: detachKeys },
    })
    return Id
  } catch (error) {
    if (error instanceof DockerError && error.status === 409) throw new RuntimeError('notRunning', error.message, { cause: error })
    throw error
  }
}

const exitPollMs = 20
const exitPollsMax = 100

// The connection may end a moment before the exit code is there.
async function exitCodeOf(client: DockerClient, execId: string, clock: Clock): Promise<number> {
  for (let poll = 0; poll < exitPollsMax; poll++) {
    const { Running, ExitCode } = await client.call<ExecState>('GET', `/exec/${execId}/json`)
    if (!Running && ExitCode !== null) return ExitCode
    await clock.sleep(exitPollMs)
  }
  throw new RuntimeError('unknown', 'the command let go of its streams but did not end')
}

// Docker has no call that ends an exec. Its process is one of this machine when the engine is; that it is this container's is checked.
async function killExec(client: DockerClient, containerId: string, execId: string): Promise<void> {
  const { Running, Pid } = await client.call<ExecState>('GET', `/exec/${execId}/json`).catch(() => ({ Running: false, Pid: 0 }))
  if (!Running || Pid <= 1) return
  const cgroups = await readFile(`/proc/${Pid}/cgroup`, 'utf8').catch(() => '')
  if (!cgroups.includes(containerId)) return
  try {
    process.kill(Pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}

async function collect(stream: NodeJS.ReadableStream | undefined, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream ?? []) {
    const data = Buffer.from(chunk).subarray(0, bytesMax - bytes)
    bytes += data.length
    if (data.length > 0) chunks.push(data)
  }
  return Buffer.concat(chunks)
}
