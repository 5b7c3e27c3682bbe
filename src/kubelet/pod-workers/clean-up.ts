// What remains of a pod when nothing of it runs any more: volumes, cgroup, and in the end its containers, sandboxes and logs.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '#api/generated/core-v1'
import { podCgroup } from '../container-resources.ts'
import type { PodEngineState } from '../engine-state.ts'
import { rotatedFiles } from '../logs/log-files.ts'
import { podLogDirectoryName } from './sandbox-config.ts'
import type { WorkerContext } from './worker-context.ts'

const cgroupTries = 20
const cgroupPauseMs = 50

/** Takes down volumes and the cgroup. Containers stay, so that their logs can be read. */
export async function cleanUpPod(context: WorkerContext, pod: Pod): Promise<void> {
  const { uid } = pod.metadata
  await context.volumes.tearDown(uid)
  context.objects.release(uid)
  context.tokens.forget(uid)
  await removeCgroup(context, podCgroup(context.options.cgroupRoot, pod))
}

async function removeCgroup(context: WorkerContext, path: string): Promise<void> {
  for (let i = 0; i < cgroupTries; i++) {
    if (await context.cgroups.remove(path)) return
    // The kernel takes a moment to let go of the last process.
    await context.clock.sleep(cgroupPauseMs, context.signal)
  }
  context.log.warn('a pod cgroup is still in use', { path })
}

/** Removes sandboxes, containers and logs: the pod is gone. */
export async function removeFromEngine(context: WorkerContext, pod: Pod, engine: PodEngineState): Promise<void> {
  for (const container of engine.containers) {
    await context.runtime.removeContainer(container.id)
    context.engine.removed(container.id)
  }
  for (const sandbox of engine.sandboxes) {
    await context.runtime.removeSandbox(sandbox.id)
    context.engine.removed(sandbox.id)
  }
  const { uid, name, namespace = '' } = pod.metadata
  await rm(join(context.podLogsDir, podLogDirectoryName({ uid, name, namespace })), { recursive: true, force: true })
}

// Of each container, besides the newest, so many exited ones are kept: for `kubectl logs --previous` and for lastState.
const deadKept = 1

/** Removes exited containers of a living pod that nobody asks for any more, with their logs, and sandboxes left empty. */
export async function pruneContainers(context: WorkerContext, engine: PodEngineState): Promise<void> {
  const seen = new Map<string, number>()
  for (const container of engine.containers) {
    const newer = seen.get(container.name) ?? 0
    seen.set(container.name, newer + 1)
    if (newer <= deadKept || container.state !== 'exited') continue
    await context.runtime.removeContainer(container.id)
    context.engine.removed(container.id)
    if (container.logPath === '') continue
    for (const path of [container.logPath, ...(await rotatedFiles(container.logPath))]) await rm(path, { force: true })
  }
  const left = context.engine.pod(engine)
  for (const sandbox of left.sandboxes.slice(1)) {
    if (sandbox.state === 'ready' || left.containers.some((c) => c.sandboxId === sandbox.id)) continue
    await context.runtime.removeSandbox(sandbox.id)
    context.engine.removed(sandbox.id)
  }
}
