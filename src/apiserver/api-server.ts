// The API server without its sockets. `createApiCore` is the heart: watch caches, registries, admission and the dispatch of
// resource requests over one Store. The pipeline (authentication, authorization, discovery, …) is put around it.
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { MutableKindCatalog } from './kind-catalog.ts'
import type { Registries } from './registry/registries.ts'
import type { Handler, LocalReader } from './request.ts'
import type { ResourceHandler } from './subresources/subresource.ts'

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
