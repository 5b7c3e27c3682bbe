// APIService of apiregistration.k8s.io/v1.
import type * as apiregistrationV1 from '../../generated/apiregistration-v1.ts'
import { defineKind } from '../../kind.ts'

export type APIService = apiregistrationV1.APIService

export const APIService = defineKind<APIService>('apiregistration.k8s.io/v1/apiservices')
