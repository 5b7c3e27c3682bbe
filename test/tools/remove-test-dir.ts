// Ends everything that hangs on a test directory and deletes it, whatever state a killed run left it in. What belongs to the directory
// is told by paths: processes were given one below it as an argument, containers keep their state in it, mounts lie in it.
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { unmountBelow } from '#bootstrap/engine/leftovers'
import { type ProcessIdentity, processIdentity, runCommand, signalProcess } from '#platform/process'
import { checkTestDir } from './names.ts'

/** Ends all that belongs to `dir`, then deletes it. */
export async function removeTestDir(dir: string): Promise<void> {
  checkTestDir(dir)
  await endProcesses(dir)
  for (const { root, id, netns } of await containersIn(dir)) {
    await runCommand('runc', ['--root', root, 'delete', '--force', id])
    if (netns === undefined) continue
    await runCommand('umount', ['--lazy', netns])
    await rm(netns, { force: true }).catch(() => {})
  }
  await unmountBelow(dir)
  await rm(dir, { recursive: true, force: true })
}

/** The processes that have `dir`, or a path below it, among their arguments, without us and those that started us. */
export async function processesOf(dir: string): Promise<ProcessIdentity[]> {
  const spared = await ancestors()
  const found: ProcessIdentity[] = []
  for (const name of await readdir('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || spared.has(pid)) continue
    const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
    const names = (arg: string): boolean => [dir, `unix://${dir}`].some((path) => arg === path || arg.startsWith(`${path}/`))
    if (!args.some((arg) => names(arg) || names(arg.slice(arg.indexOf('=') + 1)))) continue
    const identity = processIdentity(pid)
    if (identity !== undefined) found.push(identity)
  }
  return found
}

// A keeper starts its process again, so all are stopped in their tracks before any is ended.
async function endProcesses(dir: string): Promise<void> {
  const deadline = clock.monotonic() + 30_000
  for (;;) {
    const processes = await processesOf(dir)
    if (processes.length === 0) return
    if (clock.monotonic() > deadline) throw new Error(`processes of ${dir} do not end: ${processes.map(({ pid }) => pid).join(' ')}`)
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const process of processes) signalProcess(process, signal)
    await clock.sleep(20)
  }
}

interface LeftContainer {
  readonly root: string
  readonly id: string
  readonly netns: string | undefined
}

// Directories in which images are unpacked: large, and without containers' state.
const notSearched = new Set(['content', 'overlay2', 'image', 'store', 'volumes'])

/** Containers whose runc state lies below `dir`. */
async function containersIn(dir: string): Promise<LeftContainer[]> {
  const found: LeftContainer[] = []
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || notSearched.has(entry.name) || entry.name.startsWith('io.containerd.snapshotter')) continue
    const path = join(dir, entry.name)
    const state = await readFile(join(path, 'state.json'), 'utf8').catch(() => undefined)
    if (state?.includes('"init_process_pid"')) found.push({ root: dirname(path), id: entry.name, netns: sandboxNetns(state) })
    else if (entry.name !== 'rootfs') found.push(...(await containersIn(path)))
  }
  return found
}

function sandboxNetns(state: string): string | undefined {
  return /"(?:\/var)?(\/run\/netns\/cni-[0-9a-f-]+)"/.exec(state)?.[1]
}

async function ancestors(): Promise<Set<number>> {
  const found = new Set<number>([process.pid])
  for (let pid = process.ppid; pid > 1; ) {
    found.add(pid)
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0)
  }
  return found
}
