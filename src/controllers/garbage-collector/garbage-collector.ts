// The garbage collector: what nobody owns any more goes; what is deleted in the foreground waits for its dependents; what is
// deleted as an orphanage leaves them behind (Kubernetes' "Garbage Collection" and "Owners and Dependents").

import { isApiError } from '#api/errors'
import type { OwnerReference } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Client } from '#client/client'
import { type Controller, defineController, type ReconcileContext, type Watch } from '#client/controller'
import { type GraphNode, OwnerGraph } from './graph.ts'

const orphan = 'orphan'
const foreground = 'foregroundDeletion'

/** A controller over all kinds that can be listed, watched and deleted; events own nothing and are left out. */
export function createGarbageCollector(kinds: readonly Kind[]): Controller {
  const watched = kinds.filter(
    ({ verbs, id, strategy }) =>
      verbs.includes('watch') && verbs.includes('delete') && !id.endsWith('/events') && strategy.storedAs === undefined,
  )
  const graph = new OwnerGraph()
  const byOwnerType = new Map(watched.map((kind) => [typeName(kind), kind]))
  const watch = (kind: Kind): Watch => ({
    kind,
    keysOf: (object, old, _cache, change) => concerned(graph, kind, object, old, change),
  })
  const kindOf = (reference: OwnerReference): Kind | undefined => {
    const slash = reference.apiVersion.indexOf('/')
    return byOwnerType.get(`${slash < 0 ? '' : reference.apiVersion.slice(0, slash)}/${reference.kind}`)
  }
  return defineController({
    name: 'garbage-collector-controller',
    concurrency: 20,
    watches: watched.map(watch),
    custom: {
      watch(kind) {
        byOwnerType.set(typeName(kind), kind)
        return watch(kind)
      },
      // Owners of a kind that is gone are gone: the server says so when asked for one, and their dependents go too.
      forget() {},
      // Of owners that only another server can tell of, nothing is known while nobody can be asked: their dependents stay.
      lost: (kind) => void byOwnerType.delete(typeName(kind)),
    },
    async reconcile(uid, context) {
      const node = graph.get(uid)
      if (node === undefined) return
      if (node.deleting && node.finalizers.includes(orphan)) return orphanDependents(node, context)
      if (waits(node)) return finishForeground(node, (dependent) => attemptToDelete(dependent, graph, kindOf, context), context)
      await attemptToDelete(node, graph, kindOf, context)
    },
  })
}

/** Notes the change in the graph; the uids that must be looked at. */
function concerned(
  graph: OwnerGraph,
  kind: Kind,
  object: KubeObject,
  old: KubeObject | undefined,
  change: 'added' | 'updated' | 'deleted',
): string[] {
  const { uid } = object.metadata
  const uids = new Set<string>()
  const drop = (gone: string): void => {
    for (const dependent of graph.remove(gone)) uids.add(dependent.uid)
  }
  const before = graph.get(uid)?.owners ?? []
  if (change === 'deleted') drop(uid)
  else {
    if (old !== undefined && old.metadata.uid !== uid) drop(old.metadata.uid)
    const node = graph.put(kind, object)
    if (node.owners.length > 0 || node.deleting) uids.add(uid)
  }
  // An owner that waits in the foreground may be done when a dependent goes, or lets go of it.
  for (const owner of [...before, ...(object.metadata.ownerReferences ?? [])]) if (graph.get(owner.uid)?.deleting) uids.add(owner.uid)
  return [...uids]
}

async function orphanDependents(node: GraphNode, { client }: ReconcileContext): Promise<undefined> {
  await Promise.all([...node.dependents].map((dependent) => dropOwners(dependent, [node.uid], client)))
  await removeFinalizer(node, orphan, client)
  return undefined
}

/** Deleted in the foreground: it goes when those that block it have gone. */
function waits({ deleting, finalizers }: GraphNode): boolean {
  return deleting && finalizers.includes(foreground)
}

// Dependents are looked at one by one: one that has another owner only lets go of this one.
async function finishForeground(
  node: GraphNode,
  attempt: (dependent: GraphNode) => Promise<void>,
  context: ReconcileContext,
): Promise<undefined> {
  const blocking = [...node.dependents].filter(({ owners }) =>
    owners.some(({ uid, blockOwnerDeletion }) => uid === node.uid && blockOwnerDeletion === true),
  )
  if (blocking.length === 0) {
    await removeFinalizer(node, foreground, context.client)
    return undefined
  }
  await Promise.all([...node.dependents].map(attempt))
  return undefined
}

function typeName({ group, kind }: Kind): string {
  return `${group}/${kind}`
}

type OwnerState = 'solid' | 'dangling' | 'waiting'

