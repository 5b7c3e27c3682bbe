// What a worker sets up for its pod, and keeps up to date: directories, cgroup, volumes. Volumes are set up beside the sandbox,
// not before it: the first container waits for both.
import type { Pod } from '#api/generated/core-v1'
import type { Sandbox } from '../runtimes/runtime.ts'
import type { MountedVolume } from '../volumes/pod-volumes.ts'
import { VolumeError } from '../volumes/volume-error.ts'
import { type PreparedPod, preparePod } from './prepare-pod.ts'
import type { WorkerContext } from './worker-context.ts'

export class PodSetup {
  readonly #context: WorkerContext
  readonly #onStale: (error: unknown) => void
  #prepared: PreparedPod | undefined
  #volumes: Promise<ReadonlyMap<string, MountedVolume>> | undefined
  /** The volumes as they were last set up whole. */
  #mounted: ReadonlyMap<string, MountedVolume> | undefined
  #stale = true

  /** `onStale` is told when a running pod could not be brought up to date. */
  constructor(context: WorkerContext, onStale: (error: unknown) => void) {
    this.#context = context
    this.#onStale = onStale
  }

  get prepared(): PreparedPod {
    if (this.#prepared === undefined) throw new Error('assertion failed: the pod has not been prepared')
    return this.#prepared
  }

  /** What volumes are made of may have changed. */
  outdated(): void {
    this.#stale = true
  }

  /** Cheap when nothing has changed. For a pod that has a sandbox the volumes are ready afterwards. */
  async prepare(pod: Pod, sandbox: Sandbox | undefined): Promise<void> {
    const context = this.#context
    this.#prepared ??= await preparePod(context, pod)
    const tokenAt = context.tokens.renewAt(pod.metadata.uid)
    const tokenDue = tokenAt !== undefined && tokenAt <= context.clock.now()
    if (this.#volumes !== undefined && !this.#stale && !tokenDue) return
    this.#stale = false
    this.#volumes = context.volumes.setUp(pod, this.#prepared.downward(sandbox))
    this.#volumes.catch(() => undefined)
    if (sandbox !== undefined) await this.volumes(pod)
  }

  /** The pod's volumes, once they are set up. Throws VolumeError when they never have been. */
  async volumes(pod: Pod): Promise<ReadonlyMap<string, MountedVolume>> {
    try {
      if (this.#volumes === undefined) throw new VolumeError('volumes have not been set up')
      this.#mounted = await this.#volumes
      return this.#mounted
    } catch (error) {
      this.#stale = true
      if (error instanceof VolumeError) this.#context.events.record(pod, 'Warning', error.reason, error.message)
      // A pod that runs is not left alone for a volume that could not be brought up to date.
      if (this.#mounted === undefined) throw error
      this.#onStale(error)
      return this.#mounted
    }
  }

  /** Resolves when nothing is being set up any more: it would come back after it has been taken down. */
  async settled(): Promise<void> {
    await this.#volumes?.catch(() => undefined)
  }
}
