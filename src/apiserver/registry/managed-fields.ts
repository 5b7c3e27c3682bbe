// Who set which field: metadata.managedFields, kept with every write (server-side apply, KEP-555).
import type { KubeObject } from '#api/object'
import type { Call } from './call.ts'
import type { RegistryContext } from './context.ts'

/** Records what a create, update or patch changed as the caller's, compared with what stood there. */
export function trackWrite<T extends KubeObject>(
  _context: RegistryContext<T>,
  _live: T | undefined,
  _object: T,
  _call: Call,
  _subresource: string,
): void {}
