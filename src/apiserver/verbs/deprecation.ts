// Warnings that come with every answer about a kind that should no longer be used.
import type { Kind } from '#api/kind'
import { customDeprecation } from '../custom/custom-kind.ts'

const builtIn: Readonly<Record<string, string>> = {
  'core/v1/componentstatuses': 'v1 ComponentStatus is deprecated in v1.19+',
  'core/v1/endpoints': 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
}

/** The warning; undefined for kinds in good standing. */
export function deprecation(kind: Kind): string | undefined {
  return kind.custom ? customDeprecation(kind) : builtIn[kind.id]
}
