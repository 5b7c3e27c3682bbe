// EndpointSlice of discovery.k8s.io/v1.
import type * as discoveryV1 from '../../generated/discovery-v1.ts'
import { defineKind } from '../../kind.ts'

export type EndpointSlice = discoveryV1.EndpointSlice

export const EndpointSlice = defineKind<EndpointSlice>('discovery.k8s.io/v1/endpointslices')
