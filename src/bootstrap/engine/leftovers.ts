// Ends what hangs on a private containerd without its help: containers by their bundles, shims by the socket they were given, mounts by
// where they are. Everything is recognised by paths below the cluster's own directory, never by a name.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import { stopProcess } from '#platform/daemon'
import { type ProcessIdentity, processIdentity, runChecked } from '#platform/process'
import type { PrivateContainerdPaths } from './containerd-config.ts'

/** Ends all containers and shims of the containerd with these paths. containerd itself must be stopped already. */
export async function endContainers(
  paths: PrivateContainerdPaths,
  options: { readonly clock: Clock; readonly log: (line: string) => void },
): Promise<void> {
  const tasks = join(paths.state, 'io.containerd.runtime.v2.task')
  const namespaces: string[] = []
  for (const containerdNamespace of await entries(tasks)) {
    for (const id of await entries(join(tasks, containerdNamespace))) {
      const bundle = join(tasks, containerdNamespace, id)
      const netns = await networkNamespace(bundle)
      if (netns !== undefined) namespaces.push(netns)
      await runChecked('runc', ['--root', join(paths.runcRoot, containerdNamespace), 'delete', '--force', id]).catch((error: Error) => {
        if (!error.message.includes('does not exist')) options.log(`container ${id}: ${error.message.trim()}`)
      })
    }
  }
  for (const shim of await shimsOf(paths.socket)) await stopProcess(shim, { clock: options.clock, graceMs: 0 })
  // A sandbox's network namespace is a mount below /run/netns that containerd made; its links go with it.
  for (const netns of new Set(namespaces)) {
    await runChecked('umount', ['--lazy', netns]).catch(() => {})
    await rm(netns, { force: true }).catch((error: Error) => options.log(`network namespace ${netns}: ${error.message}`))
  }
}

/** Unmounts everything that is mounted below `directory`, deepest first; what is busy goes when its last user does. */
export async function unmountBelow(directory: string): Promise<void> {
  const points = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => unescapeMount(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(`${directory}/`))
  // Later mounts lie on earlier ones.
  for (const point of points.reverse()) await runChecked('umount', ['--lazy', point]).catch(() => {})
}

// mountinfo writes space, tab, newline and backslash as three octal digits (proc(5)).
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

async function networkNamespace(bundle: string): Promise<string | undefined> {
  try {
    const spec = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')) as {
      linux?: { namespaces?: { type: string; path?: string }[] }
    }
    const path = spec.linux?.namespaces?.find((namespace) => namespace.type === 'network')?.path
    return path?.match(/^(\/var)?\/run\/netns\/cni-[0-9a-f-]+$/) ? path : undefined
  } catch {
    return undefined
  }
}

/** The shims that were started by the containerd whose socket this is. */
export async function shimsOf(socket: string): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = []
  for (const name of await entries('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const args = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0')
    const given = args.indexOf('-address')
    if (given < 0 || args[given + 1] !== socket || !args[0]?.endsWith('containerd-shim-runc-v2')) continue
    const identity = processIdentity(Number(name))
    if (identity !== undefined) found.push(identity)
  }
  return found
}

async function entries(path: string): Promise<string[]> {
  return readdir(path).catch(() => [])
}
