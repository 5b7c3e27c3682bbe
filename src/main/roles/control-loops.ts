// The role that runs controllers and scheduler, each under its own identity and leader lease, against an API server.
import { setMaxListeners } from 'node:events'
import type { Kind } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import { createCache } from '#client/cache'
import type { Client } from '#client/client'
import { createEventRecorder } from '#client/event-recorder'
import { leadWhenElected } from '#client/leader-election'
import { createClient } from '#client/rest-client'
import { withRetries } from '#client/retry'
import { runControllers } from '#client/run-controllers'
import { servedKinds } from '#client/served-kinds'
import type { Transport } from '#client/transport'
import { TransportError } from '#client/transport'
import { allControllers, controllerIndices, controllerTrims, metadataControllers, needsWholeObjects } from '#controllers/all'
import type { LocalVolumes } from '#controllers/local-volumes/local-volumes'
import type { Logger } from '#platform/log'
import type { CertifiedKey } from '#platform/x509'
import { runScheduler } from '#scheduler/run-scheduler'

export interface ControlLoopsDeps {
  readonly controllersTransport: Transport
  readonly schedulerTransport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly signal: AbortSignal
  readonly rootCaPem: string
  /** Signs certificates that are asked for through the API. */
  readonly signingCa?: CertifiedKey
  /** Signs tokens that are kept in Secrets; PEM. */
  readonly serviceAccountKeyPem?: string
  readonly podCidr: string
  readonly dnsIp?: string
  /** Deletes hostPath volumes with their claims; only where the node is this machine. */
  readonly removeHostPath?: (path: string) => Promise<void>
  /** Where volumes are made on demand; only where the node is this machine. */
  readonly localVolumes?: LocalVolumes
  /** Who we are in leader elections; undefined: no election, there is no other. */
  readonly identity: string | undefined
  readonly run: { readonly controllers: boolean; readonly scheduler: boolean }
}

/**
 * Runs until the signal aborts, or rejects when a lease was lost. Both loops read from one set of informers, as the controllers'
 * identity: what the scheduler may see is part of what the controllers may.
 */
export async function runControlLoops(deps: ControlLoopsDeps): Promise<void> {
  const { clock, random, log, signal } = deps
  setMaxListeners(0, signal)
  const controllersClient = createClient({ transport: withRetries(deps.controllersTransport, clock), userAgent: 'kube-controller-manager' })
  const schedulerClient = createClient({ transport: withRetries(deps.schedulerTransport, clock), userAgent: 'kube-scheduler' })
  const client = deps.run.controllers ? controllersClient : schedulerClient
  const kinds = await servedKinds(allKinds, { client, clock, random, signal })
  const served = new Set(kinds.map(({ id }) => id))
  const controllers = allControllers({
    kinds,
    rootCaPem: deps.rootCaPem,
    signingCa: deps.signingCa,
    serviceAccountKeyPem: deps.serviceAccountKeyPem,
    podCidr: deps.podCidr,
    dnsIp: deps.dnsIp,
    removeHostPath: deps.removeHostPath,
    localVolumes: deps.localVolumes,
    // What a controller watches first is what it is about.
  }).filter(({ watches: [first] }) => first === undefined || first.kind.custom || served.has(first.kind.id))
  const whole = deps.run.controllers ? needsWholeObjects(controllers, metadataControllers) : () => true
  const cache = createCache(
    { client, clock, random, signal, onError: informerErrors(log, clock) },
    {
      indices: controllerIndices,
      trims: controllerTrims,
      metadataOnly: (kind) => !whole(kind) && !schedulerKinds.has(kind.id),
      served: (kind) => served.has(kind.id),
    },
  )
  const recorder = (client: Client) => (component: string) => createEventRecorder({ client, clock, random, component })
  const loops: Promise<void>[] = []
  if (deps.run.controllers) {
    const onError = (controller: string, key: string, error: unknown): void => log.warn('reconcile failed', { controller, key, error })
    loops.push(
      elected(deps, controllersClient, 'kube-controller-manager', (leading) =>
        runControllers(controllers, {
          cache,
          client: controllersClient,
          clock,
          random,
          signal: leading,
          recorder: recorder(controllersClient),
          onError,
        }),
      ),
    )
  }
  if (deps.run.scheduler) {
    const events = recorder(schedulerClient)('default-scheduler')
    const onError = (pod: string, error: unknown): void => log.warn('scheduling failed', { pod, error })
    loops.push(
      elected(deps, schedulerClient, 'kube-scheduler', (leading) =>
        runScheduler({ cache, client: schedulerClient, clock, random, signal: leading, events, onError }),
      ),
    )
  }
  await Promise.all(loops)
  await cache.ended()
}

// Each renewal is a durable write; twice within the renewal deadline is enough, and an idle cluster stays idle.
const retrySeconds = 5

const schedulerKinds = new Set(['core/v1/pods', 'core/v1/nodes', 'core/v1/namespaces', 'policy/v1/poddisruptionbudgets'])

function elected(deps: ControlLoopsDeps, client: Client, name: string, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { clock, identity, signal, log } = deps
  const led = async (leading: AbortSignal): Promise<void> => {
    setMaxListeners(0, leading)
    log.info('leading', { lease: name })
    try {
      await lead(leading)
    } catch (error) {
      if (!leading.aborted) throw error
    }
  }
  if (identity === undefined) return led(signal)
  return leadWhenElected({ client, clock, namespace: 'kube-system', name, identity, signal, retrySeconds }, led)
}

/** An unreachable server is told once a minute for all informers together: it is one piece of news, not sixty. */
function informerErrors(log: Logger, clock: Clock): (kind: Kind, error: unknown) => void {
  let lastMs = Number.NEGATIVE_INFINITY
  return (kind, error) => {
    const unreachable = error instanceof TransportError
    const now = clock.monotonic()
    if (unreachable && now - lastMs < 60_000) return
    if (unreachable) lastMs = now
    log.warn('watch failed', { resource: kind.id, error })
  }
}
