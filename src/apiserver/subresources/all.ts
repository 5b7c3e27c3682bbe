// The subresources that the core answers itself. Those that stream, and those that know tokens, come from elsewhere.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Registries } from '../registry/registries.ts'
import type { KindCatalog, LocalReader } from '../request.ts'
import type { ResourceHandler } from './subresource.ts'

export interface SubresourceDeps {
  readonly registries: Registries
  readonly reader: LocalReader
  readonly clock: Clock
  readonly random: Random
  readonly catalog: KindCatalog
}

export function coreHandlers(_deps: SubresourceDeps): readonly ResourceHandler[] {
  return []
}
