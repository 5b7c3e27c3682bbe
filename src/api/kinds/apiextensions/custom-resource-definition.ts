// CustomResourceDefinition of apiextensions.k8s.io/v1.
import type * as apiextensionsV1 from '../../generated/apiextensions-v1.ts'
import { defineKind } from '../../kind.ts'

export type CustomResourceDefinition = apiextensionsV1.CustomResourceDefinition

export const CustomResourceDefinition = defineKind<CustomResourceDefinition>('apiextensions.k8s.io/v1/customresourcedefinitions')
