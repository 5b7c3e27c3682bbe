// The subresources that the core answers itself. Those that stream, and those that know tokens, come from elsewhere; status is
// every kind's, and scale follows from the kind.
import type { Clock } from '#base/clock'
import type { Store } from '#storage/store'
import type { Registries } from '../registry/registries.ts'
import type { LocalReader } from '../request.ts'
import { bindingHandlers } from './binding.ts'
import { componentStatuses } from './component-statuses.ts'
import { evictionHandler } from './eviction.ts'
import { partHandlers } from './parts.ts'
import type { ResourceHandler } from './subresource.ts'

export interface SubresourceDeps {
  readonly registries: Registries
  readonly reader: LocalReader
  readonly clock: Clock
  readonly store: Store
}

export function coreHandlers(deps: SubresourceDeps): readonly ResourceHandler[] {
  return [...bindingHandlers(deps), evictionHandler(deps), ...partHandlers(deps.clock), componentStatuses(deps.store)]
}
