// Job of batch/v1.

import { humanDuration } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import type { PodTemplateSpec } from '../../generated/core-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { matchesLabels } from '../../label-selectors.ts'
import { immutable, invalid, semanticEqual } from '../../validation/field-errors.ts'
import { fillWorkload } from '../apps/workloads.ts'
import { ageColumn, containerColumns, nameColumn, selectorCell } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings, templateWarnings } from '../core/pod-warnings.ts'
import { nonNegativeFields } from '../numbers.ts'
import { setJobSpecDefaults, validateJobSpec } from './job-spec.ts'

export type Job = batchV1.Job

export const jobNameLabel = 'batch.kubernetes.io/job-name'
export const controllerUidLabel = 'batch.kubernetes.io/controller-uid'
const legacyJobNameLabel = 'job-name'
const legacyControllerUidLabel = 'controller-uid'

function setDefaults(job: Job): void {
  fillWorkload(job)
  setJobSpecDefaults(job.spec)
  setPodTemplateDefaults(job.spec.template)
  const labels = job.spec.template.metadata.labels
  if (labels !== undefined && Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = { ...labels }
}

// Pods are found by the job's uid, so that no two jobs ever share one. Labels that somebody chose stay, and must fit.
function generateSelector({ metadata, spec }: Job): void {
  if (spec.manualSelector) return
  spec.template.metadata.labels = { ...generatedLabels(metadata), ...spec.template.metadata.labels }
  spec.selector ??= {}
  spec.selector.matchLabels ??= {}
  spec.selector.matchLabels[controllerUidLabel] ??= metadata.uid
}

function generatedLabels({ name, uid }: Job['metadata']): Record<string, string> {
  return { [legacyControllerUidLabel]: uid, [legacyJobNameLabel]: name, [controllerUidLabel]: uid, [jobNameLabel]: name }
}

function validate({ metadata, spec }: Job): FieldError[] {
  const errors = validateJobSpec(spec, 'spec', true)
  if (spec.manualSelector || spec.selector === undefined || matchesLabels(spec.selector, generatedLabels(metadata))) return errors
  return [...errors, invalid('spec.selector', spec.selector, '`selector` not auto-generated')]
}

function validateUpdate(job: Job, old: Job): FieldError[] {
  const { spec } = job
  const before = old.spec
  const errors: FieldError[] = []
  const elastic = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism && before.completions !== undefined
  if (!elastic) errors.push(...immutable('spec.completions', spec.completions, before.completions))
  errors.push(...immutable('spec.selector', spec.selector, before.selector))
  errors.push(...validateTemplateUpdate(job, old))
  for (const field of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const) {
    errors.push(...immutable(`spec.${field}`, spec[field], before[field]))
  }
  return errors
}

// KEP-2926: where the pods of a suspended job may run can still be changed before it has started.
function validateTemplateUpdate(job: Job, old: Job): FieldError[] {
  const mayDirect = old.spec.suspend === true && old.status.startTime === undefined
  const shown = mayDirect ? withDirectives(job.spec.template, old.spec.template) : job.spec.template
  return semanticEqual(shown, old.spec.template) ? [] : [invalid('spec.template', job.spec.template, 'field is immutable')]
}

function withDirectives(template: PodTemplateSpec, old: PodTemplateSpec): PodTemplateSpec {
  const spec = { ...template.spec }
  for (const field of ['nodeSelector', 'tolerations', 'schedulingGates'] as const) {
    const before = old.spec[field]
    if (before === undefined) delete spec[field]
    else Object.assign(spec, { [field]: before })
  }
  const affinity = { ...spec.affinity }
  delete affinity.nodeAffinity
  const oldAffinity = old.spec.affinity?.nodeAffinity
  if (oldAffinity !== undefined) affinity.nodeAffinity = oldAffinity
  if (Object.keys(affinity).length === 0 && old.spec.affinity === undefined) delete spec.affinity
  else spec.affinity = affinity
  return { ...template, metadata: { ...template.metadata, ...pickLabels(old) }, spec }
}

function pickLabels({ metadata }: PodTemplateSpec): object {
  return { labels: metadata?.labels, annotations: metadata?.annotations }
}

function hasCondition({ status }: Job, type: string): boolean {
  return status.conditions?.find((condition) => condition.type === type)?.status === 'True'
}

function statusCell(job: Job): string {
  if (hasCondition(job, 'Complete')) return 'Complete'
  if (hasCondition(job, 'Failed')) return 'Failed'
  if (job.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (hasCondition(job, 'Suspended')) return 'Suspended'
  return hasCondition(job, 'FailureTarget') ? 'FailureTarget' : 'Running'
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
  validate,
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...templateWarnings(spec.template, old?.spec.template),
  ],
  validateUpdate,
  validateStatusUpdate: ({ status }) => nonNegativeFields(status, 'status', 'active', 'succeeded', 'failed', 'ready', 'terminating'),
  defaultPropagation: 'orphan',
  columns,
  selectableFields: { 'status.successful': ({ status }) => String(status.succeeded ?? 0) },
})
