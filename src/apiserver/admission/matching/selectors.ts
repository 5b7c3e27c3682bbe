// The selectors of webhooks and policies: by the labels of the namespace, and by those of the object.
import { ApiError } from '#api/errors'
import type { LabelSelector } from '#api/generated/meta-v1'
import { Namespace } from '#api/kinds/core/namespace'
import { isEmptySelector, labelMatcher } from '#api/label-selectors'
import type { KubeObject } from '#api/object'
import type { LocalReader } from '../../request.ts'
import type { AdmissionRequest } from '../plugin.ts'

/** Compiled selectors; undefined ones match everything. */
export interface Selectors {
  readonly namespace: ((labels: Record<string, string> | undefined) => boolean) | undefined
  readonly object: ((labels: Record<string, string> | undefined) => boolean) | undefined
}

export function compileSelectors(namespaceSelector: LabelSelector | undefined, objectSelector: LabelSelector | undefined): Selectors {
  return {
    namespace: isEmptySelector(namespaceSelector) ? undefined : labelMatcher(namespaceSelector),
    object: isEmptySelector(objectSelector) ? undefined : labelMatcher(objectSelector),
  }
}

/** Whether the selectors match. Throws NotFound when the namespace must be looked at and is not there. */
export function selectorsMatch({ namespace, object }: Selectors, request: AdmissionRequest, reader: LocalReader): boolean {
  if (namespace !== undefined && !namespaceMatches(namespace, request, reader)) return false
  if (object === undefined) return true
  return [request.object, request.old].some((one) => one !== undefined && object(one.metadata?.labels))
}

function namespaceMatches(matches: NonNullable<Selectors['namespace']>, request: AdmissionRequest, reader: LocalReader): boolean {
  const { kind, subresource, operation, object } = request
  if (kind.id === Namespace.id) {
    if (subresource === '' && (operation === 'CREATE' || operation === 'UPDATE')) return matches(object?.metadata.labels)
    return matches(namespaceOf(request.name || request.namespace, reader, request.old).metadata.labels)
  }
  if (!kind.namespaced) return true
  return matches(namespaceOf(request.namespace, reader).metadata.labels)
}

function namespaceOf(name: string, reader: LocalReader, fallback?: KubeObject): KubeObject {
  const found = reader.get(Namespace, '', name) ?? fallback
  if (found !== undefined) return found
  throw new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `namespaces "${name}" not found`,
    reason: 'NotFound',
    details: { name, kind: 'namespaces' },
    code: 404,
  })
}
