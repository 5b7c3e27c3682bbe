// What the driver remembers of sandboxes and containers, so that lists and events need not ask the engine once more. All of it can be
// asked again: nothing here is the truth.

export interface KnownSandbox {
  readonly ips: readonly string[]
  /** Absent until somebody asked for it. */
  readonly netns?: { readonly path: string | undefined }
}

export interface KnownPod {
  readonly podUid: string
  readonly isSandbox: boolean
}

export interface Known {
  /** Sandboxes that were ready when last seen. */
  readonly sandboxes: Map<string, KnownSandbox>
  /** The sandbox of a container. */
  readonly sandboxOf: Map<string, string>
  /** The pod of a sandbox or container. */
  readonly pods: Map<string, KnownPod>
  forget(id: string): void
  /** Forgets what is no longer listed, when it has piled up. Usually an event says when to forget. */
  prune(which: 'sandboxes' | 'containers', live: readonly { readonly id: string }[]): void
}

const margin = 256

/** Nothing known yet. */
export function openKnown(): Known {
  const known: Known = {
    sandboxes: new Map(),
    sandboxOf: new Map(),
    pods: new Map(),
    forget(id) {
      for (const map of [known.sandboxes, known.sandboxOf, known.pods]) map.delete(id)
    },
    prune(which, live) {
      const map = which === 'sandboxes' ? known.sandboxes : known.sandboxOf
      if (map.size <= 2 * live.length + margin) return
      const ids = new Set(live.map((l) => l.id))
      for (const id of [...map.keys()]) if (!ids.has(id)) known.forget(id)
    },
  }
  return known
}
