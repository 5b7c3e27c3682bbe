// Which ResourceClaims a pod uses (KEP-4381). The controller that makes them and the scheduler that waits for them must agree. Pure.
import type { Pod, PodResourceClaim } from './generated/core-v1.ts'

/** The name of a pod's claim: as it stands in the pod, or made from a template; undefined: not made yet; empty: none is needed. */
export function podClaimName(pod: Pick<Pod, 'status'>, claim: PodResourceClaim): string | undefined {
  if (claim.resourceClaimName !== undefined) return claim.resourceClaimName
  const made = pod.status?.resourceClaimStatuses?.find(({ name }) => name === claim.name)
  return made === undefined ? undefined : (made.resourceClaimName ?? '')
}

/** How many pods and others may use one claim at once. */
export const claimReservationsMax = 256
