// The kinds that other API servers have, behind APIServices, for controllers that look at all kinds. Their discovery cannot be
// watched: it is asked for when an APIService changes, and now and then. A server that does not answer takes nothing away.
import type { APIResource } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { APIService } from '#api/kinds/apiregistration/api-service'
import type { Clock } from '#base/clock'
import type { Client } from './client.ts'
import type { Cache } from './controller.ts'
import { namedKind } from './custom-kinds.ts'

// On APIServices of what the API server has itself, which are most.
const automanaged = 'kube-aggregator.kubernetes.io/automanaged'
const askAgainMs = 30_000

/** What is to be known of an APIService to ask for its kinds. */
export interface RemoteGroupVersion {
  readonly group: string
  readonly version: string
  /** Of several versions of a group, the one with the greatest is preferred. */
  readonly priority: number
}

/** The versions of groups that other servers have. */
export function remoteGroupVersions(cache: Cache): RemoteGroupVersion[] {
  return cache.list(APIService).flatMap(({ metadata, spec }) => {
    if (metadata.labels?.[automanaged] !== undefined) return []
    const version = metadata.name.slice(0, metadata.name.indexOf('.'))
    // Of some kinds only metadata is held.
    return [{ version, group: metadata.name.slice(version.length + 1), priority: spec?.versionPriority ?? 0 }]
  })
}

/** The kinds of one of them that have all of these verbs. Rejects when its server does not answer. */
export async function remoteKinds(
  client: Client,
  { group, version }: Pick<RemoteGroupVersion, 'group' | 'version'>,
  verbs: readonly string[],
): Promise<Kind[]> {
  const answer = await client.raw('GET', `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}`)
  const { resources = [] } = answer as { resources?: readonly APIResource[] }
  return resources
    .filter((resource) => !resource.name.includes('/') && verbs.every((verb) => resource.verbs.includes(verb)))
    .map(({ name, kind, singularName, namespaced, verbs: has }) =>
      namedKind({ group, version, resource: name, kind, singular: singularName, namespaced, verbs: has }),
    )
}

export interface AggregatedKindsListener {
  added(kind: Kind): void
  /** It is not served here any more; what becomes of its objects nobody knows. */
  lost(kind: Kind): void
}

export interface AggregatedKindsDeps {
  readonly cache: Cache
  readonly client: Client
  readonly clock: Clock
  readonly signal: AbortSignal
}

const needed = ['list', 'watch', 'delete']

/** Tells the listener what comes and goes until the signal aborts. Each resource is told in one version. */
export async function followAggregatedKinds({ cache, client, clock, signal }: AggregatedKindsDeps, listener: AggregatedKindsListener) {
  const known = new Map<string, Kind>()
  // What the servers said last, by group and version.
  const said = new Map<string, readonly Kind[]>()
  let wake: () => void = () => undefined
  const stop = cache.informer(APIService).subscribe(({ object }) => {
    if (object.metadata.labels?.[automanaged] === undefined) wake()
  })
  while (!signal.aborted) {
    const changed = new Promise<void>((resolve) => {
      wake = resolve
    })
    const versions = remoteGroupVersions(cache).sort((a, b) => b.priority - a.priority)
    await Promise.all(
      versions.map(async (version) => {
        const kinds = await remoteKinds(client, version, needed).catch(() => undefined)
        if (kinds !== undefined) said.set(`${version.group}/${version.version}`, kinds)
      }),
    )
    if (signal.aborted) break
    const wanted = new Map<string, Kind>()
    for (const { group, version } of versions) {
      for (const kind of said.get(`${group}/${version}`) ?? []) {
        const name = `${group}/${kind.resource}`
        if (!wanted.has(name)) wanted.set(name, kind)
      }
    }
    for (const [name, kind] of known) {
      if (wanted.get(name)?.id === kind.id) continue
      known.delete(name)
      listener.lost(kind)
    }
    for (const [name, kind] of wanted) {
      if (known.has(name)) continue
      known.set(name, kind)
      listener.added(kind)
    }
    await pause(clock, versions.length > 0 ? askAgainMs : undefined, changed, signal)
  }
  stop()
}

// Until something changes, the time is over, or nobody wants to know any more.
async function pause(clock: Clock, ms: number | undefined, changed: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
  })
  const due = ms === undefined ? [] : [clock.sleep(ms, over.signal).catch(() => undefined)]
  await Promise.race([changed, aborted, ...due])
  over.abort()
}
