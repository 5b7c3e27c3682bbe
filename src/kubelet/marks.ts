// The labels and annotations that the agent puts on sandboxes and containers, so that it can read its own past from the
// engine. Names are Kubernetes' where Kubernetes has one: log shippers and engine tools look for them.
import type { Container, Pod } from '#api/generated/core-v1'
import { fingerprint } from './fingerprint.ts'
import type { ContainerStatus } from './runtimes/runtime.ts'

export const podNameLabel = 'io.kubernetes.pod.name'
export const podNamespaceLabel = 'io.kubernetes.pod.namespace'
export const podUidLabel = 'io.kubernetes.pod.uid'
export const containerNameLabel = 'io.kubernetes.container.name'

const hashAnnotation = 'io.kubernetes.container.hash'
const restartCountAnnotation = 'io.kubernetes.container.restartCount'
const messagePathAnnotation = 'io.kubernetes.container.terminationMessagePath'
const messagePolicyAnnotation = 'io.kubernetes.container.terminationMessagePolicy'
const graceAnnotation = 'io.kubernetes.pod.terminationGracePeriod'
const backoffAnnotation = 'navarch.dev/restart-backoff-ms'
const messageFileAnnotation = 'navarch.dev/termination-message-file'

/** Where config came from: `api`, or `file` for static pods. */
export const configSourceAnnotation = 'kubernetes.io/config.source'
export const configHashAnnotation = 'kubernetes.io/config.hash'
export const configMirrorAnnotation = 'kubernetes.io/config.mirror'

export interface ContainerMarks {
  readonly hash: string
  readonly restartCount: number
  /** How long to wait after this container's exit before the next one starts. */
  readonly backoffMs: number
  readonly messagePath: string
  readonly messagePolicy: string
  /** The file on the host that is mounted at messagePath; empty when none is. */
  readonly messageFile: string
}

/** The part of a container's spec whose change makes it start anew. Everything else of it is immutable or applied in place. */
export function containerHash(container: Pick<Container, 'name' | 'image'>): string {
  return fingerprint(JSON.stringify([container.name, container.image]))
}

export function podLabels(pod: Pod): Record<string, string> {
  return {
    ...pod.metadata.labels,
    [podNameLabel]: pod.metadata.name,
    [podNamespaceLabel]: pod.metadata.namespace ?? '',
    [podUidLabel]: pod.metadata.uid,
  }
}

export function containerLabels(pod: Pod, name: string): Record<string, string> {
  return {
    [containerNameLabel]: name,
    [podNameLabel]: pod.metadata.name,
    [podNamespaceLabel]: pod.metadata.namespace ?? '',
    [podUidLabel]: pod.metadata.uid,
  }
}

export function containerAnnotations(pod: Pod, marks: ContainerMarks): Record<string, string> {
  return {
    [hashAnnotation]: marks.hash,
    [restartCountAnnotation]: String(marks.restartCount),
    [messagePathAnnotation]: marks.messagePath,
    [messagePolicyAnnotation]: marks.messagePolicy,
    [messageFileAnnotation]: marks.messageFile,
    [backoffAnnotation]: String(marks.backoffMs),
    [graceAnnotation]: String(pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds),
  }
}

/** Reads the marks back. A container without them (made by something else) reads as a first attempt. */
export function marksOf(container: Pick<ContainerStatus, 'annotations' | 'attempt'>): ContainerMarks {
  const a = container.annotations
  return {
    hash: a[hashAnnotation] ?? '',
    restartCount: wholeNumber(a[restartCountAnnotation], container.attempt),
    backoffMs: wholeNumber(a[backoffAnnotation], 0),
    messagePath: a[messagePathAnnotation] ?? '',
    messagePolicy: a[messagePolicyAnnotation] ?? 'File',
    messageFile: a[messageFileAnnotation] ?? '',
  }
}

function wholeNumber(text: string | undefined, otherwise: number): number {
  const value = Number(text)
  return text !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : otherwise
}
