// DeviceClass of resource.k8s.io/v1.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'

export type DeviceClass = resourceV1.DeviceClass

export const DeviceClass = defineKind<DeviceClass>('resource.k8s.io/v1/deviceclasses')
