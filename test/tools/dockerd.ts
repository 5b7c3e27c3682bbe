// A Docker Engine of a test's own, in the machine's network namespace, that changes nothing outside its directory but one bridge: no
// iptables rules, no forwarding policy. It has a bridge of its own because a dockerd without one deletes `docker0`, which may be another's.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { shortSocketPath } from '#bootstrap/engine/containerd-config'
import { dockerRequest } from '#bootstrap/engine/docker-request'
import { dockerAnswers } from '#bootstrap/engine/engine'
import { shimsOf, unmountBelow } from '#bootstrap/engine/leftovers'
import { runningProcess, startDaemon, stopProcess } from '#platform/daemon'
import { isRunning, type ProcessIdentity, runChecked, runCommand } from '#platform/process'
import type { TestEngine } from './containerd.ts'
import { checkTestDir, testPrefix } from './names.ts'

const startTimeoutMs = 60_000
const overlayfsMagic = 0x794c7630

/** Paths and names of the engine in `dir`. */
function layout(dir: string) {
  const id = createHash('sha256').update(dir).digest()
  return {
    socket: shortSocketPath(join(dir, 'docker.sock')),
    containerdSocket: shortSocketPath(join(dir, 'containerd.sock'), 100),
    config: join(dir, 'daemon.json'),
    containerdConfig: join(dir, 'containerd.toml'),
    data: join(dir, 'data'),
    exec: join(dir, 'exec'),
    containerdState: join(dir, 'containerd-state'),
    bridge: `${testPrefix}${id.toString('hex', 0, 4)}`,
    address: `198.18.${id[4]}.${(id[5]! & 0xfc) | 1}/30`,
    pidFile: join(dir, 'docker.pid'),
    containerdPidFile: join(dir, 'containerd.pid'),
  }
}

/** Starts dockerd and a containerd for it with everything below `dir`. What an earlier run left in `dir` is removed first. */
export async function startDockerd({ dir }: { readonly dir: string }): Promise<TestEngine> {
  checkTestDir(dir)
  await stopDockerd(dir)
  const at = layout(dir)
  const endpoint = `unix://${at.socket}`
  for (const path of [at.data, at.exec, at.containerdState]) await mkdir(path, { recursive: true })
  await runChecked('ip', ['link', 'add', at.bridge, 'type', 'bridge'])
  await runChecked('ip', ['address', 'add', at.address, 'dev', at.bridge])
  await startContainerdFor(dir)
  const overlay = (await statfs(dir)).type !== overlayfsMagic
  await writeFile(
    at.config,
    JSON.stringify({
      hosts: [endpoint],
      containerd: at.containerdSocket,
      'data-root': at.data,
      'exec-root': at.exec,
      pidfile: join(dir, 'dockerd-own.pid'),
      bridge: at.bridge,
      iptables: false,
      ip6tables: false,
      'ip-forward': false,
      'ip-masq': false,
      'userland-proxy': false,
      'live-restore': true,
      'storage-driver': overlay ? 'overlay2' : 'vfs',
      'exec-opts': ['native.cgroupdriver=cgroupfs'],
      'log-level': 'warn',
    }),
  )
  const daemon = await startDaemon({
    program: 'dockerd',
    args: ['--config-file', at.config],
    title: `${testPrefix}dockerd`,
    pidFile: at.pidFile,
    logFile: join(dir, 'docker.log'),
  })
  await answering(daemon, () => dockerAnswers(endpoint, clock), join(dir, 'docker.log'))
  return { dir, engine: { kind: 'docker', endpoint }, pid: daemon.pid, stop: () => stopDockerd(dir) }
}

/** Ends the engine in `dir` with its containers, or what a crash left of it, and deletes `dir`. */
export async function stopDockerd(dir: string): Promise<void> {
  checkTestDir(dir)
  const at = layout(dir)
  const daemon = runningProcess(at.pidFile)
  if (daemon !== undefined) {
    await removeContainers(`unix://${at.socket}`).catch((error: Error) => console.error(`dockerd: ${error.message}`))
    await stopProcess(daemon, { clock, graceMs: 20_000 })
  }
  const containerd = runningProcess(at.containerdPidFile)
  if (containerd !== undefined) await stopProcess(containerd, { clock, graceMs: 10_000 })
  const shims = await shimsOf(at.containerdSocket)
  for (const runcRoot of [join(at.exec, 'runtime-runc/moby'), join(at.exec, 'runtime-io.containerd.runc.v2/moby')])
    await deleteContainers(runcRoot)
  for (const shim of shims) await stopProcess(shim, { clock, graceMs: 0 })
  await unmountBelow(dir)
  await runCommand('ip', ['link', 'delete', at.bridge])
  await rm(dir, { recursive: true, force: true })
  for (const socket of [at.socket, at.containerdSocket, `${at.containerdSocket}.ttrpc`]) await rm(socket, { force: true })
}

async function startContainerdFor(dir: string): Promise<void> {
  const at = layout(dir)
  const text = JSON.stringify
  const logFile = join(dir, 'containerd.log')
  await writeFile(
    at.containerdConfig,
    `version = 2
root = ${text(join(dir, 'containerd-root'))}
state = ${text(at.containerdState)}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[debug]
  level = "warn"
[grpc]
  address = ${text(at.containerdSocket)}
[ttrpc]
  address = ${text(`${at.containerdSocket}.ttrpc`)}
[plugins."io.containerd.internal.v1.opt"]
  path = ${text(join(dir, 'containerd-root/opt'))}
`,
  )
  const daemon = await startDaemon({
    program: 'containerd',
    args: ['--config', at.containerdConfig],
    title: `${testPrefix}containerd`,
    pidFile: at.containerdPidFile,
    logFile,
  })
  const answers = async (): Promise<boolean> => (await runCommand('ctr', ['--address', at.containerdSocket, 'version'])).code === 0
  await answering(daemon, answers, logFile)
}

async function answering(daemon: ProcessIdentity, answers: () => Promise<boolean>, logFile: string): Promise<void> {
  const deadline = clock.monotonic() + startTimeoutMs
  while (isRunning(daemon) && clock.monotonic() < deadline) {
    if (await answers()) return
    await clock.sleep(20)
  }
  throw new Error(`no answer; the last words: ${(await readFile(logFile, 'utf8')).slice(-2_000)}`)
}

async function removeContainers(endpoint: string): Promise<void> {
  const limits = { clock, timeoutMs: 60_000 }
  const { body } = await dockerRequest(endpoint, { method: 'GET', path: '/containers/json?all=1' }, limits)
  for (const { Id } of JSON.parse(body.toString()) as { Id: string }[]) {
    await dockerRequest(endpoint, { method: 'DELETE', path: `/containers/${Id}?force=1&v=1` }, limits)
  }
}

async function deleteContainers(runcRoot: string): Promise<void> {
  const { stdout } = await runCommand('runc', ['--root', runcRoot, 'list', '--quiet'])
  for (const id of stdout.split('\n').filter((line) => line !== '')) await runCommand('runc', ['--root', runcRoot, 'delete', '--force', id])
}
