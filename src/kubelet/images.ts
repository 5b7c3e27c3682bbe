// Images on the node: pulled by policy, with credentials, at most a few at once, and with a back-off after failures. Event
// and waiting reasons, and their words, are Kubernetes' (documentation: "Images").
import type { Container, Pod, Secret } from '#api/generated/core-v1'
import type { Clock } from '#base/clock'
import type { EventRecorder } from '#client/events'
import { parseImageName, whatIsWrongWith, withDefaultTag } from './image-names.ts'
import { credentialsFor } from './keyring.ts'
import { fieldPathOf, type PodContainer } from './pod-containers.ts'
import { type ContainerRuntime, type ImageInfo, RuntimeError } from './runtimes/runtime.ts'

const backoffMs = { first: 10_000, max: 300_000 } as const
const showFailureMs = 3_000
const remembered = { keysMax: 4_096, forMs: 2 * backoffMs.max } as const

export type ImageFailure =
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'InvalidImageName'
  | 'ImageInspectError'
  | 'RegistryUnavailable'

/** A container cannot start for want of its image. `reason` is the waiting reason, the message its message. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
  readonly reason: ImageFailure
  /** When to try again, on the wall clock. */
  readonly retryAt: number | undefined
  constructor(reason: ImageFailure, message: string, retryAt?: number) {
    super(message)
    this.reason = reason
    this.retryAt = retryAt
  }
}

export interface ImagesDeps {
  readonly runtime: ContainerRuntime
  readonly events: EventRecorder
  readonly clock: Clock
  /** Pulls at once. */
  readonly parallelPulls: number
}

interface Backoff {
  readonly delayMs: number
  readonly failedAt: number
  readonly message: string
}

export interface Images {
  /** The image, pulled when the policy asks for it. Throws ImageError. */
  ensure(pod: Pod, container: PodContainer, secrets: () => Promise<readonly Secret[]>, signal: AbortSignal): Promise<ImageInfo>
  /** How many pulls have ended well. */
  readonly pulls: number
  /** When each image was last used, for garbage collection: image id to wall clock. */
  readonly lastUsed: ReadonlyMap<string, number>
  /** When garbage collection first saw each image. */
  readonly firstSeen: Map<string, number>
  /** Drops what is remembered of a pod that is gone. */
  forget(podUid: string): void
}

