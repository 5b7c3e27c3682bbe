// Deployment of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'

export type Deployment = appsV1.Deployment

export const Deployment = defineKind<Deployment>('apps/v1/deployments')
