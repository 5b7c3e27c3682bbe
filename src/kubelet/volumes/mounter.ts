// Mounts on the node, through mount(8) and umount(8); what is mounted is read from /proc.
import { readFile } from 'node:fs/promises'
import { runCommand } from '#platform/process'

export interface Mounter {
  tmpfs(target: string, options: { readonly sizeBytes?: number; readonly mode?: string }): Promise<void>
  /** Binds exactly what `source` names, following no link in it: the caller has checked it (e.g. /proc/<pid>/fd/<n>). */
  bind(source: string, target: string): Promise<void>
  /** Unmounts; not mounted or not there: no error. */
  unmount(target: string): Promise<void>
  /** Mount points below a directory, deepest first; the directory itself last when it is one. */
  mountsBelow(directory: string): Promise<string[]>
}

export function createMounter(): Mounter {
  return {
    async tmpfs(target, { sizeBytes, mode }) {
      const options = [sizeBytes === undefined ? undefined : `size=${sizeBytes}`, mode === undefined ? undefined : `mode=${mode}`]
      const given = options.filter((o) => o !== undefined).join(',')
      await run('mount', ['-t', 'tmpfs', ...(given === '' ? [] : ['-o', given]), 'tmpfs', target])
    },
    bind: (source, target) => run('mount', ['--no-canonicalize', '--bind', source, target]),
    async unmount(target) {
      const { code, stderr } = await runCommand('umount', ['--no-canonicalize', target])
      if (code === 0 || /not mounted|no mount point|not found/i.test(stderr)) return
      // Busy: it goes from the tree now and for good when the last user lets go.
      await run('umount', ['--no-canonicalize', '--lazy', target])
    },
    async mountsBelow(directory) {
      return mountPoints(await readFile('/proc/self/mountinfo', 'utf8'))
        .filter((point) => point === directory || point.startsWith(`${directory}/`))
        .sort((a, b) => b.length - a.length)
    },
  }
}

/** The mount points of a mountinfo text, its octal escapes undone (proc(5)). */
export function mountPoints(mountInfo: string): string[] {
  return mountInfo
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((point) => point !== undefined)
    .map((point) => point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim() || `exit code ${code}`}`)
}
