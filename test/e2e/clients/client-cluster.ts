// A cluster in this process for tests with real clients, which run as programs of their own: they get a kubeconfig, a home directory
// and a working directory that no other test uses.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { type Cluster, type StartClusterOptions, startCluster } from '#main/library'
import { type CommandResult, runCommand } from '#platform/process'
import { clientProgram } from '../../tools/cluster.ts'
import { makeTestDir } from '../../tools/names.ts'
import { removeTestDir } from '../../tools/remove-test-dir.ts'

// Tells that a client hangs, not how fast it is.
const commandMsMax = 120_000

/** One client program, always run with the cluster's kubeconfig. */
export interface ClientRunner {
  /** What it printed; throws with its words unless it exits with 0. */
  run(...args: string[]): Promise<string>
  /** The same with what it shall read from its standard input (`-f -`). */
  runWith(input: string, ...args: string[]): Promise<string>
  /** The exit code is the caller's matter. */
  try(...args: string[]): Promise<CommandResult>
  /** What it complained of; throws when it does not. */
  refused(...args: string[]): Promise<string>
  refusedWith(input: string, ...args: string[]): Promise<string>
  /** Starts it in the background; `until` waits for a line of its output. */
  start(...args: string[]): BackgroundClient
  /** The same program with more environment. */
  withEnv(env: Readonly<Record<string, string>>): ClientRunner
}

export interface BackgroundClient {
  readonly process: ChildProcess
  /** All that it printed so far. */
  output(): string
  /** Resolves with the match once the output has one. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  stop(): Promise<void>
}

export interface ClientCluster extends Cluster {
  readonly dir: string
  /** kubectl of today. */
  readonly kubectl: ClientRunner
  /** kubectl 1.20. */
  readonly kubectlOld: ClientRunner
  readonly helm: ClientRunner
  /** Runs any program with the cluster's kubeconfig. */
  program(path: string): ClientRunner
  /** Writes a file below the working directory of the clients and returns its path. */
  file(name: string, content: string): string
  stop(): Promise<void>
}

export async function startClientCluster(options: StartClusterOptions = {}): Promise<ClientCluster> {
  const dir = makeTestDir('clients')
  const cluster = await startCluster({ nodes: 2, ...options })
  const env = { PATH: process.env['PATH'], HOME: dir, KUBECONFIG: cluster.kubeconfigPath, TMPDIR: dir, LC_ALL: 'C.UTF-8' }
  const program = (path: string): ClientRunner => createRunner(path, dir, env)
  const lazily = (name: Parameters<typeof clientProgram>[0]): ClientRunner => program(clientProgram(name))
  return {
    ...cluster,
    dir,
    kubectl: lazily('kubectl'),
    kubectlOld: lazily('kubectl-old'),
    helm: lazily('helm'),
    program,
    file(name, content) {
      const path = join(dir, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
      return path
    },
    async stop() {
      await cluster.stop()
      await removeTestDir(dir)
    },
  }
}

function createRunner(path: string, cwd: string, env: NodeJS.ProcessEnv): ClientRunner {
  const attempt = (args: readonly string[], input?: string): Promise<CommandResult> =>
    runCommand(path, args, { cwd, env, signal: AbortSignal.timeout(commandMsMax), ...(input === undefined ? {} : { input }) })
  const succeed = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(args, input)
    assert.equal(code, 0, `${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
    return stdout
  }
  const fail = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(args, input)
    assert.notEqual(code, 0, `${args.join(' ')} was not refused\n${stdout}${stderr}`)
    return stderr
  }
  return {
    run: (...args) => succeed(args),
    runWith: (input, ...args) => succeed(args, input),
    try: (...args) => attempt(args),
    refused: (...args) => fail(args),
    refusedWith: (input, ...args) => fail(args, input),
    start: (...args) => startBackground(path, args, { cwd, env }),
    withEnv: (more) => createRunner(path, cwd, { ...env, ...more }),
  }
}

function startBackground(path: string, args: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): BackgroundClient {
  const child = spawn(path, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  const changed = new Set<() => void>()
  const note = (chunk: Buffer): void => {
    text += chunk.toString()
    for (const tell of changed) tell()
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))
  return {
    process: child,
    output: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(text)
          if (match === null) return
          end()
          resolve(match)
        }
        const timer = clock.after(commandMsMax, () => {
          end()
          reject(new Error(`${args.join(' ')} did not print ${pattern}; it printed:\n${text}`))
        })
        const end = (): void => {
          changed.delete(look)
          timer.cancel()
        }
        changed.add(look)
        look()
      }),
    async stop() {
      child.kill('SIGTERM')
      await closed
    },
  }
}

/** The two kubectls that must work, for `describe.each`. */
export const kubectls = [
  ['1.35', (cluster: ClientCluster) => cluster.kubectl],
  ['1.20', (cluster: ClientCluster) => cluster.kubectlOld],
] as const

/** Lines of a table that kubectl printed, split at its columns; the header first. */
export function tableOf(text: string): string[][] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s{2,}|\t/))
}
