import { describe, expect, test } from 'vitest'
import type { ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { makeObject } from '#client/make-object.testing'
import { findNewSet, newReplicaSet, nextRevision, refreshedNewSet, revisionOf, surplusHistory, templateHashLabel } from './replica-sets.ts'

const selector = { matchLabels: { app: 'web' } }
const template = (image: string, labels = {}) => ({
  metadata: { labels: { app: 'web', ...labels } },
  spec: { containers: [{ name: 'web', image }] },
})

function deploymentOf(image: string, more: object = {}) {
  return makeObject(Deployment, {
    metadata: { name: 'web', annotations: { team: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
    spec: { replicas: 3, selector, template: template(image), ...more },
  })
}

function setOf(
  name: string,
  image: string,
  more: { created?: string; revision?: string; replicas?: number; annotations?: object } = {},
): ReplicaSetObject {
  return makeObject(ReplicaSet, {
    metadata: {
      name,
      creationTimestamp: more.created ?? '2026-01-01T00:00:00Z',
      annotations: { ...(more.revision === undefined ? {} : { 'deployment.kubernetes.io/revision': more.revision }), ...more.annotations },
    },
    spec: { replicas: more.replicas ?? 0, selector, template: template(image, { [templateHashLabel]: name }) },
    status: { replicas: more.replicas ?? 0, observedGeneration: 1 },
  })
}

describe('findNewSet', () => {
  test('finds the set by template, its hash label left out', () => {
    expect(findNewSet(deploymentOf('b'), [setOf('one', 'a'), setOf('two', 'b')])?.metadata.name).toBe('two')
  })
  test('the oldest of several', () => {
    const sets = [setOf('young', 'a', { created: '2026-01-02T00:00:00Z' }), setOf('old', 'a')]
    expect(findNewSet(deploymentOf('a'), sets)?.metadata.name).toBe('old')
  })
  test('none carries the template', () => expect(findNewSet(deploymentOf('c'), [setOf('one', 'a')])).toBeUndefined())
})

test('a new set carries hash, owner, inherited annotations, size and revision', () => {
  const made = newReplicaSet(deploymentOf('a'), 2, 4)
  const hash = made.metadata.labels?.[templateHashLabel]
  expect(made).toMatchObject({
    metadata: {
      name: `web-${hash}`,
      labels: { app: 'web', [templateHashLabel]: hash },
      annotations: {
        team: 'x',
        'deployment.kubernetes.io/desired-replicas': '3',
        'deployment.kubernetes.io/max-replicas': '4',
        'deployment.kubernetes.io/revision': '4',
      },
      ownerReferences: [{ kind: 'Deployment', name: 'web', uid: 'uid-web', controller: true, blockOwnerDeletion: true }],
    },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web', [templateHashLabel]: hash } } },
  })
  expect(made.metadata.annotations).not.toHaveProperty('kubectl.kubernetes.io/last-applied-configuration')
  expect(made.spec?.template?.metadata?.labels?.[templateHashLabel]).toBe(hash)
})

test('a collision gives another name', () => {
  const plain = newReplicaSet(deploymentOf('a'), 1, 1).metadata.name
  const other = makeObject(Deployment, { ...structuredClone(deploymentOf('a')), status: { collisionCount: 1 } })
  expect(newReplicaSet(other, 1, 1).metadata.name).not.toBe(plain)
})

test('a rollback raises the revision and remembers the earlier ones', () => {
  const set = setOf('one', 'a', { revision: '1', annotations: { team: 'x', 'deployment.kubernetes.io/revision-history': '0' } })
  const refreshed = refreshedNewSet(deploymentOf('a'), set, [setOf('two', 'b', { revision: '2' })])
  expect([revisionOf(refreshed), refreshed?.metadata.annotations?.['deployment.kubernetes.io/revision-history']]).toEqual([3, '0,1'])
})

test('a set that says all that is to say is left alone', () => {
  const set = setOf('one', 'a', { revision: '3', annotations: { team: 'x' } })
  expect(refreshedNewSet(deploymentOf('a'), set, [setOf('two', 'b', { revision: '2' })])).toBeUndefined()
})

test('revisions count on from the highest', () =>
  expect([nextRevision([]), nextRevision([setOf('a', 'a', { revision: '7' })])]).toEqual([1, 8]))

describe('surplusHistory', () => {
  const history = ['3', '1', '2', '4'].map((revision) => setOf(`r${revision}`, 'a', { revision }))
  test('drops the lowest revisions beyond the limit', () => {
    const names = surplusHistory(deploymentOf('x', { revisionHistoryLimit: 2 }), history).map(({ metadata }) => metadata.name)
    expect(names).toEqual(['r1', 'r2'])
  })
  test('keeps sets that still have pods', () => {
    const busy = [setOf('r0', 'a', { revision: '0', replicas: 1 }), ...history]
    expect(surplusHistory(deploymentOf('x', { revisionHistoryLimit: 4 }), busy)).toEqual([])
  })
})
