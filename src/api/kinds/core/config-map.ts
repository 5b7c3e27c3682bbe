// ConfigMap of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type ConfigMap = coreV1.ConfigMap

export const ConfigMap = defineKind<ConfigMap>('core/v1/configmaps')
