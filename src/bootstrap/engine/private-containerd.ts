// The cluster's own containerd: Debian's programs, with their data, state and socket below the cluster's data directory. It is a process
// of its own that nobody's end takes along; whoever comes next finds it by its pid file. Containers survive it: they hang on their shims.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '#base/clock'
import { bootId, runningProcess, startDaemon, stopProcess } from '#platform/daemon'
import { isRunning, type ProcessIdentity } from '#platform/process'
import { type PrivateContainerdPaths, privateContainerdPaths, renderContainerdConfig } from './containerd-config.ts'
import { endContainers, unmountBelow } from './leftovers.ts'
import { GrpcError, openSession, unaryCall } from './unary-call.ts'

/** What a private containerd needs to know. `dataDir` is the cluster's, absolute. `log` gets one line for each thing worth telling. */
export interface PrivateContainerdOptions {
  readonly dataDir: string
  readonly clock: Clock
  readonly log: (line: string) => void
  readonly signal?: AbortSignal
  /** The image that sandboxes are made of, in the engine already or imported next. */
  readonly sandboxImage?: string
}

/** A containerd that answers. `endpoint` is its CRI endpoint. */
export interface PrivateContainerd {
  readonly endpoint: string
  readonly paths: PrivateContainerdPaths
  readonly process: ProcessIdentity
  /** Whether it was running already. */
  readonly adopted: boolean
}

const startTimeoutMs = 60_000
const overlayfsMagic = 0x794c7630

