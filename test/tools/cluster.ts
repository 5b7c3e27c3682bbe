// A one-node cluster of a test's own, started as a user starts it, with addresses and ports that no other test cluster has.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { type CommandResult, runCommand } from '#platform/process'
import { startDockerd } from './dockerd.ts'
import { imageFile } from './images.ts'
import { makeTestDir, takeSlot } from './names.ts'
import { freePort } from './registry.ts'
import { removeTestDir } from './remove-test-dir.ts'

const root = join(import.meta.dirname, '../..')

export interface TestCluster {
  readonly name: string
  readonly dataDir: string
  readonly kubeconfig: string
  readonly nodePorts: { readonly from: number; readonly to: number }
  /** Runs `./navarch` on this cluster; the exit code is the caller's matter. */
  navarch(...args: string[]): Promise<CommandResult>
  /** Runs the real kubectl; throws with its words unless it exits with 0, and returns what it printed. */
  kubectl(...args: string[]): Promise<string>
  /** Runs the real kubectl with what it shall read from its standard input (`-f -`). */
  kubectlWith(input: string, ...args: string[]): Promise<string>
  /** Runs the real kubectl; the exit code is the caller's matter. */
  tryKubectl(...args: string[]): Promise<CommandResult>
  /** Ends the cluster, its engine and all that belongs to them, and deletes their directories. */
  stop(): Promise<void>
}

export interface TestClusterOptions {
  readonly engine: 'docker' | 'containerd' | 'fake'
  /** Archives to bring into the engine; all of the catalogue's when left out. */
  readonly images?: readonly string[]
  /** More arguments for `navarch up`. */
  readonly args?: readonly string[]
}

/** A program of `.cache/bin`: kubectl, helm, or kubectl-old, which speaks SPDY only. */
export function clientProgram(name: 'kubectl' | 'helm' | 'kubectl-old'): string {
  const path = join(root, '.cache/bin', name)
  assert.ok(existsSync(path), `${path} does not exist: run "make clients"`)
  return path
}

/** Starts a cluster and waits until it is ready. */
export async function startTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  const dataDir = makeTestDir(options.engine)
  const name = basename(dataDir)
  const docker = options.engine === 'docker' ? await startDockerd({ dir: makeTestDir('dockerd') }) : undefined
  const { slot, release } = takeSlot(50)
  const nodePorts = { from: 29_000 + slot * 50, to: 29_049 + slot * 50 }
  const kubeconfig = join(dataDir, 'admin.kubeconfig')
  const navarch = (...args: string[]): Promise<CommandResult> =>
    runCommand(join(root, 'navarch'), args, { env: { ...process.env, NAVARCH_DATA_DIR: dataDir, NAVARCH_NO_BUILD: '1' } })
  const client = (args: readonly string[], input?: string): Promise<CommandResult> =>
    runCommand(clientProgram('kubectl'), ['--kubeconfig', kubeconfig, ...args], { input })
  const checked = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await client(args, input)
    assert.equal(code, 0, `kubectl ${args.join(' ')}: exit code ${code}\n${stderr}`)
    return stdout
  }
  const stop = async (): Promise<void> => {
    const { code, stderr } = await navarch('down', '--purge')
    await docker?.stop()
    await removeTestDir(dataDir)
    release()
    assert.equal(code, 0, `navarch down --purge: exit code ${code}\n${stderr}`)
  }
  const engineArgs = docker === undefined ? [] : ['--docker-host', docker.engine.endpoint]
  const up = await navarch(
    ...['up', '--name', name, '--engine', options.engine, ...engineArgs, '--api-port', String(await freePort())],
    ...[
      '--node-port-range',
      `${nodePorts.from}-${nodePorts.to}`,
      '--pod-cidr',
      `10.${100 + slot}.0.0/16`,
      '--service-cidr',
      `10.${160 + slot}.0.0/16`,
    ],
    ...(options.args ?? []),
  )
  if (up.code !== 0) {
    await stop().catch(() => {})
    assert.fail(`navarch up: exit code ${up.code}\n${up.stdout}${up.stderr}`)
  }
  const images = options.images ?? (options.engine === 'fake' ? [] : ['busybox-1', 'web-v1', 'web-v2'].map(imageFile))
  if (images.length > 0) {
    const imported = await navarch('image', 'import', ...images)
    assert.equal(imported.code, 0, imported.stderr)
  }
  return {
    name,
    dataDir,
    kubeconfig,
    nodePorts,
    navarch,
    kubectl: (...args) => checked(args),
    kubectlWith: (input, ...args) => checked(args, input),
    tryKubectl: (...args) => client(args),
    stop,
  }
}

/**
 * Asks until the answer is as wanted, and fails with the last answer after `withinMs`. Bounds are generous: they tell that something will
 * never happen, not how fast it does.
 */
export async function eventually<T>(what: string, ask: () => Promise<T>, isWanted: (answer: T) => boolean, withinMs = 120_000): Promise<T> {
  const deadline = clock.monotonic() + withinMs
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    assert.ok(clock.monotonic() < deadline, `${what}: still ${JSON.stringify(answer)} after ${withinMs / 1000} s`)
    await clock.sleep(200)
  }
}
