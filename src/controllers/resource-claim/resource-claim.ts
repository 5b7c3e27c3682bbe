// ResourceClaims of pods (KEP-4381): claims are made from templates, reservations of pods that are done are taken back, and what
// was made for a pod that will not run goes. Keys begin with `pod:` or `claim:`.
import { isApiError } from '#api/errors'
import type { Pod as PodObject, PodResourceClaim } from '#api/generated/core-v1'
import type { ResourceClaim as ClaimObject, ResourceClaimTemplate as TemplateObject } from '#api/generated/resource-v1'
import { Pod } from '#api/kinds/core/pod'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { ResourceClaimTemplate } from '#api/kinds/resource/resource-claim-template'
import { controllerOf, keyOf, keyText, type Manifest, parseKey } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { claimReservationsMax, podClaimName } from '#api/resource-claims'
import { type Cache, defineController, type ReconcileContext, type Watch } from '#client/controller'

const podClaimAnnotation = 'resource.kubernetes.io/pod-claim-name'
const finalizer = 'resource.kubernetes.io/delete-protection'
const fieldManager = 'ResourceClaimController'
// A name has 63 characters; a hyphen and five random ones come on top.
const baseLengthMax = 57

export const podsByResourceClaim = 'resourceClaims'
export const podsByResourceClaimTemplate = 'resourceClaimTemplates'

/** Index: keys of the claims that a pod uses. */
export function resourceClaimKeys(pod: PodObject): string[] {
  const names = (pod.spec.resourceClaims ?? []).map((claim) => podClaimName(pod, claim))
  const extended = pod.status?.extendedResourceClaimStatus?.resourceClaimName
  return [...names, extended].flatMap((name) => (name ? [keyText(pod.metadata.namespace, name)] : []))
}

/** Index: keys of the templates that a pod's claims are made from. */
export function resourceClaimTemplateKeys({ metadata, spec }: PodObject): string[] {
  return (spec.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) =>
    name === undefined ? [] : [keyText(metadata.namespace, name)],
  )
}

const podKey = (pod: { metadata: PodObject['metadata'] }): string => `pod:${keyOf(pod)}`
const podsOf = (cache: Cache, index: string, key: string): string[] => cache.informer(Pod).byIndex(index, key).map(podKey)

const podWatch: Watch = {
  kind: Pod,
  keysOf(object) {
    const pod = object as PodObject
    return [podKey(pod), ...resourceClaimKeys(pod).map((key) => `claim:${key}`)]
  },
  when: (object) => {
    const pod = object as PodObject
    return (pod.spec.resourceClaims ?? []).length > 0 || pod.status?.extendedResourceClaimStatus !== undefined
  },
}

export const resourceClaimController = defineController({
  name: 'resource_claim',
  watches: [
    { kind: ResourceClaim, keysOf: (claim, _old, cache) => [`claim:${keyOf(claim)}`, ...podsOf(cache, podsByResourceClaim, keyOf(claim))] },
    podWatch,
    { kind: ResourceClaimTemplate, keysOf: (template, _old, cache) => podsOf(cache, podsByResourceClaimTemplate, keyOf(template)) },
  ],
  async reconcile(key, context) {
    if (key.startsWith('pod:')) await syncPod(key.slice('pod:'.length), context)
    else await syncClaim(key.slice('claim:'.length), context)
    return
  },
})

/** A pod that has ended, or that was deleted before it had a node, needs its claims no more. */
function isDone(pod: PodObject): boolean {
  return isPodTerminal(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.spec.nodeName)
}

async function syncPod(key: string, context: ReconcileContext): Promise<void> {
  const { cache, client, events } = context
  const pod = cache.get(Pod, key)
  const claims = pod?.spec.resourceClaims ?? []
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod) || claims.length === 0) return
  const made = new Map((pod.status.resourceClaimStatuses ?? []).map(({ name, resourceClaimName }) => [name, resourceClaimName]))
  let changed = false
  for (const claim of claims) {
    if (claim.resourceClaimTemplateName === undefined) continue
    try {
      const name = await makeClaim(pod, claim, claim.resourceClaimTemplateName, context)
      if (name === made.get(claim.name)) continue
      made.set(claim.name, name)
      changed = true
    } catch (error) {
      const message = `PodResourceClaim ${claim.name}: ${(error as Error).message}`
      events.record(pod, 'Warning', 'FailedResourceClaimCreation', message)
      throw new Error(`pod ${key}, ${message}`, { cause: error })
    }
  }
  if (changed) {
    const resourceClaimStatuses = [...made].map(([name, resourceClaimName]) => ({
      name,
      ...(resourceClaimName === undefined ? {} : { resourceClaimName }),
    }))
    const { name, namespace = '' } = pod.metadata
    const options = { fieldManager, force: true, subresource: 'status' }
    await client.apply(Pod, { metadata: { name, namespace }, status: { resourceClaimStatuses } } as Manifest<PodObject>, options)
  }
  if (pod.spec.nodeName) for (const claim of claims) await reserve(pod, claim, context)
}

