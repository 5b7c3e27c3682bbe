// What some of the default roles must hold, where others once differed.
import { expect, test } from 'vitest'
import type { PolicyRule } from '#api/generated/rbac-v1'
import { clusterRoles, roles } from './default-policy.ts'

const named = (name: string, from: readonly { name: string; rules: readonly PolicyRule[] }[] = clusterRoles): readonly PolicyRule[] =>
  from.find((role) => role.name === name)!.rules

function may(rules: readonly PolicyRule[], verb: string, group: string, resource: string): boolean {
  return rules.some(
    ({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
      verbs.includes(verb) && apiGroups.includes(group) && resources.includes(resource) && resourceNames.length === 0,
  )
}

test.each([
  ['system:aggregate-to-view', 'list', 'events.k8s.io', 'events', true],
  ['system:aggregate-to-view', 'get', '', 'secrets', false],
  ['system:aggregate-to-edit', 'create', 'events.k8s.io', 'events', true],
  ['system:monitoring', 'get', '', 'nodes/metrics', true],
  ['system:node', 'create', 'events.k8s.io', 'events', true],
  ['system:kube-scheduler', 'create', 'resource.k8s.io', 'resourceclaims', true],
  ['system:controller:persistent-volume-binder', 'get', '', 'secrets', false],
  ['system:controller:expand-controller', 'get', '', 'secrets', false],
  ['system:controller:statefulset-controller', 'update', '', 'pods/finalizers', true],
  ['system:controller:namespace-controller', 'watch', '*', '*', true],
])('%s: %s of %s/%s is %s', (role, verb, group, resource, expected) => {
  expect(may(named(role), verb, group, resource)).toBe(expected)
})

test('leaders lock by leases', () => {
  for (const name of ['system::leader-locking-kube-controller-manager', 'system::leader-locking-kube-scheduler']) {
    expect(may(named(name, roles), 'update', 'coordination.k8s.io', 'leases')).toBe(true)
  }
})
