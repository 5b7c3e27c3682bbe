// A watch of a custom kind: each event is shown in the version that is watched before a selector looks at it. That may take a webhook's
// answer; events then wait in the cache's window, in order, and a conversion that fails ends this watch and nothing else.
import { ApiError, internalError } from '#api/errors'
import type { VersionView } from '../custom/version-view.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { type CacheEvent, type CacheSelector, type CacheWatch, selects, type WatchConsumer } from '../watch-cache/watch-cache.ts'

/**
 * Tells the consumer what its selector makes of the event, as `versions` shows the objects. False when the consumer wants no more for now;
 * a promise when a webhook must be asked first, which rejects when that fails.
 */
export function tellShown(
  versions: VersionView,
  selector: CacheSelector,
  event: CacheEvent,
  consumer: Pick<WatchConsumer, 'onEvent'>,
): boolean | Promise<boolean> {
  const before = event.previous === undefined ? undefined : versions.show(event.previous as StoredObject)
  // A deleted object is its last state.
  const now = event.type === 'DELETED' ? before! : versions.show(event.current as StoredObject)
  const tell = (current: StoredObject, previous: StoredObject | undefined): boolean => {
    const is = event.type !== 'DELETED' && selects(selector, current, undefined)
    const was = previous !== undefined && selects(selector, previous, undefined)
    if (is) return consumer.onEvent(was ? 'MODIFIED' : 'ADDED', current, event)
    return was ? consumer.onEvent('DELETED', previous.at(event.revision), event) : true
  }
  if (!(now instanceof Promise) && !(before instanceof Promise)) return tell(now, before)
  return Promise.all([now, before]).then(([current, previous]) => tell(current, previous))
}

/** Like `cache.watch`, with the objects as `versions` shows them. */
export function watchShown(
  cache: ResourceCache,
  versions: VersionView,
  afterRevision: number,
  selector: CacheSelector,
  consumer: WatchConsumer,
): CacheWatch {
  const { namespace, name } = selector
  const place: CacheSelector = { ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { name }) }
  // Up to where events were told, while the next one waits for its conversion.
  let told = afterRevision
  let converting = false
  let closed = false
  const fail = (error: unknown): false => {
    if (!closed) {
      closed = true
      base.close()
      consumer.onEnd(error instanceof ApiError ? error : internalError('the watch failed', error))
    }
    return false
  }
  // A consumer that was told after its watch was closed would speak to nobody.
  const open: Pick<WatchConsumer, 'onEvent'> = {
    onEvent: (type, object, event) => !closed && consumer.onEvent(type, object, event),
  }
  const base = cache.watch(afterRevision, place, {
    onEvent(_type, _object, event) {
      try {
        const more = tellShown(versions, selector, event, open)
        if (typeof more === 'boolean') {
          told = event.revision
          return more
        }
        converting = true
        more.then((wantsMore) => {
          converting = false
          told = event.revision
          if (wantsMore && !closed) base.resume()
        }, fail)
        return false
      } catch (error) {
        return fail(error)
      }
    },
    onEnd: (error) => consumer.onEnd(error),
  })
  return {
    resume() {
      if (!converting && !closed) base.resume()
    },
    get revision() {
      return converting ? told : base.revision
    },
    close() {
      closed = true
      base.close()
    },
  }
}
