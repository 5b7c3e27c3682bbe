// Kinds that other API servers have, as far as emptying a namespace needs them: asked for when a namespace goes, since those servers'
// discovery cannot be watched.
import type { APIResource } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { APIService } from '#api/kinds/apiregistration/api-service'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'
import { namedKind } from '#client/custom-kinds'

// On APIServices of what the API server has itself, which are most.
const automanaged = 'kube-aggregator.kubernetes.io/automanaged'

export interface AggregatedKinds {
  readonly kinds: readonly Kind[]
  /** `group/version: why`, of servers that do not tell what they have. */
  readonly failures: readonly string[]
}

/** The namespaced kinds of other API servers that can be listed and deleted. */
export async function aggregatedKinds(cache: Cache, client: Client): Promise<AggregatedKinds> {
  const kinds: Kind[] = []
  const failures: string[] = []
  for (const { metadata } of cache.list(APIService)) {
    if (metadata.labels?.[automanaged] !== undefined) continue
    const version = metadata.name.slice(0, metadata.name.indexOf('.'))
    const group = metadata.name.slice(version.length + 1)
    try {
      const answer = await client.raw('GET', `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}`)
      const { resources = [] } = answer as { resources?: readonly APIResource[] }
      for (const { name, kind, singularName, namespaced, verbs } of resources) {
        if (!namespaced || name.includes('/') || !verbs.includes('list') || !verbs.includes('delete')) continue
        kinds.push(namedKind({ group, version, resource: name, kind, singular: singularName, namespaced, verbs }))
      }
    } catch (error) {
      failures.push(`${group}/${version}: ${(error as Error).message}`)
    }
  }
  return { kinds, failures }
}
