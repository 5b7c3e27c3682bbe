// Kinds that other API servers have, as far as emptying a namespace needs them: asked for when a namespace goes, since what they have
// at that moment decides.
import type { Kind } from '#api/kind'
import { remoteGroupVersions, remoteKinds } from '#client/aggregated-kinds'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'

export interface AggregatedKinds {
  readonly kinds: readonly Kind[]
  /** `group/version: why`, of servers that do not tell what they have. */
  readonly failures: readonly string[]
}

/** The namespaced kinds of other API servers that can be listed and deleted. */
export async function aggregatedKinds(cache: Cache, client: Client): Promise<AggregatedKinds> {
  const kinds: Kind[] = []
  const failures: string[] = []
  for (const { group, version } of remoteGroupVersions(cache)) {
    try {
      kinds.push(...(await remoteKinds(client, { group, version }, ['list', 'delete'])).filter(({ namespaced }) => namespaced))
    } catch (error) {
      failures.push(`${group}/${version}: ${(error as Error).message}`)
    }
  }
  return { kinds, failures }
}
