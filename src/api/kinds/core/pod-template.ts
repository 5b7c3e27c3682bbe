// PodTemplate of the core group.
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { isChanged } from '../apps/workloads.ts'
import { labelsCell, nameColumn } from '../columns.ts'
import { setPodTemplateDefaults } from './pod-defaults.ts'
import { validatePodTemplateSpec } from './pod-validation.ts'
import { podWarnings } from './pod-warnings.ts'

export type PodTemplate = coreV1.PodTemplate

export const PodTemplate = defineKind<PodTemplate>('core/v1/podtemplates', {
  setDefaults(object) {
    object.template ??= {} as coreV1.PodTemplateSpec
    object.template.metadata ??= {}
    object.template.spec ??= {} as coreV1.PodSpec
    setPodTemplateDefaults(object.template)
  },
  warnings: ({ metadata, template }, old) => (isChanged(metadata, old) ? podWarnings(template, 'template') : []),
  validate: ({ template }) => validatePodTemplateSpec(template, 'template'),
  hasGeneration: true,
  columns: [
    nameColumn,
    column<PodTemplate>('Containers', ({ template }) => template.spec.containers.map(({ name }) => name).join(',')),
    column<PodTemplate>('Images', ({ template }) => template.spec.containers.map(({ image }) => image).join(',')),
    column<PodTemplate>('Pod Labels', ({ template }) => labelsCell(template.metadata.labels)),
  ],
})
