// The cluster's sandboxes and containers as the Docker engine has them. What they were meant to be does not change and is read once;
// how they are is asked for each time.
import { type DockerClient, isStatus } from './client.ts'
import { failedToStart, type Inspected, type Listed } from './convert.ts'
import { type ContainerMeta, clusterLabel, type Meta, metaOf, type SandboxMeta, sandboxLabel } from './marks.ts'

export type ListedOurs = Listed & { readonly meta: Meta }
export type InspectedOurs = Inspected & { readonly meta: Meta }

export interface DockerBooks {
  list(options?: { readonly sandboxId?: string; readonly runningOnly?: boolean }): Promise<ListedOurs[]>
  /** Undefined when it is gone, or is none of the cluster's. */
  inspect(id: string): Promise<InspectedOurs | undefined>
  inspectSandbox(id: string): Promise<(Inspected & { readonly meta: SandboxMeta }) | undefined>
  inspectContainer(id: string): Promise<(Inspected & { readonly meta: ContainerMeta }) | undefined>
  /** Notes a container that was created just now. */
  created(id: string, meta: ContainerMeta): void
  noteFailedStart(id: string): void
  /** Whether a container that Docker calls `created` is one that failed to start: Docker's list does not tell. */
  failedStart(id: string): Promise<boolean>
  metaOf(id: string): Meta | undefined
  forget(id: string): void
}

const margin = 256

/** Nothing read yet. */
export function openDockerBooks(client: DockerClient, clusterName: string): DockerBooks {
  const metas = new Map<string, Meta>()
  const failed = new Map<string, boolean>()

  async function inspect(id: string): Promise<InspectedOurs | undefined> {
    try {
      const inspected = await client.call<Inspected>('GET', `/containers/${id}/json`)
      const meta = metas.get(inspected.Id) ?? metaOf(inspected.Config.Labels)
      return meta === undefined ? undefined : { ...inspected, meta }
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  // What was removed behind our back goes when it has piled up.
  const prune = (live: readonly Listed[]): void => {
    if (metas.size <= 2 * live.length + margin) return
    const ids = new Set(live.map((c) => c.Id))
    for (const map of [metas, failed]) for (const id of [...map.keys()]) if (!ids.has(id)) map.delete(id)
  }

  return {
    async list({ sandboxId, runningOnly = false } = {}) {
      const label = [`${clusterLabel}=${clusterName}`, ...(sandboxId === undefined ? [] : [`${sandboxLabel}=${sandboxId}`])]
      const found = await client.call<Listed[]>('GET', '/containers/json', {
        query: { all: !runningOnly, filters: JSON.stringify({ label }) },
      })
      if (sandboxId === undefined && !runningOnly) prune(found)
      return found.flatMap((container) => {
        const meta = metas.get(container.Id) ?? metaOf(container.Labels)
        if (meta === undefined) return []
        metas.set(container.Id, meta)
        return [{ ...container, meta }]
      })
    },
    inspect,
    async inspectSandbox(id) {
      const found = await inspect(id)
      return found?.meta.type === 'sandbox' ? { ...found, meta: found.meta } : undefined
    },
    async inspectContainer(id) {
      const found = await inspect(id)
      return found?.meta.type === 'container' ? { ...found, meta: found.meta } : undefined
    },
    created(id, meta) {
      metas.set(id, meta)
      failed.set(id, false)
    },
    noteFailedStart: (id) => void failed.set(id, true),
    async failedStart(id) {
      const known = failed.get(id)
      if (known !== undefined) return known
      const inspected = await inspect(id)
      const answer = inspected !== undefined && failedToStart(inspected)
      failed.set(id, answer)
      return answer
    },
    metaOf: (id) => metas.get(id),
    forget(id) {
      metas.delete(id)
      failed.delete(id)
    },
  }
}
