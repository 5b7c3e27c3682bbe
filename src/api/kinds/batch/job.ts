// Job of batch/v1.

import { humanDuration } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import type { Container, PodSpec } from '../../generated/core-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { matchesLabels, validateLabelSelector } from '../../label-selectors.ts'
import { immutable, invalid, required, semanticEqual } from '../../validation/field-errors.ts'
import { checkDns1123Label } from '../../validation/names.ts'
import { goQuote, withSortedKeys } from '../../validation/text.ts'
import { fillWorkload, isChanged, isValidSelector, shownSelector, templateMatchesSelector } from '../apps/workloads.ts'
import { ageColumn, containerColumns, nameColumn, selectorCell } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings } from '../core/pod-warnings.ts'
import { jobSpecWarnings, setJobSpecDefaults, validateJobSpec } from './job-spec.ts'
import { hasJobCondition, validateJobStatusUpdate } from './job-status.ts'

export type Job = batchV1.Job

export const jobNameLabel = 'batch.kubernetes.io/job-name'
export const controllerUidLabel = 'batch.kubernetes.io/controller-uid'
const legacyJobNameLabel = 'job-name'
const legacyControllerUidLabel = 'controller-uid'

function setDefaults(job: Job): void {
  fillWorkload(job)
  setJobSpecDefaults(job.spec)
  setPodTemplateDefaults(job.spec.template)
  takeLabels(job)
}

// A job without labels of its own has those of its pods. Kubernetes says so whenever it reads one, so the generated ones count.
function takeLabels({ metadata, spec }: Job): void {
  const { labels } = spec.template.metadata
  if (labels !== undefined && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels }
}

// Pods are found by the job's uid, so that no two jobs ever share one. Labels that somebody chose stay, and must fit.
function generateSelector(job: Job): void {
  const { metadata, spec } = job
  if (spec.manualSelector) return
  spec.template.metadata.labels = { ...generatedLabels(metadata), ...spec.template.metadata.labels }
  spec.selector ??= {}
  spec.selector.matchLabels ??= {}
  spec.selector.matchLabels[controllerUidLabel] ??= metadata.uid
  takeLabels(job)
}

function generatedLabels({ name, uid }: Job['metadata']): Record<string, string> {
  return { [legacyControllerUidLabel]: uid, [legacyJobNameLabel]: name, [controllerUidLabel]: uid, [jobNameLabel]: name }
}

function validate(job: Job): FieldError[] {
  const { metadata, spec } = job
  const errors = [...validateGenerated(job), ...validateSpec(spec)]
  if (spec.completionMode !== 'Indexed' || (spec.completions ?? 0) <= 0) return errors
  const hostname = `${metadata.name}-${spec.completions! - 1}`
  if (checkDns1123Label(hostname).length === 0) return errors
  return [...errors, invalid('metadata.name', metadata.name, `will not able to create pod with invalid DNS label: ${hostname}`)]
}

function validateSpec(spec: batchV1.JobSpec): FieldError[] {
  const errors = validateJobSpec(spec, 'spec')
  if (spec.selector === undefined) errors.push(required('spec.selector'))
  else errors.push(...validateLabelSelector(spec.selector, 'spec.selector'))
  return [...errors, ...templateMatchesSelector(spec.template, spec.selector, 'spec.template')]
}

// Labels and selector that nobody chose are as they were made.
function validateGenerated({ metadata, spec }: Job): FieldError[] {
  if (spec.manualSelector || spec.selector === undefined) return []
  const errors: FieldError[] = []
  const { labels } = spec.template.metadata
  for (const [key, value] of Object.entries(generatedLabels(metadata))) {
    const path = `spec.template.metadata.labels[${key}]`
    if (labels?.[key] === undefined) errors.push(required(path, `must be '${value}'`))
    else if (labels[key] !== value) errors.push(invalid(path, withSortedKeys(labels), `must be '${value}'`))
  }
  if (!isValidSelector(spec.selector) || matchesLabels(spec.selector, generatedLabels(metadata))) return errors
  return [...errors, invalid('spec.selector', shownSelector(spec.selector), '`selector` not auto-generated')]
}

