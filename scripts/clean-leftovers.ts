// Removes what tests that were killed left on this machine: directories with all that hangs on them, then network namespaces, links, nft
// tables and cgroups. Only what bears the tests' naming scheme (`nvt-…`) is touched, and nothing of a test that still runs.
import { readdir, readFile, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { processIdentity, runCommand, signalProcess } from '#platform/process'
import { listTestDirs } from '../test/tools/names.ts'
import { removeTestDir } from '../test/tools/remove-test-dir.ts'

const dirs = listTestDirs()
const removed: string[] = []
for (const { dir } of dirs.filter(({ inUse }) => !inUse)) {
  await removeTestDir(dir)
  removed.push(dir)
}
// While another run goes on, names that cannot be told from its own are left alone.
const inUse = dirs.filter((entry) => entry.inUse).map(({ dir }) => basename(dir))
const gone = removed.map((dir) => basename(dir))
const isLeftover = (name: string): boolean =>
  inUse.length === 0
    ? /(^|[-_.])nvt-/.test(name)
    : gone.some((prefix) => name === prefix || name.endsWith(`-${prefix}`) || name.startsWith(`${prefix}-`))

for (const name of await list('ip', ['netns', 'list'], /^(\S+)/)) {
  await remove(name, 'network namespace', () => runCommand('ip', ['netns', 'delete', name]))
}
for (const name of await list('ip', ['-oneline', 'link', 'show'], /^\d+: ([^:@]+)/)) {
  await remove(name, 'link', () => runCommand('ip', ['link', 'delete', name]))
}
for (const table of await list('nft', ['list', 'tables'], /^table (.+)$/)) {
  const [family = '', name = ''] = table.split(' ')
  await remove(name, 'nft table', () => runCommand('nft', ['delete', 'table', family, name]))
}
// Version 1 has a directory for each controller on top.
await cleanCgroups('/sys/fs/cgroup', 3)

console.log(removed.length === 0 ? 'none' : `removed ${removed.join(', ')}`)

async function list(program: string, args: string[], pattern: RegExp): Promise<string[]> {
  const { stdout } = await runCommand(program, args).catch(() => ({ stdout: '' }))
  return stdout.split('\n').flatMap((line) => pattern.exec(line)?.[1] ?? [])
}

async function remove(name: string, kind: string, work: () => Promise<unknown>): Promise<void> {
  if (!isLeftover(name)) return
  await work()
  removed.push(`${kind} ${name}`)
}

async function cleanCgroups(dir: string, levels: number): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue
    const path = join(dir, entry.name)
    if (isLeftover(entry.name)) {
      await emptyCgroup(path)
      removed.push(`cgroup ${path}`)
    } else if (levels > 1) await cleanCgroups(path, levels - 1)
  }
}

/** Ends the processes of a cgroup and of those below it, then removes it. */
async function emptyCgroup(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await emptyCgroup(join(dir, entry.name))
  for (let attempt = 0; attempt < 50; attempt++) {
    const pids = (await readFile(join(dir, 'cgroup.procs'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
    for (const identity of pids.map((pid) => processIdentity(Number(pid)))) if (identity !== undefined) signalProcess(identity, 'SIGKILL')
    try {
      return await rmdir(dir)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      await clock.sleep(20)
    }
  }
}
