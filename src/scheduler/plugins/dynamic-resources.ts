// DynamicResources (KEP-4381), as far as nodes without drivers need it: a pod runs where the devices of its claims are. Nothing is
// allocated here; a pod whose claims have no devices yet waits until somebody has allocated them.
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { ResourceClaim as ClaimObject } from '#api/generated/resource-v1'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { nodeSelectorMatcher } from '#api/node-selectors'
import { controllerOf, keyText } from '#api/object'
import { claimReservationsMax, podClaimName } from '#api/resource-claims'
import type { Cache } from '#client/controller'
import type { Rejection, SchedulerPlugin } from '../plugin.ts'

const unallocated: Rejection = { reasons: ['cannot allocate all claims'], resolvable: false }
const elsewhere: Rejection = { reasons: ['resourceclaim not available on the node'], resolvable: false }

export function createDynamicResources({ cache, onClaims }: { readonly cache: Cache; readonly onClaims?: () => void }): SchedulerPlugin {
  // Claims are followed from when the first pod asks for one: most clusters have none.
  let followed = false
  const claimOf = (key: string): ClaimObject | undefined => {
    if (!followed) cache.informer(ResourceClaim).subscribe(() => onClaims?.(), { replay: false })
    followed = true
    return cache.get(ResourceClaim, key)
  }
  return {
    name: 'DynamicResources',
    preFilter({ pod }) {
      if ((pod.spec.resourceClaims ?? []).length === 0) return undefined
      const claims = claimsOf(pod, claimOf)
      if (typeof claims === 'string') return claims
      return claims.some((claim) => isInUse(claim, pod)) ? 'resourceclaim in use' : undefined
    },
    filter({ pod }) {
      if ((pod.spec.resourceClaims ?? []).length === 0) return undefined
      const claims = claimsOf(pod, claimOf)
      if (typeof claims === 'string' || claims.length === 0) return undefined
      if (claims.some(({ status }) => status.allocation === undefined)) return () => unallocated
      const places = claims.flatMap(({ status: { allocation } }) =>
        allocation?.nodeSelector === undefined ? [] : [nodeSelectorMatcher(allocation.nodeSelector)],
      )
      return ({ node }) => (places.every((matches) => matches(node)) ? undefined : elsewhere)
    },
    wakesOn: ['nodeAdded', 'nodeChanged', 'storageChanged'],
  }
}

/** The claims of a pod, or why they are not there. */
function claimsOf(pod: PodObject, claimOf: (key: string) => ClaimObject | undefined): ClaimObject[] | string {
  const claims: ClaimObject[] = []
  const { namespace, name: podName, uid } = pod.metadata
  for (const wanted of pod.spec.resourceClaims ?? []) {
    const name = podClaimName(pod, wanted)
    if (name === '') continue
    if (name === undefined) return `pod "${namespace}/${podName}": ResourceClaim not created yet`
    const claim = claimOf(keyText(namespace, name))
    if (claim === undefined) return `resourceclaim.resource.k8s.io ${JSON.stringify(name)} not found`
    if (claim.metadata.deletionTimestamp !== undefined) return `resourceclaim ${JSON.stringify(name)} is being deleted`
    if (wanted.resourceClaimTemplateName !== undefined && controllerOf(claim)?.uid !== uid) {
      return `ResourceClaim ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`
    }
    claims.push(claim)
  }
  return claims
}

function isInUse({ status: { allocation, reservedFor = [] } }: ClaimObject, { metadata: { uid } }: PodObject): boolean {
  return allocation !== undefined && reservedFor.length >= claimReservationsMax && !reservedFor.some((consumer) => consumer.uid === uid)
}
