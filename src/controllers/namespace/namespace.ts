// Namespace: empties a namespace that is being deleted, pods first (KEP-5080), then lets it go.

import { isApiError } from '#api/errors'
import type { NamespaceCondition, Namespace as NamespaceObject } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import type { Kind } from '#api/kind'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { timestamp } from '#base/clock'
import { type Controller, defineController, type ReconcileContext, type Watch } from '#client/controller'
import { watchKind } from '../watches.ts'
import { aggregatedKinds } from './aggregated-kinds.ts'

// The namespace is looked at again after each deletion in it; this is for what no watch tells.
const lookAgainMs = 5_000

interface Remaining {
  readonly kind: Kind
  readonly count: number
  readonly finalizers: ReadonlyMap<string, number>
}

interface Found {
  readonly remaining: readonly Remaining[]
  readonly failures: readonly string[]
  /** Servers that do not tell what kinds they have. */
  readonly unknown: readonly string[]
}

/** A controller that empties namespaces of these kinds: all namespaced ones that can be listed and deleted. */
export function createNamespaceController(kinds: readonly Kind[]): Controller {
  const contents = kinds.filter(({ namespaced, verbs }) => namespaced && verbs.includes('list') && verbs.includes('delete'))
  const custom = new Map<string, Kind>()
  const watched = contents.filter(({ id }) => !id.endsWith('/events'))
  return defineController({
    name: 'namespace-controller',
    watches: [watchKind(Namespace), ...watched.map(watchContent)],
    custom: {
      watch(kind) {
        if (!kind.namespaced) return undefined
        custom.set(kind.id, kind)
        return watchContent(kind)
      },
      forget: (kind) => void custom.delete(kind.id),
    },
    reads: [APIService],
    concurrency: 4,
    async reconcile(key, context) {
      const namespace = context.cache.get(Namespace, key)
      if (namespace?.metadata.deletionTimestamp === undefined) return
      if (!(namespace.spec.finalizers ?? []).includes('kubernetes')) return
      const others = await aggregatedKinds(context.cache, context.client)
      const all = new Map([...contents, ...custom.values(), ...others.kinds].map((kind) => [kind.id, kind]))
      const { remaining, failures } = await empty(key, [...all.values()], context)
      await tell(namespace, { remaining, failures, unknown: others.failures }, context)
      if (remaining.length > 0 || failures.length > 0 || others.failures.length > 0) return lookAgainMs
      const finalizers = (namespace.spec.finalizers ?? []).filter((name) => name !== 'kubernetes')
      const path = `/api/v1/namespaces/${encodeURIComponent(key)}/finalize`
      await context.client.raw('PUT', path, { ...namespace, spec: { ...namespace.spec, finalizers } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    },
  })
}

function watchContent(kind: Kind): Watch {
  const isTerminating: NonNullable<Watch['keysOf']> = (object, _old, cache) => {
    const namespace = object.metadata.namespace ?? ''
    return cache.get(Namespace, namespace)?.metadata.deletionTimestamp === undefined ? [] : [namespace]
  }
  return { kind, keysOf: isTerminating }
}

/** Deletes what is there; says what is left. While pods are left, nothing else is touched. */
async function empty(
  namespace: string,
  contents: readonly Kind[],
  { client }: ReconcileContext,
): Promise<{ remaining: Remaining[]; failures: string[] }> {
  const remaining: Remaining[] = []
  const failures: string[] = []
  const clear = async (kind: Kind): Promise<void> => {
    try {
      const before = await client.list(kind, { namespace, metadataOnly: true, limit: 500 })
      if (before.items.length === 0) return
      if (before.items.some(({ metadata }) => metadata.deletionTimestamp === undefined))
        await deleteAll(kind, namespace, before.items, client)
      const after = await client.list(kind, { namespace, metadataOnly: true, limit: 500 })
      if (after.items.length === 0) return
      remaining.push({
        kind,
        count: after.items.length + (after.metadata.remainingItemCount ?? 0),
        finalizers: countFinalizers(after.items),
      })
    } catch (error) {
      if (isApiError(error, 'NotFound') || isApiError(error, 'MethodNotAllowed')) return
      failures.push((error as Error).message)
    }
  }
  await clear(Pod)
  if (remaining.length > 0) return { remaining, failures }
  for (const kind of contents) if (kind.id !== Pod.id) await clear(kind)
  return { remaining, failures }
}

async function deleteAll(kind: Kind, namespace: string, items: readonly KubeObject[], client: ReconcileContext['client']): Promise<void> {
  if (kind.verbs.includes('deletecollection')) return client.deleteCollection(kind, { namespace, propagationPolicy: 'Background' })
  for (const { metadata } of items) {
    await client.delete(kind, { namespace, name: metadata.name }, { propagationPolicy: 'Background' }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }
}

function countFinalizers(items: readonly KubeObject[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { metadata } of items) for (const name of metadata.finalizers ?? []) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

async function tell(
  namespace: NamespaceObject,
  { remaining, failures, unknown }: Found,
  { client, clock }: ReconcileContext,
): Promise<void> {
  const now = timestamp(clock.now())
  const resource = ({ kind }: Remaining): string => (kind.group === '' ? `${kind.resource}.` : `${kind.resource}.${kind.group}`)
  const finalizers = new Map<string, number>()
  for (const one of remaining) for (const [name, count] of one.finalizers) finalizers.set(name, (finalizers.get(name) ?? 0) + count)
  const held = [...finalizers].filter(([name]) => name !== 'foregroundDeletion' && name !== 'orphan')
  const entry = (
    type: string,
    bad: boolean,
    [badReason, badMessage]: [string, string],
    [reason, message]: [string, string],
  ): NamespaceCondition => ({
    type,
    status: bad ? 'True' : 'False',
    lastTransitionTime:
      namespace.status.conditions?.find((c) => c.type === type && c.status === (bad ? 'True' : 'False'))?.lastTransitionTime ?? now,
    reason: bad ? badReason : reason,
    message: bad ? badMessage : message,
  })
  const left = remaining.map((one) => `${resource(one)} has ${one.count} resource instances`).join(', ')
  const waiting = held.map(([name, count]) => `${name} in ${count} resource instances`).join(', ')
  const conditions = [
    entry(
      'NamespaceDeletionDiscoveryFailure',
      unknown.length > 0,
      [
        'DiscoveryFailed',
        `Discovery failed for some groups, ${unknown.length} failing: unable to retrieve the complete list of server APIs: ${unknown.join(', ')}`,
      ],
      ['ResourcesDiscovered', 'All resources successfully discovered'],
    ),
    entry(
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      ['', ''],
      ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    ),
    entry(
      'NamespaceDeletionContentFailure',
      failures.length > 0,
      ['ContentDeletionFailed', `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(', ')}`],
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    entry(
      'NamespaceContentRemaining',
      remaining.length > 0,
      ['SomeResourcesRemain', `Some resources are remaining: ${left}`],
      ['ContentRemoved', 'All content successfully removed'],
    ),
    entry(
      'NamespaceFinalizersRemaining',
      held.length > 0,
      ['SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${waiting}`],
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ]
  if (remaining.length === 0 && failures.length === 0 && unknown.length === 0) return
  if (canonicalJson(conditions) === canonicalJson(namespace.status.conditions ?? [])) return
  const patch = { status: { conditions } }
  await client
    .patch(Namespace, { namespace: '', name: namespace.metadata.name }, 'merge', patch, { subresource: 'status' })
    .catch((error) => {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
    })
}
