// HorizontalPodAutoscaler of autoscaling/v2.
import type * as autoscalingV2 from '../../generated/autoscaling-v2.ts'
import { defineKind } from '../../kind.ts'

export type HorizontalPodAutoscaler = autoscalingV2.HorizontalPodAutoscaler

export const HorizontalPodAutoscaler = defineKind<HorizontalPodAutoscaler>('autoscaling/v2/horizontalpodautoscalers')
