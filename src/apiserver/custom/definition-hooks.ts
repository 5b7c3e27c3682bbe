// How CustomResourceDefinitions end: their objects go first.
import { forbidden, pathNotFound } from '#api/errors'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { timestamp } from '#base/clock'
import type { RegistryHooks } from '../registry/hooks.ts'
import { cloneJson } from '../registry/written.ts'
import type { LocalReader } from '../request.ts'
import { setCondition } from './names.ts'

/** Holds a definition until none of its objects is left. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

export const definitionHooks: RegistryHooks<CustomResourceDefinition> = {
  divertDelete(definition, nowMs) {
    const { metadata } = definition
    if (metadata.deletionTimestamp !== undefined) return (metadata.finalizers?.length ?? 0) > 0 ? 'pending' : undefined
    const next = cloneJson(definition)
    next.metadata.deletionTimestamp = timestamp(nowMs)
    next.metadata.deletionGracePeriodSeconds = 0
    next.metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), cleanupFinalizer])]
    const conditions = next.status.conditions ?? []
    const message = 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon'
    setCondition(conditions, 'Terminating', 'True', 'InstanceDeletionPending', message, nowMs)
    next.status.conditions = conditions
    return next
  },
}

/** Hooks of the objects: none is made while their definition goes away. */
export function customHooks(reader: LocalReader, kind: Kind): RegistryHooks {
  return {
    async beginCreate({ metadata }) {
      const definition = reader.get(CustomResourceDefinition, '', `${kind.resource}.${kind.group}`)
      if (definition === undefined) throw pathNotFound()
      if (definition.metadata.deletionTimestamp === undefined) return undefined
      throw forbidden(kind, metadata.name, 'create not allowed while custom resource definition is terminating')
    },
  }
}
