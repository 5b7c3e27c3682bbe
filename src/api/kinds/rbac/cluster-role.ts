// ClusterRole of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'

export type ClusterRole = rbacV1.ClusterRole

export const ClusterRole = defineKind<ClusterRole>('rbac.authorization.k8s.io/v1/clusterroles')
