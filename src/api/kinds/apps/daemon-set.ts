// DaemonSet of apps/v1.
import type { FieldError } from '../../errors.ts'
import type * as appsV1 from '../../generated/apps-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { isEmptySelector, validateLabelSelector } from '../../label-selectors.ts'
import { invalid, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { ageColumn, containerColumns, countColumn, labelsCell, nameColumn, selectorCell } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { validatePodTemplateSpec } from '../core/pod-validation.ts'
import { podWarnings } from '../core/pod-warnings.ts'
import { intOrPercentNumber, nonNegativeFields, notOver100Percent, validateIntOrPercent } from '../numbers.ts'
import {
  collisionCountNotDecremented,
  fillWorkload,
  selectorImmutable,
  shownRollingUpdate,
  templateMatchesSelector,
  validateRunning,
} from './workloads.ts'

export type DaemonSet = appsV1.DaemonSet

function setDefaults(daemonSet: DaemonSet): void {
  fillWorkload(daemonSet)
  const { spec, status } = daemonSet
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ||= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0
  }
  spec.revisionHistoryLimit ??= 10
  for (const count of ['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady'] as const)
    status[count] ??= 0
  setPodTemplateDefaults(spec.template)
}

function validateStrategy({ type, rollingUpdate }: appsV1.DaemonSetUpdateStrategy): FieldError[] {
  if (type === 'OnDelete') return []
  if (type !== 'RollingUpdate') {
    const shown = { Type: type, RollingUpdate: shownRollingUpdate(rollingUpdate) }
    return [notSupported('spec.updateStrategy', shown, ['RollingUpdate', 'OnDelete'])]
  }
  const path = 'spec.updateStrategy.rollingUpdate'
  if (rollingUpdate === undefined) return [required(path)]
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate
  const errors = validateIntOrPercent(maxUnavailable, `${path}.maxUnavailable`)
  errors.push(...validateIntOrPercent(maxSurge, `${path}.maxSurge`))
  errors.push(...notOver100Percent(maxUnavailable, `${path}.maxUnavailable`), ...notOver100Percent(maxSurge, `${path}.maxSurge`))
  const unavailable = intOrPercentNumber(maxUnavailable) !== 0
  const surge = intOrPercentNumber(maxSurge) !== 0
  if (unavailable && surge) errors.push(invalid(`${path}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'))
  if (!unavailable && !surge) errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'))
  return errors
}

function validate({ spec }: DaemonSet): FieldError[] {
  const path = 'spec.template'
  const errors = validateLabelSelector(spec.selector, 'spec.selector')
  errors.push(...templateMatchesSelector(spec.template, spec.selector, path))
  if (spec.selector !== undefined && isEmptySelector(spec.selector)) {
    errors.push(invalid('spec.selector', {}, 'empty selector is invalid for daemonset'))
  }
  errors.push(...validatePodTemplateSpec(spec.template, path), ...validateRunning(spec.template, 'DaemonSet', path))
  errors.push(...nonNegativeFields(spec, 'spec', 'minReadySeconds'))
  errors.push(...validateStrategy(spec.updateStrategy))
  return [...errors, ...nonNegativeFields(spec, 'spec', 'revisionHistoryLimit')]
}

/** Counts the changes of the template; the pods' label `pod-template-generation` says the same. */
export const templateGenerationAnnotation = 'deprecated.daemonset.template.generation'

function setTemplateGeneration(daemonSet: DaemonSet, generation: number): void {
  daemonSet.metadata.annotations = { ...daemonSet.metadata.annotations, [templateGenerationAnnotation]: String(generation) }
}

function templateGeneration({ metadata }: DaemonSet): number {
  const text = metadata.annotations?.[templateGenerationAnnotation] ?? ''
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : 1
}

export const DaemonSet = defineKind<DaemonSet>('apps/v1/daemonsets', {
  setDefaults,
  warnings: ({ metadata, spec }, old) => {
    const generation = metadata.annotations?.[templateGenerationAnnotation]
    const same = old !== undefined && old.metadata.annotations?.[templateGenerationAnnotation] === generation
    return same ? [] : podWarnings(spec.template, 'spec.template')
  },
  prepareForCreate: (daemonSet) => setTemplateGeneration(daemonSet, templateGeneration(daemonSet)),
  prepareForUpdate(daemonSet, old) {
    const changed = !semanticEqual(daemonSet.spec.template, old.spec.template)
    setTemplateGeneration(daemonSet, templateGeneration(old) + (changed ? 1 : 0))
  },
  validateCreate: validate,
  validateUpdate: (daemonSet, old) => [...selectorImmutable(daemonSet.spec.selector, old.spec.selector), ...validate(daemonSet)],
  validateStatusUpdate: ({ status }, old) => [
    ...nonNegativeFields(
      status,
      'status',
      'currentNumberScheduled',
      'numberMisscheduled',
      'desiredNumberScheduled',
      'numberReady',
      'observedGeneration',
      'updatedNumberScheduled',
      'numberAvailable',
      'numberUnavailable',
      'collisionCount',
    ),
    ...collisionCountNotDecremented(status.collisionCount, old.status.collisionCount),
  ],
  columns: [
    nameColumn,
    countColumn<DaemonSet>('Desired', ({ status }) => status.desiredNumberScheduled),
    countColumn<DaemonSet>('Current', ({ status }) => status.currentNumberScheduled),
    countColumn<DaemonSet>('Ready', ({ status }) => status.numberReady),
    countColumn<DaemonSet>('Up-to-date', ({ status }) => status.updatedNumberScheduled),
    countColumn<DaemonSet>('Available', ({ status }) => status.numberAvailable),
    column<DaemonSet>('Node Selector', ({ spec }) => labelsCell(spec.template.spec.nodeSelector)),
    ageColumn,
    ...containerColumns<DaemonSet>(
      ({ spec }) => spec.template.spec.containers,
      ({ spec }) => selectorCell(spec.selector),
    ),
  ],
})
