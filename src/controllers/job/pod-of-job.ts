// The pods of a Job: made from its template, known by finalizer, index and count of failures. Pure.
import type { Job as JobObject } from '#api/generated/batch-v1'
import type { Container, Pod as PodObject } from '#api/generated/core-v1'
import { Job } from '#api/kinds/batch/job'
import type { Manifest } from '#api/object'
import { ownerReference } from '../owned-objects.ts'
import { podFromTemplate } from '../pods-of-template.ts'

/** Holds a pod that has ended until its Job has counted it (KEP-2307). */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
const indexAnnotation = 'batch.kubernetes.io/job-completion-index'
const indexFailures = 'batch.kubernetes.io/job-index-failure-count'
const indexIgnoredFailures = 'batch.kubernetes.io/job-index-ignored-failure-count'
const indexVariable = 'JOB_COMPLETION_INDEX'

/** A pod to be made. */
export interface NewPod {
  /** Of Indexed Jobs. */
  readonly index: number | undefined
  /** How often its index failed so far, for `backoffLimitPerIndex`; undefined where that is not asked for. */
  readonly failures: IndexFailures | undefined
}

export interface IndexFailures {
  readonly counted: number
  readonly ignored: number
}

export function isTracked(pod: PodObject): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true
}

export function indexOf(pod: PodObject): number | undefined {
  const text = pod.metadata.annotations?.[indexAnnotation]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** How often the pod's index had failed when the pod was made. */
export function failuresBefore(pod: PodObject): IndexFailures {
  const number = (name: string): number => Number(pod.metadata.annotations?.[name] ?? '0') || 0
  return { counted: number(indexFailures), ignored: number(indexIgnoredFailures) }
}

export function podOfJob(job: JobObject, { index, failures }: NewPod): Manifest<PodObject> {
  const pod = podFromTemplate(job.spec.template, job, ownerReference(Job, job))
  const metadata = pod.metadata!
  metadata.finalizers = [...(metadata.finalizers ?? []), trackingFinalizer]
  if (index === undefined) return pod
  metadata.generateName = `${job.metadata.name}-${index}-`
  metadata.labels = { ...metadata.labels, [indexAnnotation]: String(index) }
  metadata.annotations = {
    ...metadata.annotations,
    [indexAnnotation]: String(index),
    ...(failures === undefined ? {} : { [indexFailures]: String(failures.counted) }),
    ...(failures !== undefined && failures.ignored > 0 ? { [indexIgnoredFailures]: String(failures.ignored) } : {}),
  }
  const { spec } = job.spec.template
  const told = (container: Container): Container => ({ ...container, env: withIndexVariable(container.env) })
  pod.spec = {
    ...(pod.spec as object),
    hostname: `${job.metadata.name}-${index}`,
    containers: spec.containers.map(told),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(told) }),
  } as Manifest<PodObject['spec']>
  return pod
}

function withIndexVariable(env: Container['env']): NonNullable<Container['env']> {
  if (env?.some(({ name }) => name === indexVariable)) return env
  return [
    ...(env ?? []),
    { name: indexVariable, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${indexAnnotation}']` } } },
  ]
}
