import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Pod as PodV1 } from '../../generated/core-v1.ts'
import { arbitraryObject } from '../../schema/arbitrary.testing.ts'
import { builtinSchema } from '../../schema/builtin.ts'
import { testNowMs } from '../testing.ts'
import { Pod } from './pod.ts'
import { alikePods } from './pod-alike.ts'

const about = { nowMs: testNowMs, user: { name: 'admin', groups: [] }, subresource: '' }

function base(): PodV1 {
  const metadata = { name: 'web-b4b4b', generateName: 'web-', namespace: 'default', labels: { app: 'web' } }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1' }] } }
  const typed = pod as unknown as PodV1
  Pod.strategy.setDefaults?.(typed)
  return typed
}

// What checking says of a pod. Some arbitrary objects are none that defaulting makes: then what it throws.
function verdict(pod: PodV1): unknown {
  try {
    const { validate, validateCreate, warnings } = Pod.strategy
    return [validate?.(pod, about), validateCreate?.(pod, about), warnings?.(pod, undefined)]
  } catch (error) {
    return String(error)
  }
}

describe('pods that are alike', () => {
  test('differ in name, uid and times', () => {
    const [one, other] = [base(), base()]
    Object.assign(other.metadata, { name: 'web-c5c5c', uid: 'u', creationTimestamp: '2026-01-02T03:04:05Z', managedFields: [] })
    expect(alikePods(one, other)).toBe(true)
  })

  test.each<[string, (pod: PodV1) => void]>([
    ['a label', (pod) => Object.assign(pod.metadata, { labels: { app: 'other' } })],
    ['an annotation', (pod) => Object.assign(pod.metadata, { annotations: { a: 'b' } })],
    ['an image', (pod) => Object.assign(pod.spec.containers[0]!, { image: '' })],
    ['a name that is no hostname', (pod) => Object.assign(pod.metadata, { name: 'a.b' })],
  ])('do not differ in %s', (_, change) => {
    const other = base()
    change(other)
    expect([alikePods(base(), other), alikePods(other, base())]).toEqual([false, false])
  })

  test('have no volume whose claim is named by the pod', () => {
    const [one, other] = [base(), base()]
    for (const pod of [one, other]) pod.spec.volumes = [{ name: 'data', ephemeral: {} }]
    expect(alikePods(one, other)).toBe(false)
  })

  // Whatever validation comes to look at must be compared here as well.
  test('are checked with one outcome, whatever is in one place of one of them', () => {
    const schema = builtinSchema('v1', 'Pod')
    const places = [
      (pod: PodV1, from: PodV1) => Object.assign(pod, { spec: from.spec }),
      (pod: PodV1, from: PodV1) => Object.assign(pod, { status: from.status }),
      ...[
        'name',
        'generateName',
        'namespace',
        'uid',
        'labels',
        'annotations',
        'ownerReferences',
        'finalizers',
        'generation',
        'managedFields',
      ].map(
        (name) => (pod: PodV1, from: PodV1) =>
          Object.assign(pod.metadata, { [name]: (from.metadata as unknown as Record<string, unknown>)[name] }),
      ),
    ]
    fc.assert(
      fc.property(arbitraryObject(schema), fc.nat(places.length - 1), (arbitrary, place) => {
        const changed = base()
        places[place]!(changed, arbitrary as unknown as PodV1)
        // Every pod that is checked has a name.
        changed.metadata.name ??= 'web-c5c5c'
        if (alikePods(changed, base())) expect(verdict(changed)).toEqual(verdict(base()))
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})
