// One container from nothing to running: image, configuration, creation, start, postStart hook. Events and waiting reasons
// are Kubernetes' for each step.
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Container, EphemeralContainer, Pod, Secret } from '#api/generated/core-v1'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { containerResources } from '../container-resources.ts'
import type { DownwardContext } from '../downward.ts'
import { containerIn } from '../engine-state.ts'
import { containerEnv } from '../env.ts'
import { expand } from '../expand.ts'
import { ImageError } from '../images.ts'
import { containerAnnotations, containerHash, containerLabels } from '../marks.ts'
import type { ContainerStart } from '../plan-pod.ts'
import { fieldPathOf, type PodContainer } from '../pod-containers.ts'
import { withTimeout } from '../probes/timeout.ts'
import { type ContainerConfig, type ImageInfo, RuntimeError, type Sandbox, type SandboxConfig } from '../runtimes/runtime.ts'
import { containerSecurity } from '../security.ts'
import { openBeneath } from '../volumes/open-beneath.ts'
import type { MountedVolume } from '../volumes/pod-volumes.ts'
import { containerMounts } from './container-mounts.ts'
import { runHook, unlessAborted } from './hooks.ts'
import { graceSecondsOf, killContainer } from './kill.ts'
import type { WorkerContext } from './worker-context.ts'

/** The container does not run. `reason` and the message are what its waiting state says. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly reason: string
  /** When trying again makes sense, on the wall clock; undefined: when something changes, or after a while. */
  readonly retryAt: number | undefined
  constructor(reason: string, message: string, options: { cause?: unknown; retryAt?: number | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
    this.retryAt = options.retryAt
  }
}

export interface StartInput {
  readonly pod: Pod
  readonly start: ContainerStart
  readonly sandbox: Sandbox
  readonly sandboxConfig: SandboxConfig
  readonly volumes: ReadonlyMap<string, MountedVolume>
  readonly hostsFile: string
  readonly downward: DownwardContext
  readonly signal: AbortSignal
  /** The container exists, but its start is not over: it is not to be shown as running yet. */
  readonly onCreated: (containerId: string) => void
  readonly onStarted: (containerId: string) => void
}

const servicesMsMax = 5_000
const fileKeyBytesMax = 64 * 1024

export async function startContainer(context: WorkerContext, input: StartInput): Promise<void> {
  const { pod, sandbox, start, signal } = input
  const { container } = start
  const subject = { object: pod, fieldPath: fieldPathOf(container) }
  const fail = (reason: string, error: unknown): unknown => {
    // An engine that is away is no matter of this container: everything is tried again when it is back.
    if (signal.aborted || (error instanceof RuntimeError && error.code === 'unavailable')) return error
    const message = error instanceof Error ? error.message : String(error)
    context.events.record(subject, 'Warning', 'Failed', `Error: ${message}`)
    return new StartError(reason, message, { cause: error })
  }
  if (start.discard !== undefined) {
    await context.runtime.removeContainer(start.discard)
    context.engine.removed(start.discard)
  }
  const image = await ensureImage(context, pod, container, signal)
  signal.throwIfAborted()
  const config = await containerConfig(context, input, image).catch((error) => {
    throw fail('CreateContainerConfigError', error)
  })
  await mkdir(join(input.sandboxConfig.logDirectory, container.spec.name), { recursive: true, mode: 0o755 })
  signal.throwIfAborted()
  const id = await context.runtime.createContainer(sandbox.id, config, input.sandboxConfig).catch((error) => {
    throw fail('CreateContainerError', error)
  })
  input.onCreated(id)
  context.events.record(subject, 'Normal', 'Created', 'Container created')
  try {
    await context.runtime.startContainer(id)
  } catch (error) {
    await context.engine.refreshContainer(id)
    throw fail('RunContainerError', error)
  }
  context.events.record(subject, 'Normal', 'Started', 'Container started')
  const status = await context.engine.refreshContainer(id)
  const postStart = container.spec.lifecycle?.postStart
  if (postStart !== undefined && status !== undefined) {
    const podIp = input.downward.podIps[0] ?? ''
    try {
      await runHook(postStart, { container: container.spec, containerId: id, podIp }, context, signal)
    } catch (error) {
      signal.throwIfAborted()
      context.log.info('a postStart hook failed', { container: container.spec.name, error: String(error) })
      context.events.record(subject, 'Warning', 'FailedPostStartHook', 'PostStartHook failed')
      await killContainer(
        context,
        pod,
        status,
        { container, message: 'FailedPostStartHook', graceSeconds: graceSecondsOf(pod), podIp },
        signal,
      )
      throw new StartError('PostStartHookError', 'PostStartHook failed', { cause: error })
    }
  }
  input.onStarted(id)
}

async function ensureImage(context: WorkerContext, pod: Pod, container: PodContainer, signal: AbortSignal): Promise<ImageInfo> {
  try {
    const pulls = context.images.pulls
    const image = await context.images.ensure(pod, container, () => pullSecrets(context, pod), signal)
    if (context.images.pulls !== pulls) context.onImages()
    return image
  } catch (error) {
    if (error instanceof ImageError) throw new StartError(error.reason, error.message, { cause: error, retryAt: error.retryAt })
    throw error
  }
}

