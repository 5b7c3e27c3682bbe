// The containers of a pod in the order they matter, and what their restart policies say (KEP-753 sidecars, KEP-5307
// container restart rules).
import type { Container, ContainerRestartRule, Pod } from '#api/generated/core-v1'

export type ContainerType = 'init' | 'main' | 'ephemeral'

export interface PodContainer {
  readonly type: ContainerType
  readonly index: number
  readonly spec: Container
}

const specField: Record<ContainerType, string> = {
  init: 'initContainers',
  main: 'containers',
  ephemeral: 'ephemeralContainers',
}

/** As events name a container of a pod, e.g. `spec.containers{web}`. */
export function fieldPathOf(container: PodContainer): string {
  return `spec.${specField[container.type]}{${container.spec.name}}`
}

/** Every container: init, then main, then ephemeral. */
export function containersOf(pod: Pod): PodContainer[] {
  return [
    ...(pod.spec.initContainers ?? []).map((spec, index): PodContainer => ({ type: 'init', index, spec })),
    ...pod.spec.containers.map((spec, index): PodContainer => ({ type: 'main', index, spec })),
    ...(pod.spec.ephemeralContainers ?? []).map((spec, index): PodContainer => ({ type: 'ephemeral', index, spec: spec as Container })),
  ]
}

export function findContainer(pod: Pod, name: string): PodContainer | undefined {
  return containersOf(pod).find((c) => c.spec.name === name)
}

/** An init container that keeps running beside the main ones. */
export function isSidecar(container: PodContainer): boolean {
  return container.type === 'init' && container.spec.restartPolicy === 'Always'
}

/** Whether a container that exited with this code is to start again. */
export function restartsAfter(pod: Pod, container: PodContainer, exitCode: number): boolean {
  if (container.type === 'ephemeral') return false
  if (isSidecar(container)) return true
  const rule = container.spec.restartPolicyRules?.find((r) => matchesExit(r, exitCode))
  if (rule !== undefined) return rule.action === 'Restart' || rule.action === 'RestartAllContainers'
  const policy = container.spec.restartPolicy ?? pod.spec.restartPolicy
  // Init containers that succeeded are done, whatever the pod's policy says of its main containers.
  if (container.type === 'init') return policy !== 'Never' && exitCode !== 0
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)
}

/** Whether a failing probe, or a changed image, ends with a new container rather than with an end. */
export function restartsOnFailure(pod: Pod, container: PodContainer): boolean {
  return isSidecar(container) || (container.spec.restartPolicy ?? pod.spec.restartPolicy) !== 'Never'
}

function matchesExit(rule: ContainerRestartRule, exitCode: number): boolean {
  const values = rule.exitCodes?.values ?? []
  const listed = values.includes(exitCode)
  return rule.exitCodes?.operator === 'NotIn' ? !listed : listed
}

/** `name_namespace(uid)`, as Kubernetes' messages name a pod. */
export function podText(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace ?? ''}(${pod.metadata.uid})`
}