async function attemptToDelete(
  node: GraphNode,
  graph: OwnerGraph,
  kindOf: (reference: OwnerReference) => Kind | undefined,
  context: ReconcileContext,
): Promise<void> {
  if (node.owners.length === 0 || node.deleting) return
  const { client } = context
  const states = await Promise.all(
    node.owners.map(async (owner) => ({ owner, state: await ownerState(node, owner, graph.get(owner.uid), kindOf(owner), context) })),
  )
  const inState = (wanted: OwnerState): OwnerReference[] => states.filter(({ state }) => state === wanted).map(({ owner }) => owner)
  const solid = inState('solid')
  const gone = [...inState('dangling'), ...inState('waiting')]
  if (solid.length > 0) {
    if (gone.length > 0)
      await dropOwners(
        node,
        gone.map(({ uid }) => uid),
        client,
      )
    return
  }
  // The cached references may be behind; the live object decides.
  const live = await liveObject(node, client)
  if (live === undefined) return
  const known = new Set(node.owners.map(({ uid }) => uid))
  if ((live.metadata.ownerReferences ?? []).some(({ uid }) => !known.has(uid))) return
  const inForeground = inState('waiting').length > 0 && node.dependents.size > 0
  // In a circle everybody waits for the next: whoever would close it blocks nobody.
  const { resourceVersion } = inForeground && [...node.dependents].some(waits) ? await unblockOwners(live, node, client) : live.metadata
  const policy = live.metadata.finalizers?.includes(orphan)
    ? 'Orphan'
    : inForeground || live.metadata.finalizers?.includes(foreground)
      ? 'Foreground'
      : 'Background'
  await deleteNode(node, policy, client, resourceVersion)
}

async function unblockOwners({ metadata }: KubeObject, node: GraphNode, client: Client): Promise<KubeObject['metadata']> {
  const ownerReferences = metadata.ownerReferences?.map((reference) => ({ ...reference, blockOwnerDeletion: false }))
  const patch = { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, ownerReferences } }
  return (await client.patch(node.kind, node, 'merge', patch)).metadata
}

// What has the uid of an owner but another kind, name or namespace is not what the reference means: the server is asked for that.
async function ownerState(
  node: GraphNode,
  owner: OwnerReference,
  known: GraphNode | undefined,
  kind: Kind | undefined,
  { client, events }: ReconcileContext,
): Promise<OwnerState> {
  // Of a kind that is not served, or a namespaced owner of a cluster-wide object, nothing is known: nothing is deleted.
  if (kind === undefined || (kind.namespaced && node.namespace === '')) return 'solid'
  if (known !== undefined && typeName(known.kind) === typeName(kind) && known.name === owner.name) {
    if (!kind.namespaced || known.namespace === node.namespace) return waits(known) ? 'waiting' : 'solid'
    const { apiVersion, name, uid } = owner
    const meant = `[${apiVersion}/${owner.kind}, namespace: ${node.namespace}, name: ${name}, uid: ${uid}]`
    const message = `ownerRef ${meant} does not exist in namespace ${JSON.stringify(node.namespace)}`
    events.record(subjectOf(node), 'Warning', 'OwnerRefInvalidNamespace', message)
  }
  try {
    const live = await client.get(kind, { namespace: kind.namespaced ? node.namespace : '', name: owner.name })
    if (live.metadata.uid !== owner.uid) return 'dangling'
    return live.metadata.deletionTimestamp !== undefined && live.metadata.finalizers?.includes(foreground) ? 'waiting' : 'solid'
  } catch (error) {
    if (isApiError(error, 'NotFound')) return 'dangling'
    throw error
  }
}

// As much of an object as an event says of it.
function subjectOf({ kind, namespace, name, uid }: GraphNode): KubeObject {
  const metadata = { ...(namespace === '' ? {} : { namespace }), name, uid } as KubeObject['metadata']
  return { apiVersion: kind.apiVersion, kind: kind.kind, metadata }
}

async function liveObject(node: GraphNode, client: Client): Promise<KubeObject | undefined> {
  try {
    const live = await client.get(node.kind, node)
    return live.metadata.uid === node.uid ? live : undefined
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  }
}

async function deleteNode(
  node: GraphNode,
  propagationPolicy: 'Orphan' | 'Foreground' | 'Background',
  client: Client,
  resourceVersion?: string,
): Promise<void> {
  const preconditions = { uid: node.uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) }
  await client.delete(node.kind, node, { propagationPolicy, preconditions }).catch(ignoreGone)
}

async function dropOwners(node: GraphNode, uids: readonly string[], client: Client): Promise<void> {
  const live = await liveObject(node, client)
  const left = live?.metadata.ownerReferences?.filter(({ uid }) => !uids.includes(uid))
  if (live === undefined || left === undefined || left.length === live.metadata.ownerReferences?.length) return
  const patch = { metadata: { uid: node.uid, resourceVersion: live.metadata.resourceVersion, ownerReferences: left } }
  await client.patch(node.kind, node, 'merge', patch).catch(ignoreMissing)
}

async function removeFinalizer(node: GraphNode, finalizer: string, client: Client): Promise<void> {
  const live = await liveObject(node, client)
  if (live === undefined || !live.metadata.finalizers?.includes(finalizer)) return
  const finalizers = live.metadata.finalizers.filter((name) => name !== finalizer)
  const patch = { metadata: { uid: node.uid, resourceVersion: live.metadata.resourceVersion, finalizers } }
  await client.patch(node.kind, node, 'merge', patch).catch(ignoreMissing)
}

function ignoreMissing(error: unknown): void {
  if (!isApiError(error, 'NotFound')) throw error
}

/** Gone, or another object by now: then it is not ours to delete. A changed one is looked at again when its change arrives. */
function ignoreGone(error: unknown): void {
  if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
}
