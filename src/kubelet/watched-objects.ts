// Config maps and secrets that pods on this node refer to: one informer for each, started by the first pod that needs it
// and ended with the last. A node may read only those, one by one; so it watches them one by one.
import type { ConfigMap as ConfigMapV1, Secret as SecretV1 } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Secret } from '#api/kinds/core/secret'
import { type KubeObject, keyText } from '#api/object'
import type { Clock } from '#base/clock'
import type { Informer } from '#client/informer'
import type { OpenInformer } from './deps.ts'

export interface WatchedObjectsDeps {
  readonly openInformer: OpenInformer
  readonly clock: Clock
  readonly signal: AbortSignal
  /** One of the objects that this pod uses changed, came or went. */
  readonly onChange: (podUid: string) => void
}

/** How long a pod waits for the first answer before it is told that there is none. */
const firstAnswerMs = 10_000

interface Watched {
  readonly informer: Informer<KubeObject>
  readonly users: Set<string>
  readonly stop: AbortController
}

export interface WatchedObjects {
  /** Undefined: it does not exist. Rejects when the API has not answered yet. */
  configMap(podUid: string, namespace: string, name: string): Promise<ConfigMapV1 | undefined>
  secret(podUid: string, namespace: string, name: string): Promise<SecretV1 | undefined>
  /** The pod needs nothing any more. */
  release(podUid: string): void
  /** How many objects are watched. */
  readonly size: number
}

export function createWatchedObjects(deps: WatchedObjectsDeps): WatchedObjects {
  const watched = new Map<string, Watched>()
  const byPod = new Map<string, Set<string>>()

  function watch(kind: Kind, namespace: string, name: string): Watched {
    const stop = new AbortController()
    const signal = AbortSignal.any([deps.signal, stop.signal])
    const informer = deps.openInformer(kind, { namespace, fieldSelector: `metadata.name=${name}` }, signal)
    const entry: Watched = { informer, users: new Set(), stop }
    informer.subscribe(() => {
      for (const uid of [...entry.users]) deps.onChange(uid)
    })
    return entry
  }

  async function get(kind: Kind, podUid: string, namespace: string, name: string): Promise<KubeObject | undefined> {
    if (name === '') return undefined
    const id = `${kind.resource}/${namespace}/${name}`
    let entry = watched.get(id)
    if (entry === undefined) {
      entry = watch(kind, namespace, name)
      watched.set(id, entry)
    }
    entry.users.add(podUid)
    const ids = byPod.get(podUid)
    if (ids === undefined) byPod.set(podUid, new Set([id]))
    else ids.add(id)
    if (!entry.informer.synced) await firstAnswer(entry.informer, kind, name)
    return entry.informer.get(keyText(namespace, name))
  }

  async function firstAnswer(informer: Informer<KubeObject>, kind: Kind, name: string): Promise<void> {
    const timeout = new AbortController()
    const timer = deps.clock.after(firstAnswerMs, () => timeout.abort(), { background: true })
    try {
      await informer.untilSynced(AbortSignal.any([deps.signal, timeout.signal]))
    } catch (error) {
      throw new Error(`failed to sync ${kind.singular} cache: timed out waiting for the condition: ${name}`, { cause: error })
    } finally {
      timer.cancel()
    }
  }

  return {
    configMap: (podUid, namespace, name) => get(ConfigMap, podUid, namespace, name) as Promise<ConfigMapV1 | undefined>,
    secret: (podUid, namespace, name) => get(Secret, podUid, namespace, name) as Promise<SecretV1 | undefined>,
    release(podUid) {
      for (const id of byPod.get(podUid) ?? []) {
        const entry = watched.get(id)
        entry?.users.delete(podUid)
        if (entry === undefined || entry.users.size > 0) continue
        watched.delete(id)
        entry.stop.abort()
      }
      byPod.delete(podUid)
    },
    get size() {
      return watched.size
    },
  }
}
