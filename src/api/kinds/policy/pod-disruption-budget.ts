// PodDisruptionBudget of policy/v1.
import type * as policyV1 from '../../generated/policy-v1.ts'
import { defineKind } from '../../kind.ts'

export type PodDisruptionBudget = policyV1.PodDisruptionBudget

export const PodDisruptionBudget = defineKind<PodDisruptionBudget>('policy/v1/poddisruptionbudgets')