function validateUpdate(job: Job, old: Job): FieldError[] {
  const { spec } = job
  const before = old.spec
  const errors = [...validate(job), ...validateSpec(spec)]
  if (spec.completionMode !== 'Indexed') errors.push(...immutable('spec.completions', spec.completions, before.completions))
  else if (spec.completions !== before.completions && spec.completions !== undefined && spec.completions !== spec.parallelism) {
    errors.push(invalid('spec.completions', spec.completions, 'can only be modified in tandem with spec.parallelism'))
  }
  errors.push(...immutable('spec.selector', shownSelector(spec.selector), shownSelector(before.selector)))
  errors.push(...validateTemplateUpdate(job, old))
  for (const field of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const) {
    errors.push(...immutable(`spec.${field}`, spec[field], before[field]))
  }
  return errors
}

// KEP-2926, KEP-5440: where the pods of a suspended job may run, and what they get, can still be changed while none of them is there.
function validateTemplateUpdate({ spec: { template } }: Job, old: Job): FieldError[] {
  const before = old.spec.template
  const suspended = old.spec.suspend === true
  const noneThere = (old.status.startTime === undefined || hasJobCondition(old, 'Suspended')) && (old.status.active ?? 0) === 0
  if (!suspended || !noneThere) return immutable('spec.template', template, before)
  const spec = { ...withDirectives(template.spec, before.spec) }
  for (const field of ['containers', 'initContainers'] as const) {
    if (spec[field]?.length === before.spec[field]?.length) spec[field] = withResources(spec[field] ?? [], before.spec[field] ?? [])
  }
  return semanticEqual(spec, before.spec) ? [] : [invalid('spec.template.spec', template.spec, 'field is immutable')]
}

function withResources(containers: readonly Container[], old: readonly Container[]): Container[] {
  return containers.map((container, i) => {
    return container.name === old[i]!.name ? { ...container, resources: old[i]!.resources } : container
  })
}

function withDirectives(now: PodSpec, old: PodSpec): PodSpec {
  const spec = { ...now }
  for (const field of ['nodeSelector', 'tolerations', 'schedulingGates'] as const) {
    const before = old[field]
    if (before === undefined) delete spec[field]
    else Object.assign(spec, { [field]: before })
  }
  const affinity = { ...spec.affinity }
  delete affinity.nodeAffinity
  const oldAffinity = old.affinity?.nodeAffinity
  if (oldAffinity !== undefined) affinity.nodeAffinity = oldAffinity
  if (Object.keys(affinity).length === 0 && old.affinity === undefined) delete spec.affinity
  else spec.affinity = affinity
  return spec
}

function statusCell(job: Job): string {
  if (hasJobCondition(job, 'Complete')) return 'Complete'
  if (hasJobCondition(job, 'Failed')) return 'Failed'
  if (job.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (hasJobCondition(job, 'Suspended')) return 'Suspended'
  if (hasJobCondition(job, 'FailureTarget')) return 'FailureTarget'
  return hasJobCondition(job, 'SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function completionsCell({ spec, status }: Job): string {
  const succeeded = status.succeeded ?? 0
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`
  const parallelism = spec.parallelism ?? 0
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function durationCell({ status }: Job, nowMs: number): string {
  if (status.startTime === undefined) return ''
  const end = status.completionTime === undefined ? nowMs : Date.parse(status.completionTime)
  return humanDuration(end - Date.parse(status.startTime))
}

const columns: readonly Column<Job>[] = [
  nameColumn,
  column<Job>('Status', statusCell),
  column<Job>('Completions', completionsCell),
  column<Job>('Duration', durationCell),
  ageColumn,
  ...containerColumns<Job>(
    ({ spec }) => spec.template.spec.containers,
    ({ spec }) => selectorCell(spec.selector),
  ),
]

export const Job = defineKind<Job>('batch/v1/jobs', {
  setDefaults,
  prepareForCreate: generateSelector,
  validateCreate: validate,
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...(isChanged(metadata, old) ? jobSpecWarnings(spec, 'spec') : []),
  ],
  validateUpdate,
  validateStatusUpdate: validateJobStatusUpdate,
  defaultPropagation: 'orphan',
  columns,
  unsupportedField: (field) => `field label ${goQuote(field)} not supported for Job`,
  selectableFields: { 'status.successful': ({ status }) => String(status.succeeded ?? 0) },
})
