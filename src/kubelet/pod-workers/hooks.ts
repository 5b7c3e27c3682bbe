// postStart and preStop hooks (documentation: "Container Lifecycle Hooks").
import type { Container, LifecycleHandler } from '#api/generated/core-v1'
import type { Clock } from '#base/clock'
import { httpGet } from '../probes/http-probe.ts'
import { httpTarget } from '../probes/probe-target.ts'
import type { ContainerRuntime } from '../runtimes/runtime.ts'

const hookUserAgent = 'kube-lifecycle/1.36'
// An exec hook without a bound of its own (postStart) ends with its container at the latest.
const execMsMax = 24 * 3_600_000

export interface HookTarget {
  readonly container: Container
  readonly containerId: string
  readonly podIp: string
}

export interface HookDeps {
  readonly runtime: ContainerRuntime
  readonly clock: Clock
}

/** Runs the hook to its end. Throws when it fails, or with the signal's reason. `timeoutMs` bounds an exec inside the engine. */
export async function runHook(
  handler: LifecycleHandler,
  target: HookTarget,
  { runtime, clock }: HookDeps,
  signal: AbortSignal,
  timeoutMs = execMsMax,
): Promise<void> {
  if (handler.exec !== undefined) {
    const command = handler.exec.command ?? []
    const { exitCode, stdout, stderr } = await unlessAborted(signal, runtime.execSync(target.containerId, command, timeoutMs))
    if (exitCode !== 0)
      throw new Error(`command ${JSON.stringify(command.join(' '))} exited with ${exitCode}: ${Buffer.concat([stdout, stderr])}`)
    return
  }
  if (handler.httpGet !== undefined) {
    await httpGet(httpTarget(handler.httpGet, target.container, target.podIp), { userAgent: hookUserAgent, signal })
    return
  }
  if (handler.sleep !== undefined) return await clock.sleep(handler.sleep.seconds * 1000, signal)
  throw new Error('invalid handler')
}

/** The result, or a rejection as soon as the signal aborts; what goes on in the engine then goes on unobserved. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