/** Starts the cluster's containerd, or takes over the one that runs. Resolves when its CRI service answers. */
export async function startPrivateContainerd(options: PrivateContainerdOptions): Promise<PrivateContainerd> {
  const { dataDir, clock, log } = options
  const paths = privateContainerdPaths(dataDir)
  const config = await configFor(options, paths)
  const changed = (await readFile(paths.config, 'utf8').catch(() => '')) !== config
  const running = runningProcess(paths.pidFile)
  if (running !== undefined) {
    if (!changed && (await waitForCri(running, paths, { clock, timeoutMs: 10_000, signal: options.signal }))) {
      return { endpoint: `unix://${paths.socket}`, paths, process: running, adopted: true }
    }
    log(changed ? 'containerd is restarted: its configuration changed' : 'containerd is restarted: it does not answer')
    await stopProcess(running, { clock, graceMs: 5_000 })
  }
  await prepareDirectories(paths)
  await writeFile(`${paths.config}.new`, config, { mode: 0o600 })
  await rename(`${paths.config}.new`, paths.config)
  const started = await startDaemon({
    program: 'containerd',
    args: ['--config', paths.config],
    title: 'navarch-containerd',
    pidFile: paths.pidFile,
    logFile: paths.logFile,
    // Less garbage kept, here and in the shims, which inherit it: a tenth of containerd's resident memory.
    env: { PATH: searchPath(), GOGC: process.env['GOGC'] ?? '40' },
  })
  if (!(await waitForCri(started, paths, { clock, timeoutMs: startTimeoutMs, signal: options.signal }))) {
    const lastLines = (await readFile(paths.logFile, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n')
    await stopProcess(started, { clock, graceMs: 1_000 })
    throw new Error(`containerd did not start; its last words (${paths.logFile}):\n${lastLines}`)
  }
  return { endpoint: `unix://${paths.socket}`, paths, process: started, adopted: false }
}

/** Resolves when the engine behind `containerd` is gone, without asking again and again: its end closes a connection. */
export async function containerdEnded(containerd: PrivateContainerd, signal: AbortSignal): Promise<void> {
  const session = await openSession(containerd.paths.socket).catch(() => undefined)
  if (session === undefined) return
  await new Promise<void>((resolve) => {
    const stop = (): void => session.destroy()
    session.once('close', () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    if (session.closed || session.destroyed) resolve()
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

/** Keeps a private containerd running until the signal aborts, which leaves it running. `onStart` hears of each start and adoption. */
export async function keepPrivateContainerd(
  options: PrivateContainerdOptions & { readonly signal: AbortSignal; readonly onStart?: (containerd: PrivateContainerd) => void },
): Promise<void> {
  const { clock, signal, log } = options
  for (let failures = 0; !signal.aborted; ) {
    try {
      const containerd = await startPrivateContainerd(options)
      options.onStart?.(containerd)
      const since = clock.monotonic()
      await containerdEnded(containerd, signal)
      if (signal.aborted) return
      log('containerd ended and is started again; its containers go on')
      failures = clock.monotonic() - since > 60_000 ? 0 : failures + 1
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      log(`containerd: ${error instanceof Error ? error.message : String(error)}`)
    }
    await clock.sleep(Math.min(100 * 2 ** failures, 10_000), signal).catch(() => {})
  }
}

/**
 * Stops the cluster's containerd with everything that hangs on it: containers, shims, network namespaces and mounts. Works without
 * containerd too, and on what a crash left. Images and other data stay. Pods are better removed through the CRI first, which also lets
 * the CNI plugins release what they hold outside (addresses, host ports).
 */
export async function stopPrivateContainerd(options: Pick<PrivateContainerdOptions, 'dataDir' | 'clock' | 'log'>): Promise<void> {
  const paths = privateContainerdPaths(options.dataDir)
  const running = runningProcess(paths.pidFile)
  if (running !== undefined) await stopProcess(running, { clock: options.clock, graceMs: 10_000 })
  await endContainers(paths, options)
  await unmountBelow(paths.state)
  await unmountBelow(paths.root)
  await rm(paths.state, { recursive: true, force: true })
  for (const path of [paths.pidFile, paths.socket, `${paths.socket}.ttrpc`]) await rm(path, { force: true })
  if (!paths.socket.startsWith(options.dataDir)) await rm(dirname(paths.socket), { recursive: true, force: true })
}

/** Where the CNI plugins are; Debian and the CNI project differ. */
export function cniPluginsDir(): string {
  return ['/usr/lib/cni', '/opt/cni/bin'].find((path) => existsSync(join(path, 'bridge'))) ?? '/opt/cni/bin'
}

async function configFor(options: PrivateContainerdOptions, paths: PrivateContainerdPaths): Promise<string> {
  await mkdir(paths.root, { recursive: true, mode: 0o711 })
  return renderContainerdConfig({
    paths,
    sandboxImage: options.sandboxImage ?? 'navarch.local/pause:1',
    // An overlay cannot lie on an overlay.
    snapshotter: (await statfs(paths.root)).type === overlayfsMagic ? 'native' : 'overlayfs',
    cniPluginsDir: cniPluginsDir(),
    restrictOomScore: !(await hasSysResource()),
    disableApparmor: (await readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => 'N')).trim() !== 'Y',
  })
}

// Lowering oom_score_adj takes CAP_SYS_RESOURCE, capability 24 (capabilities(7)).
async function hasSysResource(): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n
}

async function prepareDirectories(paths: PrivateContainerdPaths): Promise<void> {
  const bootFile = join(paths.state, '.boot-id')
  const boot = bootId()
  // State describes running processes; that of an earlier boot describes none.
  if ((await readFile(bootFile, 'utf8').catch(() => boot)) !== boot) await rm(paths.state, { recursive: true, force: true })
  for (const path of [paths.state, paths.runcRoot]) await mkdir(path, { recursive: true, mode: 0o711 })
  for (const path of [paths.certs, paths.cniConfigs]) await mkdir(path, { recursive: true, mode: 0o755 })
  for (const path of [dirname(paths.socket), dirname(paths.pidFile), dirname(paths.logFile)])
    await mkdir(path, { recursive: true, mode: 0o700 })
  await writeFile(bootFile, boot)
}

// containerd starts runc, shims and CNI plugins by name; a login shell's path need not have the system directories.
function searchPath(): string {
  const own = (process.env['PATH'] ?? '').split(':').filter((path) => path !== '')
  return [...new Set([...own, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'])].join(':')
}

async function waitForCri(
  process: ProcessIdentity,
  paths: PrivateContainerdPaths,
  options: { clock: Clock; timeoutMs: number; signal: AbortSignal | undefined },
): Promise<boolean> {
  const { clock, timeoutMs, signal } = options
  const deadline = clock.monotonic() + timeoutMs
  while (clock.monotonic() < deadline && isRunning(process)) {
    if (await criAnswers(paths.socket, clock)) return true
    await clock.sleep(10, signal)
  }
  return false
}

/** Whether a CRI service answers on the unix socket at `path`. One that is still starting, or has its CRI plugin disabled, does not. */
export async function criAnswers(path: string, clock: Clock, timeoutMs = 5_000): Promise<boolean> {
  try {
    await unaryCall(path, '/runtime.v1.RuntimeService/Version', new Uint8Array(), { clock, timeoutMs })
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (error instanceof GrpcError || error instanceof Error || code !== undefined) return false
    throw error
  }
}
