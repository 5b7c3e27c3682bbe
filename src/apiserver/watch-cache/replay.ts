// Changes from the store's history, for watches that begin before the cache's window: after a restart the window is empty, but the
// store still knows. Read in stretches, the next one when the last has been taken, so that a slow client holds one of them.
import { expired } from '#api/errors'
import { type Store, StoreError, type StoreEvent } from '#storage/store'
import { WindowEvent } from './event-window.ts'
import { type ObjectContext, StoredObject } from './stored-object.ts'

// A stretch ends at the first revision that completes this much.
const stretchEvents = 500
const stretchBytes = 1 << 20

export interface Stretch {
  readonly events: readonly WindowEvent[]
  /** Every change up to this revision has been read. */
  readonly through: number
}

/**
 * The changes under the cache's prefix after a revision: the next stretch of them, whole revisions, in order. Throws Expired when
 * the store has forgotten them.
 */
export async function replayStretch(store: Store, context: ObjectContext, after: number): Promise<Stretch> {
  const { events, through } = await readStretch(store, `${context.kind.storagePrefix}/`, after)
  return { events: events.map((event) => windowEvent(context, event)), through }
}

interface StoreStretch {
  readonly events: StoreEvent[]
  readonly through: number
}

async function readStretch(store: Store, prefix: string, after: number): Promise<StoreStretch> {
  try {
    return await new Promise<StoreStretch>((resolve, reject) => {
      const events: StoreEvent[] = []
      let bytes = 0
      const watch = store.watch(prefix, {
        afterRevision: after,
        onEvents(more) {
          for (const event of more) {
            events.push(event)
            bytes += (event.value?.length ?? 0) + (event.previous?.value.length ?? 0)
          }
          if (events.length >= stretchEvents || bytes >= stretchBytes) finish(more.at(-1)!.revision)
        },
        onProgress: finish,
        onEnd: reject,
      })
      function finish(through: number): void {
        watch.close()
        resolve({ events, through })
      }
    })
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'compacted') throw error
    throw expired(`too old resource version: ${after} (${error.oldestRevision ?? ''})`)
  }
}

function windowEvent(context: ObjectContext, event: StoreEvent): WindowEvent {
  const { key, value, previous: before, revision } = event
  const previous = before && StoredObject.read(context, key, before.value, before.modRevision)
  if (value === undefined) return new WindowEvent('DELETED', previous!.at(revision), previous, revision, 0, 0)
  const current = StoredObject.read(context, key, value, revision)
  return new WindowEvent(previous === undefined ? 'ADDED' : 'MODIFIED', current, previous, revision, 0, 0)
}
