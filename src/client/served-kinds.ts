// Which kinds an API server serves at the moment, by its discovery: some may be switched off there.
import { isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { Backoff } from '#base/backoff'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from './client.ts'

interface ResourceList {
  readonly resources?: readonly { readonly name: string }[]
}

/** Those of `kinds` that are served. Asks until it is answered; rejects when the signal aborts. */
export async function servedKinds(
  kinds: readonly Kind[],
  { client, clock, random, signal }: { client: Client; clock: Clock; random: Random; signal: AbortSignal },
): Promise<readonly Kind[]> {
  const backoff = new Backoff({ initialMs: 50, maxMs: 5_000, jitter: 0.5, random })
  for (;;) {
    try {
      const versions = [...new Set(kinds.map(({ apiVersion }) => apiVersion))]
      const lists = new Map(
        await Promise.all(versions.map(async (version) => [version, await resourcesOf(client, version, signal)] as const)),
      )
      return kinds.filter(({ apiVersion, resource }) => lists.get(apiVersion)?.has(resource) === true)
    } catch (error) {
      if (signal.aborted) throw error
      await clock.sleep(backoff.next(), signal)
    }
  }
}

async function resourcesOf(client: Client, apiVersion: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  try {
    const { resources = [] } = (await client.raw('GET', path, undefined, { signal })) as ResourceList
    return new Set(resources.map(({ name }) => name))
  } catch (error) {
    if (isApiError(error, 'NotFound')) return new Set()
    throw error
  }
}
