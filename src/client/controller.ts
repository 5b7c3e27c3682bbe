// `Controller`: a name, what it watches, and reconcile(key). The runner owns queue, workers, retries and fairness; a
// controller only reads its cache and moves the present toward the wish.

import type { Kind } from '#api/kind'
import type { KeyText, KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from './client.ts'
import type { EventRecorder } from './events.ts'
import type { Informer } from './informer.ts'

/** One thing a controller looks at: which changes of which kind concern which keys. */
export interface Watch {
  readonly kind: Kind
  /** The keys to reconcile after this change. `old` is there for updates and deletions; `object` is then the last state. */
  readonly keysOf: (
    object: KubeObject,
    old: KubeObject | undefined,
    cache: Cache,
    change: 'added' | 'updated' | 'deleted',
  ) => readonly KeyText[]
  /** Additions and updates that matter; default: all. Deletions always do: nothing differs in them from what was there before. */
  readonly when?: (object: KubeObject, old: KubeObject | undefined) => boolean
}

/** Reads across kinds, from the informers that the runner shares among controllers. */
export interface Cache {
  informer<T extends KubeObject>(kind: Kind<T>): Informer<T>
  get<T extends KubeObject>(kind: Kind<T>, key: KeyText): T | undefined
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[]
  /** Objects of `kind` whose controller owner is `owner` (by uid). */
  ownedBy<T extends KubeObject>(kind: Kind<T>, owner: KubeObject): readonly T[]
}

export interface ReconcileContext {
  readonly cache: Cache
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly events: EventRecorder
  readonly signal: AbortSignal
}

export interface Controller {
  readonly name: string
  /** As whom its events are told; default: its name. */
  readonly component?: string
  readonly watches: readonly Watch[]
  /** Kinds that it only reads; their changes trigger nothing. */
  readonly reads?: readonly Kind[]
  /** For controllers that look at all kinds: those of CustomResourceDefinitions and of other API servers, which come and go. */
  readonly custom?: {
    /** What to watch of a kind that is there now, if anything. */
    watch(kind: Kind): Watch | undefined
    /** The kind is there no more, or goes on as another version. */
    forget(kind: Kind): void
    /** The kind is not served any more, and nobody knows what became of its objects. Default: as if it were there no more. */
    lost?(kind: Kind): void
  }
  /** Keys worked on at once; default 4. */
  readonly concurrency?: number
  /** Moves one object toward its wish. Returns milliseconds after which to look again, if that is needed. Throwing retries with backoff. */
  reconcile(key: KeyText, context: ReconcileContext): Promise<number | undefined>
  /** For what is not driven by keys: runs beside the workers until the signal aborts. */
  readonly background?: (context: ReconcileContext) => Promise<void>
}

/** Identity function that gives a controller literal its type. */
export function defineController(controller: Controller): Controller {
  return controller
}
