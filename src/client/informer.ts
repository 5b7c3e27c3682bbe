// `Informer<T>`: a local, indexed, read-only copy of a collection that knows how fresh it is. It lists once, then watches,
// resumes a broken watch from where it was, and lists again only when history is gone.
import type { Kind } from '#api/kind'
import type { KeyText, KubeObject } from '#api/object'

export interface InformerEvent<T> {
  readonly type: 'added' | 'updated' | 'deleted'
  readonly object: T
  /** For updates: what it was before. */
  readonly old: T | undefined
}

export interface InformerOptions<T> {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Holds kind and metadata of each object and nothing else. */
  readonly metadataOnly?: boolean
  /** Named indices: for each object the values under which it is found. */
  readonly indices?: Readonly<Record<string, (object: T) => readonly string[]>>
  /** Keeps less of each object (drops managedFields, say) to save memory. The result is frozen by the informer. */
  readonly trim?: (object: T) => T
}

export interface Informer<T extends KubeObject> {
  readonly kind: Kind<T>
  /** Whether the first list is in. */
  readonly synced: boolean
  /** Resolves once synced. */
  untilSynced(signal?: AbortSignal): Promise<void>
  get(key: KeyText): T | undefined
  list(namespace?: string): readonly T[]
  byIndex(index: string, value: string): readonly T[]
  /** The resource version up to which this copy is complete. */
  readonly resourceVersion: string
  /** Calls back on every change after it is visible in the copy; existing objects arrive as `added` first, unless `replay` is false. Returns unsubscribe. */
  subscribe(onEvent: (event: InformerEvent<T>) => void, options?: { replay?: boolean }): () => void
}
