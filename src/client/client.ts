// The verbs, typed by kind, over any Transport. Errors are ApiErrors (the server's Status) or TransportErrors.
import type { Kind } from '#api/kind'
import type { KubeList, KubeObject, Manifest, ObjectKey } from '#api/object'
import type { Transport } from './transport.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface WriteOptions extends CallOptions {
  readonly dryRun?: boolean
  /** Name in managedFields; default: the client's own. */
  readonly fieldManager?: string
  /** `status`, `scale`, `binding`, … */
  readonly subresource?: string
}

export interface ListOptions extends CallOptions {
  /** Empty or absent: all namespaces. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly limit?: number
  readonly continue?: string
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
  /** Only kind and metadata of each object (PartialObjectMetadata): for those who need no more. */
  readonly metadataOnly?: boolean
}

export interface DeleteOptions extends CallOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly initialEventsEnd: boolean }

export type PatchType = 'json' | 'merge' | 'strategic'

/** A typed view of an API server. `key` is an ObjectKey (`namespace` empty at cluster scope). */
export interface Client {
  readonly transport: Transport
  get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options?: CallOptions & { subresource?: string }): Promise<T>
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<KubeList<T>>
  /**
   * Events from `resourceVersion` on. Throws ApiError Expired/Gone when history does not reach back; ends normally when
   * the server closes the watch.
   */
  watch<T extends KubeObject>(
    kind: Kind<T>,
    options: Omit<ListOptions, 'limit' | 'continue'> & { sendInitialEvents?: boolean; timeoutSeconds?: number },
  ): AsyncGenerator<WatchEvent<T>>
  create<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options?: WriteOptions): Promise<T>
  update<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options?: WriteOptions): Promise<T>
  updateStatus<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options?: WriteOptions): Promise<T>
  patch<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, type: PatchType, patch: unknown, options?: WriteOptions): Promise<T>
  apply<T extends KubeObject>(
    kind: Kind<T>,
    object: Manifest<T>,
    options: WriteOptions & { fieldManager: string; force?: boolean },
  ): Promise<T>
  delete<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options?: DeleteOptions): Promise<void>
  deleteCollection<T extends KubeObject>(kind: Kind<T>, options: ListOptions & DeleteOptions): Promise<void>
  /** POST to a subresource that takes another kind: binding, eviction, token. Resolves with the decoded answer. */
  createSubresource<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    subresource: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<unknown>
  /** Any path, JSON in and out; throws the Status of an answer ≥ 400. */
  raw(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, options?: CallOptions): Promise<unknown>
}
