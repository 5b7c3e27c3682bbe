// Who set which field: metadata.managedFields, kept with every write (server-side apply, KEP-555).
import { PathElementError } from '#api/apply/path-element'
import { managedFieldsOf, trackUpdate } from '#api/apply/track-update'
import { isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Call } from './call.ts'
import type { RegistryContext } from './context.ts'
import { resetFields } from './reset-fields.ts'

/**
 * Records what a create, update or patch changed as the caller's, compared with what stood there. A promise when another version of
 * the object must be asked for, in which somebody manages it.
 */
export function trackWrite<T extends KubeObject>(
  context: RegistryContext<T>,
  live: T | undefined,
  object: T,
  call: Call,
  subresource: string,
): Promise<void> | undefined {
  const reset = resetFields(context.kind as unknown as Kind, subresource)
  const request = {
    schema: context.kind.schema(),
    apiVersion: context.kind.apiVersion,
    old: live,
    current: object,
    manager: call.fieldManager,
    subresource,
    nowMs: context.clock.now(),
    ...(reset === undefined ? {} : { reset }),
  }
  const put = (entries: ReturnType<typeof trackUpdate>): void => {
    if (entries === undefined) delete object.metadata.managedFields
    else object.metadata.managedFields = entries
  }
  const { versions } = context
  const entries = versions === undefined ? tracked(request) : versions.converting((convert) => tracked({ ...request, convert }))
  if (!(entries instanceof Promise)) {
    put(entries)
    return undefined
  }
  return entries.then(put, (error: unknown) => {
    // Nobody's write fails because of what others manage.
    if (!isApiError(error)) throw error
    put(managedFieldsOf(live))
  })
}

// An object with list items that have no name among the managers' paths is stored nevertheless, and who set what is as it was:
// Kubernetes passes the tracking of such an update by.
function tracked(update: Parameters<typeof trackUpdate>[0]): ReturnType<typeof trackUpdate> {
  try {
    return trackUpdate(update)
  } catch (error) {
    if (error instanceof PathElementError) return managedFieldsOf(update.old)
    throw error
  }
}
