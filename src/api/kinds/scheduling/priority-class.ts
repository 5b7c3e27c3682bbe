// PriorityClass of scheduling.k8s.io/v1.
import type * as schedulingV1 from '../../generated/scheduling-v1.ts'
import { defineKind } from '../../kind.ts'

export type PriorityClass = schedulingV1.PriorityClass

export const PriorityClass = defineKind<PriorityClass>('scheduling.k8s.io/v1/priorityclasses')
