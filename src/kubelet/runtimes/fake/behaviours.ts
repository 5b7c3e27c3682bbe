// The behaviours of ../behaviour.ts for fake containers: the command `behave <JSON>`.
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { createInterface } from 'node:readline'
import type { Behaviour } from '../behaviour.ts'
import type { FakeProcess, FakeProgram } from './program.ts'

/** The command that makes a fake container do it; its arguments follow. */
export function fakeCommand(behaviour: Behaviour): string[] {
  return ['behave', JSON.stringify(behaviour)]
}

/** The program `behave`. */
export const behave: FakeProgram = (process) => {
  const behaviour = JSON.parse(process.command[1] ?? '') as Behaviour
  switch (behaviour.do) {
    case 'exit':
      return process.after(behaviour.afterMs ?? 0, () => {
        if (behaviour.stdout) process.write('stdout', behaviour.stdout)
        if (behaviour.stderr) process.write('stderr', behaviour.stderr)
        process.exit(behaviour.code)
      })
    case 'run':
      if (behaviour.stdout) process.write('stdout', behaviour.stdout)
      return process.onSignal((signal) => signal === 'SIGTERM' && process.exit(0))
    case 'ignoreTerm':
      process.onSignal(() => undefined)
      return process.write('stdout', 'ready\n')
    case 'cat':
      process.stdin.on('data', (chunk: Buffer) => process.write('stdout', chunk))
      process.stdin.on('end', () => process.exit(0))
      return
    case 'describe': {
      const [, , ...rest] = process.command
      const file = readFileSync(hostPathOf(process, behaviour.file), 'utf8')
      process.write('stdout', `${process.env[behaviour.variable] ?? ''}\n${process.workingDir}\n${file}${rest.join(' ')}\n`)
      return process.exit(0)
    }
    case 'count':
      process.onSignal((signal) => signal === 'SIGTERM' && process.exit(0))
      return count(process, behaviour.count, behaviour.everyMs)
    case 'longLine':
      process.write('stdout', `${'x'.repeat(behaviour.bytes)}\n`)
      return process.exit(0)
    case 'echoServer':
      process.onSignal((signal) => signal === 'SIGTERM' && process.exit(143))
      return process.listen(behaviour.port, (connection) => connection.pipe(connection))
    case 'takeMemory':
      return process.after(1, () => process.runOutOfMemory())
    case 'terminal':
      return terminal(process)
  }
}

function count(process: FakeProcess, lines: number, everyMs: number): void {
  let n = 0
  const next = (): void => {
    n++
    if (n > lines) return
    process.write('stdout', `line ${n}\n`)
    process.after(everyMs, next)
  }
  next()
}

function terminal(process: FakeProcess): void {
  process.write('stdout', process.tty ? 'tty\n' : 'none\n')
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    // A real terminal echoes what is typed.
    if (process.tty) process.write('stdout', `${line}\n`)
    if (line === 'end') process.exit(7)
    else process.write('stdout', `${process.size.rows} ${process.size.columns}\n`)
  })
}

function hostPathOf(process: FakeProcess, path: string): string {
  const mount = process.container.mounts.find((m) => path === m.containerPath || path.startsWith(`${m.containerPath}/`))
  if (mount === undefined) throw new Error(`nothing is mounted at ${path}`)
  return posix.join(mount.hostPath, path.slice(mount.containerPath.length))
}
