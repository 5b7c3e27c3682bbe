// The node agent: one function that runs until its signal aborts. Its parts are made and joined in agent-parts.ts.
// What it leaves behind when it ends is what it wants to find again: running containers.
import { setMaxListeners } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Node as NodeV1 } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { isStaticPod } from '#api/pods'
import { type AgentParts, type AgentState, createParts, type Machine } from './agent-parts.ts'
import { type Cgroups, openCgroups } from './cgroups.ts'
import type { KubeletDeps } from './deps.ts'
import { maintain } from './maintenance.ts'
import { keepLease } from './node/lease.ts'
import { readNodeFacts } from './node/node-facts.ts'
import { runServer } from './server/server.ts'
import { createStaticPods } from './static-pods.ts'
import { createMounter, type Mounter } from './volumes/mounter.ts'

/** Parts that tests put in the place of the machine's own. */
export interface KubeletMachine {
  readonly cgroups?: Pick<Cgroups, 'create' | 'remove' | 'parentFor' | 'children' | 'usage'>
  readonly mounter?: Mounter
  /** No HTTPS server: nobody asks. */
  readonly withoutServer?: boolean
}

/**
 * Runs the node agent until the signal aborts. Rejects when a part of it cannot go on: the port is taken, the data directory
 * cannot be written. An engine or an API server that is away is waited for.
 */
export async function runKubelet(deps: KubeletDeps, given: KubeletMachine = {}): Promise<void> {
  // Any part that breaks ends the others.
  const ending = new AbortController()
  const signal = AbortSignal.any([deps.signal, ending.signal])
  // Everything that lives here listens to it.
  setMaxListeners(0, signal)
  const machine = await openMachine(deps, given)
  const running: Promise<void>[] = []
  const run = (work: Promise<void>): void => {
    running.push(
      work.catch((error) => {
        if (!signal.aborted) ending.abort(error)
      }),
    )
  }
  const state: AgentState = { node: undefined, port: deps.port, apiUid: (pod) => pod.metadata.uid }
  const parts: AgentParts = createParts(deps, machine, state, signal, (node) => {
    deps.onRegistered?.()
    if (state.node === undefined) run(followNode(deps, node, state, parts, signal))
  })
  const onListening = (port: number): void => {
    state.port = port
    deps.onListening?.(port)
    run(parts.reporter.run())
  }
  if (given.withoutServer) onListening(deps.port)
  else run(runServer({ ...deps, ...parts, cgroups: machine.cgroups, signal, onListening }))
  run(runPods(deps, parts, state, signal))

  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.allSettled([...running, parts.workers.stop()])
  if (!deps.signal.aborted) throw ending.signal.reason
}

async function openMachine(deps: KubeletDeps, given: KubeletMachine): Promise<Machine> {
  const podsDir = join(deps.dataDir, 'pods')
  const memoryDir = join(deps.dataDir, 'memory')
  const podLogsDir = deps.podLogsDir ?? join(deps.dataDir, 'pod-logs')
  const mounter = given.mounter ?? createMounter()
  await Promise.all([podsDir, memoryDir, podLogsDir].map((path) => mkdir(path, { recursive: true, mode: 0o755 })))
  await mountMemory(mounter, memoryDir, deps)
  const cgroups = given.cgroups ?? (await openCgroups({ driver: deps.runtime.info.cgroupDriver }))
  return { facts: await readNodeFacts(deps.dataDir), cgroups, mounter, podsDir, memoryDir, podLogsDir }
}

/** A file system in memory for what comes out of secrets and tokens. Without the right to mount, the directory itself must do. */
async function mountMemory(mounter: Mounter, directory: string, { log }: KubeletDeps): Promise<void> {
  if ((await mounter.mountsBelow(directory)).includes(directory)) return
  await mounter.tmpfs(directory, { mode: '0755' }).catch((error) => {
    log.warn('secrets will be kept on disk: mounting a file system in memory failed', { error: String(error) })
  })
}

/** Watches the node's own object (its pod range, its labels) and keeps its heartbeat going. */
async function followNode(deps: KubeletDeps, node: NodeV1, state: AgentState, parts: AgentParts, signal: AbortSignal): Promise<void> {
  const { client, clock, log, nodeName, random } = deps
  state.node = node
  const informer = deps.openInformer(Node, { fieldSelector: `metadata.name=${nodeName}` }, signal)
  informer.subscribe(({ type, object }) => {
    if (type === 'deleted') return
    state.node = object
    parts.reporter.nodeChanged(object)
  })
  await keepLease({ client, clock, random, log, nodeName, nodeUid: node.metadata.uid, signal })
}

/** Learns what the engine holds before anything is decided; goes on with what it runs; then follows manifests and the API. */
async function runPods(deps: KubeletDeps, parts: AgentParts, state: AgentState, signal: AbortSignal): Promise<void> {
  const { workers } = parts
  await parts.engine.start()
  const engine = parts.engine.run()
  await workers.resume()
  const informer = deps.openInformer(Pod, { fieldSelector: `spec.nodeName=${deps.nodeName}` }, signal)
  const following: Promise<void>[] = [engine, maintain({ ...deps, ...parts, signal })]
  if (deps.manifestDir) {
    const onMirror = (uid: string): void => parts.statuses.retarget(uid)
    const staticPods = createStaticPods({
      ...deps,
      manifestDir: deps.manifestDir,
      signal,
      workers,
      informer,
      node: () => state.node,
      onMirror,
    })
    state.apiUid = (pod) => (isStaticPod(pod) ? staticPods.mirrorUid(pod) : pod.metadata.uid)
    await staticPods.start()
    following.push(staticPods.run())
  }
  workers.follow(informer)
  await Promise.all(following)
}
