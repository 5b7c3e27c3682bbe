import { describe, expect, test } from 'vitest'
import type { ResourceClaim as ClaimObject } from '#api/generated/resource-v1'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import type { Manifest } from '#api/object'
import type { Cache } from '#client/controller'
import { makeObject } from '#client/make-object.testing'
import { filtered, node, pod, stateOf } from '../cluster.testing.ts'
import { podInfo } from '../node-info.ts'
import { createDynamicResources } from './dynamic-resources.ts'

const claim = (metadata: object = {}, status: Manifest<ClaimObject['status']> = {}): ClaimObject =>
  makeObject(ResourceClaim, { metadata: { name: 'gpu', namespace: 'default', ...metadata }, spec: { devices: {} }, status } as never)

function plugin(...claims: ClaimObject[]) {
  const get = (_kind: unknown, key: string) => claims.find(({ metadata }) => `default/${metadata.name}` === key)
  return createDynamicResources({ cache: { get, informer: () => ({ subscribe: () => () => {} }) } as unknown as Cache })
}

const asking = pod('train', { spec: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'gpu' }] } })
const templated = pod('train', { spec: { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'one' }] } })
const on = (value: string) => ({
  nodeSelector: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In' as const, values: [value] }] }],
  },
})

describe('a pod with claims to devices', () => {
  test.each([
    ['waits for the claim', asking, [], 'resourceclaim.resource.k8s.io "gpu" not found'],
    ['waits until it is made', templated, [], 'pod "default/train": ResourceClaim not created yet'],
    ['cannot have one that goes', asking, [claim({ deletionTimestamp: '2026-01-01T00:00:00Z' })], 'resourceclaim "gpu" is being deleted'],
    ['goes on when it is there', asking, [claim()], undefined],
    ['goes on without claims', pod('web'), [], undefined],
  ])('%s', (_, of, claims, expected) => {
    expect(plugin(...claims).preFilter?.(podInfo(of))).toBe(expected)
  })

  test('runs nowhere before they are allocated, then where they are', () => {
    const snapshot = stateOf([node('a'), node('b')]).snapshot()
    expect(filtered(plugin(claim()), asking, snapshot)).toEqual({ a: 'cannot allocate all claims', b: 'cannot allocate all claims' })
    const allocated = claim({}, { allocation: on('b') as never })
    expect(filtered(plugin(allocated), asking, snapshot)).toEqual({ a: 'resourceclaim not available on the node', b: 'ok' })
  })
})