export function createImages(deps: ImagesDeps): Images {
  const { clock, events, runtime } = deps
  const backoffs = new Map<string, Backoff>()
  const lastUsed = new Map<string, number>()
  let pulls = 0
  const slots = createSlots(deps.parallelPulls)

  function noteUse(image: ImageInfo): ImageInfo {
    lastUsed.delete(image.id)
    lastUsed.set(image.id, clock.now())
    const oldest = lastUsed.size > remembered.keysMax ? lastUsed.keys().next().value : undefined
    if (oldest !== undefined) lastUsed.delete(oldest)
    return image
  }

  function failed(key: string, message: string): number {
    const now = clock.now()
    const before = backoffs.get(key)
    const expired = before === undefined || now - before.failedAt > remembered.forMs
    const delayMs = expired ? backoffMs.first : Math.min(before.delayMs * 2, backoffMs.max)
    backoffs.delete(key)
    backoffs.set(key, { delayMs, failedAt: now, message })
    const oldest = backoffs.size > remembered.keysMax ? backoffs.keys().next().value : undefined
    if (oldest !== undefined) backoffs.delete(oldest)
    return now + delayMs
  }

  async function inspect(image: string, note: Note): Promise<ImageInfo | undefined> {
    try {
      return await runtime.imageStatus(image)
    } catch (error) {
      const message = `Failed to inspect image ${quoted(image)}: ${messageOf(error)}`
      note('Warning', 'InspectFailed', message)
      throw new ImageError('ImageInspectError', message)
    }
  }

  async function pull(
    image: string,
    shown: string,
    key: string,
    secrets: readonly Secret[],
    note: Note,
    signal: AbortSignal,
  ): Promise<ImageInfo> {
    note('Normal', 'Pulling', `Pulling image ${quoted(shown)}`)
    const waitedFrom = clock.monotonic()
    try {
      return await slots.run(signal, async () => {
        const from = clock.monotonic()
        await pullWithCredentials(runtime, image, credentialsFor(image, secrets), signal)
        const pulled = await runtime.imageStatus(image)
        if (pulled === undefined) throw new RuntimeError('imagePullFailed', `image ${quoted(image)} is missing after its pull`)
        const now = clock.monotonic()
        const times = `in ${durationText(now - from)} (${durationText(now - waitedFrom)} including waiting)`
        note('Normal', 'Pulled', `Successfully pulled image ${quoted(shown)} ${times}. Image size: ${pulled.sizeBytes} bytes.`)
        backoffs.delete(key)
        pulls++
        return pulled
      })
    } catch (error) {
      if (signal.aborted) throw error
      const text = messageOf(error)
      note('Warning', 'Failed', `Failed to pull image ${quoted(shown)}: ${text}`)
      note('Warning', 'Failed', 'Error: ErrImagePull')
      const unavailable = error instanceof RuntimeError && error.code === 'registryUnavailable'
      const message = unavailable ? `image pull failed for ${shown} because the registry is unavailable: ${text}` : text
      // Looked at again before the back-off is over, to say that it waits.
      throw new ImageError('ErrImagePull', message, Math.min(failed(key, `ErrImagePull: ${text}`), clock.now() + showFailureMs))
    }
  }

  return {
    lastUsed,
    firstSeen: new Map(),
    get pulls() {
      return pulls
    },
    async ensure(pod, container, secrets, signal) {
      const { spec } = container
      const subject = { object: pod, fieldPath: fieldPathOf(container) }
      const note: Note = (type, reason, message) => events.record(subject, type, reason, message)
      if (parseImageName(spec.image) === undefined) throw invalidName(spec, note)
      const image = withDefaultTag(spec.image)
      const present = await inspect(image, note)
      const policy = spec.imagePullPolicy
      if (present !== undefined && policy !== 'Always') {
        note('Normal', 'Pulled', `Container image ${quoted(spec.image)} already present on machine and can be accessed by the pod`)
        return noteUse(present)
      }
      if (policy === 'Never') {
        const message = `Container image ${quoted(spec.image)} is not present with pull policy of Never`
        note('Warning', 'ErrImageNeverPull', message)
        throw new ImageError('ErrImageNeverPull', message)
      }
      const key = `${pod.metadata.uid}_${spec.image}`
      const backoff = backoffs.get(key)
      if (backoff !== undefined && clock.now() < backoff.failedAt + backoff.delayMs) {
        const message = `Back-off pulling image ${quoted(spec.image)}`
        note('Normal', 'BackOff', message)
        note('Warning', 'Failed', 'Error: ImagePullBackOff')
        throw new ImageError('ImagePullBackOff', `${message}: ${backoff.message}`, backoff.failedAt + backoff.delayMs)
      }
      return noteUse(await pull(image, spec.image, key, await secrets(), note, signal))
    },
    forget(podUid) {
      for (const key of backoffs.keys()) if (key.startsWith(`${podUid}_`)) backoffs.delete(key)
    },
  }
}

type Note = (type: 'Normal' | 'Warning', reason: string, message: string) => void

function invalidName(spec: Container, note: Note): ImageError {
  const why = `couldn't parse image name ${quoted(spec.image)}: ${whatIsWrongWith(spec.image)}`
  const message = `Failed to apply default image tag ${quoted(spec.image)}: ${why}`
  note('Warning', 'InspectFailed', message)
  note('Warning', 'Failed', 'Error: InvalidImageName')
  return new ImageError('InvalidImageName', message)
}

/** Tries each credential that fits, then none; the last error counts. */
async function pullWithCredentials(
  runtime: ContainerRuntime,
  image: string,
  credentials: Parameters<ContainerRuntime['pullImage']>[1][],
  signal: AbortSignal,
): Promise<void> {
  const tries = credentials.length === 0 ? [undefined] : credentials
  let last: unknown
  for (const auth of tries) {
    try {
      await runtime.pullImage(image, auth, signal)
      return
    } catch (error) {
      if (signal.aborted) throw error
      last = error
    }
  }
  throw last
}

/** Lets so many run at once; the others wait in order. */
function createSlots(count: number): { run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> } {
  let free = count
  const waiting: (() => void)[] = []
  return {
    async run(signal, work) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        signal.throwIfAborted()
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) free++
        else next()
      }
    },
  }
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** As Go prints a duration, rounded to milliseconds: `35ms`, `1.203s`, `1m2.5s`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = Number(((ms - minutes * 60_000) / 1000).toFixed(3))
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}
