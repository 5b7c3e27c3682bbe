// HorizontalPodAutoscaler of autoscaling/v1.
import type * as autoscalingV1 from '../../generated/autoscaling-v1.ts'
import { defineKind } from '../../kind.ts'

export type HorizontalPodAutoscalerV1 = autoscalingV1.HorizontalPodAutoscaler

export const HorizontalPodAutoscalerV1 = defineKind<HorizontalPodAutoscalerV1>('autoscaling/v1/horizontalpodautoscalers')