/** The secrets that the pod names; its service account's were put there when the pod was admitted, older pods' are looked up. */
async function pullSecrets(context: WorkerContext, pod: Pod): Promise<Secret[]> {
  const namespace = pod.metadata.namespace ?? ''
  const names = (pod.spec.imagePullSecrets ?? []).map((s) => s.name ?? '').filter((name) => name !== '')
  if (names.length === 0) names.push(...(await accountSecrets(context, pod)))
  const secrets: Secret[] = []
  for (const name of names) {
    const secret = await context.objects.secret(pod.metadata.uid, namespace, name).catch(() => undefined)
    if (secret !== undefined) secrets.push(secret)
    else {
      const message = `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`
      context.events.record(pod, 'Warning', 'FailedToRetrieveImagePullSecret', message)
    }
  }
  return secrets
}

async function accountSecrets(context: WorkerContext, pod: Pod): Promise<string[]> {
  if (!pod.spec.serviceAccountName) return []
  const key = { namespace: pod.metadata.namespace ?? '', name: pod.spec.serviceAccountName }
  // A node need not be allowed to read service accounts; admission has done this already.
  const account = await context.client.get(ServiceAccount, key).catch(() => undefined)
  return (account?.imagePullSecrets ?? []).map((s) => s.name ?? '').filter((name) => name !== '')
}

async function containerConfig(context: WorkerContext, input: StartInput, image: ImageInfo): Promise<ContainerConfig> {
  const { pod, start, downward } = input
  const { spec } = start.container
  const security = containerSecurity({ pod, container: spec, image, seccompDir: context.seccompDir })
  await someServices(context, input.signal)
  const env = await containerEnv(pod, spec, {
    configMap: (name) => context.objects.configMap(pod.metadata.uid, pod.metadata.namespace ?? '', name),
    secret: (name) => context.objects.secret(pod.metadata.uid, pod.metadata.namespace ?? '', name),
    volumeFile: (volume, path) => volumeFile(input.volumes, volume, path),
    services: context.services(),
    downward,
    masterNamespace: 'default',
  })
  const podDir = context.volumes.podDir(pod.metadata.uid)
  const { mounts, messageFile } = await containerMounts({
    container: spec,
    volumes: input.volumes,
    env,
    podDir,
    mounter: context.mounter,
    hostsFile: input.hostsFile,
  })
  const values = new Map(env.map((e) => [e.name, e.value]))
  const words = (list: readonly string[] | undefined): string[] => (list ?? []).map((word) => expand(word, (name) => values.get(name)))
  return {
    name: spec.name,
    attempt: start.restartCount,
    image: spec.image,
    imageRef: image.id,
    command: words(spec.command),
    args: words(spec.args),
    workingDir: spec.workingDir ?? '',
    env,
    mounts,
    devices: devicesOf(spec, input.volumes),
    labels: containerLabels(pod, spec.name),
    annotations: containerAnnotations(pod, {
      hash: containerHash(spec),
      restartCount: start.restartCount,
      backoffMs: start.backoffMs,
      messagePath: spec.terminationMessagePath ?? '',
      messagePolicy: spec.terminationMessagePolicy ?? 'File',
      messageFile,
    }),
    logPath: join(spec.name, `${start.restartCount}.log`),
    stdin: spec.stdin ?? false,
    stdinOnce: spec.stdinOnce ?? false,
    tty: spec.tty ?? false,
    resources: containerResources(pod, spec, context.capacity),
    security,
    stopSignal: spec.lifecycle?.stopSignal ?? '',
    ...processesOf(context, input),
  }
}

/** An ephemeral container may ask to see the processes of one that runs (KEP-277). */
function processesOf(context: WorkerContext, { pod, start, sandbox }: StartInput): Pick<ContainerConfig, 'processesOf'> {
  const { targetContainerName } = start.container.spec as EphemeralContainer
  if (!targetContainerName) return {}
  const { uid, name, namespace = '' } = pod.metadata
  const target = containerIn(context.engine.pod({ uid, name, namespace }), sandbox.id, targetContainerName)
  if (target?.state !== 'running') throw new Error(`unable to find target container ${targetContainerName}`)
  return { processesOf: target.id }
}

/** The services, if they come soon: a node that starts while the API is away must still restart its containers. */
async function someServices(context: WorkerContext, signal: AbortSignal): Promise<void> {
  await withTimeout(context.clock, servicesMsMax, signal, (s) => unlessAborted(s, context.servicesKnown())).catch(() =>
    signal.throwIfAborted(),
  )
}

function devicesOf(spec: Container, volumes: ReadonlyMap<string, MountedVolume>): ContainerConfig['devices'] {
  return (spec.volumeDevices ?? []).flatMap((device) => {
    const volume = volumes.get(device.name)
    if (volume === undefined) return []
    return [{ hostPath: volume.hostPath, containerPath: device.devicePath, permissions: volume.readOnly ? 'r' : 'mrw' }]
  })
}

/** A file that another container wrote: opened without following links, and only so much of it. */
async function volumeFile(volumes: ReadonlyMap<string, MountedVolume>, name: string, path: string): Promise<string | undefined> {
  const volume = volumes.get(name)
  if (volume === undefined) return undefined
  try {
    const { handle, stats } = await openBeneath(volume.hostPath, path)
    try {
      if (!stats.isFile() || stats.size > fileKeyBytesMax) return undefined
      return await readFile(`/proc/self/fd/${handle.fd}`, 'utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
