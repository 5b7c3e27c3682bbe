// What runs in a fake container: a function that is given a process and does with it what a program would.

import type { Duplex, Readable } from 'node:stream'
import { PassThrough } from 'node:stream'
import type { Clock, Timer } from '#base/clock'
import type { LogStream } from '../cri-log.ts'
import type { ContainerConfig } from '../runtime.ts'

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** A process as its program sees it. */
export interface FakeProcess {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  /** The container it runs in. */
  readonly container: ContainerConfig
  readonly tty: boolean
  readonly clock: Clock
  /** Ends when the other side closed it, at once when there is no stdin. */
  readonly stdin: Readable
  readonly size: TerminalSize
  write(stream: LogStream, data: string | Buffer): void
  exit(code: number): void
  /** Ends as the kernel ends a process that took too much memory. */
  runOutOfMemory(): void
  /** Runs after `ms` unless the process has ended by then. */
  after(ms: number, run: () => void): void
  /** Called for each signal but SIGKILL; without one, SIGTERM ends the process with 143 and the others are ignored. */
  onSignal(handler: (signal: string) => void): void
  /** Answers connections to a port of the pod until the process ends. */
  listen(port: number, accept: (connection: Duplex) => void): void
}

export type FakeProgram = (process: FakeProcess) => void

/** Runs until a signal ends it: what a server looks like from outside. */
export const serverProgram: FakeProgram = () => undefined

/** A program that exits with `code` after `ms`. */
export function exitAfter(ms: number, code: number): FakeProgram {
  return (process) => process.after(ms, () => process.exit(code))
}

export interface RunningDeps {
  readonly clock: Clock
  readonly command: readonly string[]
  readonly container: ContainerConfig
  readonly tty: boolean
  readonly hasStdin: boolean
  readonly onOutput: (stream: LogStream, data: Buffer) => void
  readonly onExit: (code: number, oomKilled: boolean) => void
  readonly onListen: (port: number, accept: ((connection: Duplex) => void) | undefined) => void
}

/** A process that runs. Streams exist only once somebody asks for them, so that thousands of idle ones cost little. */
export class RunningProcess implements FakeProcess {
  readonly #deps: RunningDeps
  readonly #timers = new Set<Timer>()
  readonly #ports: number[] = []
  #stdin: PassThrough | undefined
  #handler: ((signal: string) => void) | undefined
  #size: TerminalSize = { columns: 80, rows: 24 }
  #ended = false

  constructor(deps: RunningDeps) {
    this.#deps = deps
  }

  get command(): readonly string[] {
    return this.#deps.command
  }
  get container(): ContainerConfig {
    return this.#deps.container
  }
  get env(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.container.env.map((e) => [e.name, e.value]))
  }
  get workingDir(): string {
    return this.container.workingDir || '/'
  }
  get tty(): boolean {
    return this.#deps.tty
  }
  get clock(): Clock {
    return this.#deps.clock
  }
  get size(): TerminalSize {
    return this.#size
  }
  get ended(): boolean {
    return this.#ended
  }

  get stdin(): PassThrough {
    if (this.#stdin === undefined) {
      this.#stdin = new PassThrough()
      if (!this.#deps.hasStdin) this.#stdin.end()
    }
    return this.#stdin
  }

  resize(size: TerminalSize): void {
    this.#size = size
    this.#handler?.('SIGWINCH')
  }

  write(stream: LogStream, data: string | Buffer): void {
    if (this.#ended) return
    const bytes = Buffer.from(data)
    this.#deps.onOutput(
      this.tty ? 'stdout' : stream,
      this.tty ? Buffer.from(bytes.toString('latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1') : bytes,
    )
  }

  exit(code: number): void {
    this.#end(code, false)
  }

  runOutOfMemory(): void {
    this.#end(137, true)
  }

  after(ms: number, run: () => void): void {
    const timer = this.clock.after(ms, () => {
      this.#timers.delete(timer)
      if (!this.#ended) run()
    })
    this.#timers.add(timer)
  }

  onSignal(handler: (signal: string) => void): void {
    this.#handler = handler
  }

  listen(port: number, accept: (connection: Duplex) => void): void {
    this.#ports.push(port)
    this.#deps.onListen(port, accept)
  }

  signal(name: string): void {
    if (this.#ended) return
    if (name === 'SIGKILL') this.#end(137, false)
    else if (this.#handler !== undefined) this.#handler(name)
    else if (name === 'SIGTERM') this.#end(143, false)
  }

  #end(code: number, oomKilled: boolean): void {
    if (this.#ended) return
    this.#ended = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const port of this.#ports) this.#deps.onListen(port, undefined)
    this.#stdin?.destroy()
    this.#deps.onExit(code, oomKilled)
  }
}
