// What a failed pod means for its Job (KEP-3329), and which indexes are enough for success (KEP-3998). Pure.
import type { PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, SuccessPolicy } from '#api/generated/batch-v1'
import type { ContainerStatus, Pod as PodObject } from '#api/generated/core-v1'
import { commonIndexes, countIndexes, type Indexes, parseIndexes } from './indexes.ts'

export interface FailureVerdict {
  readonly action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count'
  readonly message: string
}

/** What the first matching rule says of a failed pod; without one it simply counts. */
export function judgeFailure(policy: PodFailurePolicy | undefined, pod: PodObject): FailureVerdict {
  const { name, namespace } = pod.metadata
  for (const [i, { action, onExitCodes, onPodConditions }] of (policy?.rules ?? []).entries()) {
    if (onExitCodes !== undefined) {
      const container = containerMatching(onExitCodes, pod)
      if (container === undefined) continue
      const exit = container.state?.terminated?.exitCode
      return {
        action,
        message: `Container ${container.name} for pod ${namespace}/${name} failed with exit code ${exit} matching ${action} rule at index ${i}`,
      }
    }
    const met = (onPodConditions ?? []).find(({ type, status }) =>
      pod.status.conditions?.some((condition) => condition.type === type && condition.status === (status || 'True')),
    )
    if (met !== undefined)
      return { action, message: `Pod ${namespace}/${name} has condition ${met.type} matching ${action} rule at index ${i}` }
  }
  return { action: 'Count', message: '' }
}

function containerMatching(requirement: PodFailurePolicyOnExitCodesRequirement, { status }: PodObject): ContainerStatus | undefined {
  const { containerName, operator, values } = requirement
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].find(({ name, state }) => {
    const exit = state?.terminated?.exitCode
    // Success never matches, not even by `NotIn`.
    if (exit === undefined || exit === 0 || (containerName !== undefined && containerName !== name)) return false
    return values.includes(exit) === (operator === 'In')
  })
}

/** Which rule of the success policy is met by these indexes, as the condition's message; undefined: none yet. */
export function successByPolicy(policy: SuccessPolicy | undefined, succeeded: Indexes, completions: number): string | undefined {
  for (const [i, { succeededIndexes, succeededCount }] of (policy?.rules ?? []).entries()) {
    const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, completions)
    const count = countIndexes(wanted === undefined ? succeeded : commonIndexes(succeeded, wanted))
    const enough = succeededCount ?? (wanted === undefined ? undefined : countIndexes(wanted))
    if (enough !== undefined && count >= enough) return `Matched rules at index ${i}`
  }
  return undefined
}