/** The name of the claim from a template; makes it where it is missing. */
async function makeClaim(
  pod: PodObject,
  podClaim: PodResourceClaim,
  templateName: string,
  { cache, client }: ReconcileContext,
): Promise<string | undefined> {
  const { namespace = '', uid } = pod.metadata
  const known = podClaimName(pod, podClaim)
  if (known === '') return undefined
  const isOwn = (claim: ClaimObject): boolean => controllerOf(claim)?.uid === uid
  const standing = known === undefined ? undefined : cache.get(ResourceClaim, keyText(namespace, known))
  if (standing !== undefined && isOwn(standing)) return known
  // One that was made, but not noted in the pod.
  const orphan = cache.ownedBy(ResourceClaim, pod).find(({ metadata }) => metadata.annotations?.[podClaimAnnotation] === podClaim.name)
  if (orphan !== undefined) return orphan.metadata.name
  const template = cache.get(ResourceClaimTemplate, keyText(namespace, templateName))
  if (template === undefined) {
    throw new Error(
      `resource claim template ${JSON.stringify(templateName)}: resourceclaimtemplate.resource.k8s.io ${JSON.stringify(templateName)} not found`,
    )
  }
  try {
    return (await client.create(ResourceClaim, claimFrom(template, pod, podClaim.name))).metadata.name
  } catch (error) {
    throw new Error(`create ResourceClaim : ${(error as Error).message}`, { cause: error })
  }
}

export function claimFrom({ spec }: TemplateObject, pod: PodObject, podClaimName: string): Manifest<ClaimObject> {
  const { name, namespace = '', uid } = pod.metadata
  let generateName = `${name}-${podClaimName}-`
  if (generateName.length > baseLengthMax) {
    // Both names are cut by the same share, so that something of each is left.
    const share = (text: string): string => text.slice(0, Math.floor((text.length * baseLengthMax) / generateName.length))
    generateName = `${share(name)}-${share(podClaimName)}`
  }
  const { annotations, labels } = spec.metadata ?? {}
  return {
    metadata: {
      generateName,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
      annotations: { ...annotations, [podClaimAnnotation]: podClaimName },
      ...(labels === undefined ? {} : { labels }),
    },
    spec: spec.spec,
  } as unknown as Manifest<ClaimObject>
}

/** For pods that were given a node by somebody who did not reserve: an allocated claim is theirs, too. */
async function reserve(pod: PodObject, podClaim: PodResourceClaim, { cache, client }: ReconcileContext): Promise<void> {
  const { namespace, name, uid } = pod.metadata
  const claimName = podClaimName(pod, podClaim)
  const claim = claimName ? cache.get(ResourceClaim, keyText(namespace, claimName)) : undefined
  if (claim?.status.allocation === undefined) return
  if (podClaim.resourceClaimTemplateName !== undefined && controllerOf(claim)?.uid !== uid) return
  const reservedFor = claim.status.reservedFor ?? []
  if (reservedFor.some((consumer) => consumer.uid === uid) || reservedFor.length >= claimReservationsMax) return
  const status = { ...claim.status, reservedFor: [...reservedFor, { resource: 'pods', name, uid }] }
  await client.updateStatus(ResourceClaim, { ...claim, status } as Manifest<ClaimObject>)
}

async function syncClaim(key: string, context: ReconcileContext): Promise<void> {
  const { cache, client } = context
  let claim = cache.get(ResourceClaim, key)
  if (claim === undefined) return
  const before = claim.status.reservedFor ?? []
  const remaining = []
  for (const consumer of before) if (await isStillThere(consumer, claim, context)) remaining.push(consumer)
  const isProtected = claim.metadata.finalizers?.includes(finalizer) ?? false
  const isGoing = claim.metadata.deletionTimestamp !== undefined
  if (remaining.length < before.length) claim = await write(claim, remaining, context)
  else if (isProtected && isGoing && remaining.length === 0 && claim.status.allocation !== undefined)
    claim = await write(claim, [], context)
  const mayUnprotect = remaining.length < before.length || (isGoing && remaining.length === 0)
  if (isProtected && mayUnprotect && claim.status.allocation === undefined) {
    const finalizers = (claim.metadata.finalizers ?? []).filter((name) => name !== finalizer)
    await client.update(ResourceClaim, { ...claim, metadata: { ...claim.metadata, finalizers } } as Manifest<ClaimObject>)
  }
  if (remaining.length === 0) await removeUnneeded(claim, context)
}

type Consumer = NonNullable<ClaimObject['status']['reservedFor']>[number]

async function isStillThere(consumer: Consumer, claim: ClaimObject, { cache, client }: ReconcileContext): Promise<boolean> {
  // Who else may use a claim is nobody's business here.
  if (consumer.apiGroup || consumer.resource !== 'pods') return true
  const key = keyText(claim.metadata.namespace, consumer.name)
  const cached = cache.get(Pod, key)
  if (cached !== undefined) return cached.metadata.uid === consumer.uid && !isDone(cached)
  try {
    return (await client.get(Pod, parseKey(key))).metadata.uid === consumer.uid
  } catch (error) {
    if (isApiError(error, 'NotFound')) return false
    throw error
  }
}

/** Reservations as they are; what the scheduler allocated goes with the last of them. */
async function write(claim: ClaimObject, reservedFor: Consumer[], { client }: ReconcileContext): Promise<ClaimObject> {
  const status = { ...claim.status, reservedFor }
  if (reservedFor.length === 0) {
    delete (status as { reservedFor?: unknown }).reservedFor
    if (claim.metadata.finalizers?.includes(finalizer)) delete status.allocation
  }
  return await client.updateStatus(ResourceClaim, { ...claim, status } as Manifest<ClaimObject>)
}

/** The garbage collector takes claims of pods that are gone; those of pods that only have ended go here. */
async function removeUnneeded(claim: ClaimObject, { cache, client }: ReconcileContext): Promise<void> {
  const owner = controllerOf(claim)
  if (owner?.kind !== 'Pod' || owner.apiVersion !== 'v1' || claim.metadata.deletionTimestamp !== undefined) return
  const pod = cache.get(Pod, keyText(claim.metadata.namespace, owner.name))
  if (pod === undefined || (pod.metadata.uid === owner.uid && !isDone(pod))) return
  await client.delete(ResourceClaim, parseKey(keyOf(claim)), { preconditions: { uid: claim.metadata.uid } })
}
