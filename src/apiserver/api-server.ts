// The API server without its sockets. `createApiCore` is the heart: watch caches, registries, admission and the dispatch of
// resource requests over one Store. The pipeline (authentication, authorization, discovery, …) is put around it.
import { randomUUID } from 'node:crypto'
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import { createAdmission } from './admission/admission.ts'
import { admissionPlugins } from './admission/all.ts'
import { createKindCatalog, type MutableKindCatalog } from './kind-catalog.ts'
import { createLocalReader } from './local-reader.ts'
import { createRegistries, isStored, type Registries } from './registry/registries.ts'
import type { ApiRequest, Handler, LocalReader } from './request.ts'
import { coreHandlers } from './subresources/all.ts'
import type { ResourceHandler } from './subresources/subresource.ts'
import { createBookmarks } from './verbs/bookmarks.ts'
import { createDispatch, handlerKey } from './verbs/dispatch.ts'
import { CacheFeed } from './watch-cache/cache-feed.ts'

export interface ApiCoreDeps {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly kinds: readonly Kind[]
  /** One or two ranges for Services, the first names the default family: `10.96.0.0/12`. */
  readonly serviceCidrs: readonly string[]
  readonly nodePortRange: { readonly from: number; readonly to: number }
  /** Where the `kubernetes` service leads: this server's address as pods reach it. */
  readonly advertise: { readonly address: string; readonly port: number }
  /** Freezes decoded objects to the bottom, so that a mutation fails on its own line. For tests and development. */
  readonly deepFreeze?: boolean
  /** Handlers of what the core does not answer itself: exec, log, proxy, token, reviews. Called once the core stands. */
  readonly handlers?: (core: ApiCore) => readonly ResourceHandler[]
  /** Asked before a PUT or an apply creates what was not there: throws Forbidden when the request's user may not create. */
  readonly authorizeCreate?: (request: ApiRequest) => Promise<void>
  /** Fresh values of metadata.uid; default: from the platform's randomness. */
  readonly newUid?: () => string
  /** A message for the log, about something that went wrong behind the scenes. */
  readonly log?: (message: string, error?: unknown) => void
}

export interface ApiCore {
  /** Answers resource requests (`request.info.isResource`), and says 404 to all others. Throws ApiErrors. */
  readonly dispatch: Handler
  readonly reader: LocalReader
  readonly catalog: MutableKindCatalog
  readonly registries: Registries
  /** Resolves when every watch cache holds what the store held at the start; requests wait for their own cache only. */
  untilSynced(): Promise<void>
  readonly synced: boolean
  /** Ends watches and timers. The store stays open; who opened it closes it. */
  close(): Promise<void>
}

/** The core over an open store. It answers at once; requests wait until what they need is loaded. */
export async function createApiCore(deps: ApiCoreDeps): Promise<ApiCore> {
  const { store, clock, random } = deps
  const catalog = createKindCatalog(deps.kinds)
  const feed = new CacheFeed({
    store,
    clock,
    ...(deps.deepFreeze === undefined ? {} : { deepFreeze: deps.deepFreeze }),
    ...(deps.log === undefined ? {} : { log: deps.log }),
  })
  const bookmarks = createBookmarks(clock)
  const reader: LocalReader = {
    get: (kind, namespace, name) => local.get(kind, namespace, name),
    list: (kind, namespace) => local.list(kind, namespace),
    onChange: (kind, changed) => local.onChange(kind, changed),
  }
  const registries = createRegistries({
    store,
    clock,
    random,
    newUid: deps.newUid ?? randomUUID,
    admission: createAdmission(admissionPlugins({ reader, store, clock, random })),
    decoded: feed.decoded,
    catalog,
    feed,
    hooksOf: () => ({}),
  })
  const local = createLocalReader(registries)
  for (const kind of catalog.all()) if (isStored(kind)) registries.of(kind)

  const handlers = new Map<string, ResourceHandler>()
  const core: ApiCore = {
    dispatch: createDispatch({
      store,
      clock,
      random,
      registries,
      catalog,
      bookmarks,
      handlers: () => handlers,
      ...(deps.authorizeCreate === undefined ? {} : { authorizeCreate: deps.authorizeCreate }),
    }),
    reader,
    catalog,
    registries,
    untilSynced: () => feed.start(),
    get synced() {
      return feed.synced
    },
    async close() {
      bookmarks.close()
      feed.close()
    },
  }
  for (const handler of [...coreHandlers({ registries, reader, clock, random, catalog }), ...(deps.handlers?.(core) ?? [])]) {
    handlers.set(handlerKey(handler.group, handler.resource, handler.subresource), handler)
  }
  void feed.start()
  return core
}
