// PriorityLevelConfiguration of flowcontrol.apiserver.k8s.io/v1.
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import { defineKind } from '../../kind.ts'

export type PriorityLevelConfiguration = flowcontrolV1.PriorityLevelConfiguration

export const PriorityLevelConfiguration = defineKind<PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations',
)
