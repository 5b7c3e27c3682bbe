// How namespaces end: a deletion only begins it. The namespace controller empties the namespace, then takes the finalizer out of
// its spec, and with that it is gone.
import type { Namespace } from '#api/kinds/core/namespace'
import { timestamp } from '#base/clock'
import type { RegistryHooks } from './hooks.ts'
import { cloneJson } from './written.ts'

export const namespaceHooks: RegistryHooks<Namespace> = {
  mayDeleteOnUpdate: ({ spec }) => (spec.finalizers?.length ?? 0) === 0,
  divertDelete(namespace, nowMs) {
    const { metadata, spec } = namespace
    if (metadata.deletionTimestamp !== undefined) return (spec.finalizers?.length ?? 0) > 0 ? 'pending' : undefined
    const next = cloneJson(namespace)
    next.metadata.deletionTimestamp = timestamp(nowMs)
    next.status.phase = 'Terminating'
    return next
  },
}
