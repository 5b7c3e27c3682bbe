// ControllerRevision of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'

export type ControllerRevision = appsV1.ControllerRevision

export const ControllerRevision = defineKind<ControllerRevision>('apps/v1/controllerrevisions')
