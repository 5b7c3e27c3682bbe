import { describe, expect, test } from 'vitest'
import { ConfigMap } from '#api/kinds/core/config-map'
import { makeObject } from '#client/make-object.testing'
import { OwnerGraph } from './graph.ts'

const object = (name: string, owners: string[] = [], metadata: object = {}) =>
  makeObject(ConfigMap, {
    metadata: {
      name,
      ownerReferences: owners.map((owner) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: `uid-${owner}` })),
      ...metadata,
    },
  })
const names = (nodes: Iterable<{ name: string }> | undefined): string[] => [...(nodes ?? [])].map(({ name }) => name).sort()

describe('OwnerGraph', () => {
  test('a dependent that comes before its owner is found with it', () => {
    const graph = new OwnerGraph()
    graph.put(ConfigMap, object('child', ['parent']))
    expect(names(graph.put(ConfigMap, object('parent')).dependents)).toEqual(['child'])
  })

  test('an object that goes names its dependents, which wait for an owner of that uid', () => {
    const graph = new OwnerGraph()
    graph.put(ConfigMap, object('parent'))
    graph.put(ConfigMap, object('child', ['parent']))
    expect(names(graph.remove('uid-parent'))).toEqual(['child'])
    expect(names(graph.put(ConfigMap, object('parent')).dependents)).toEqual(['child'])
  })

  test('owners that are let go of lose the dependent', () => {
    const graph = new OwnerGraph()
    graph.put(ConfigMap, object('a'))
    graph.put(ConfigMap, object('b'))
    graph.put(ConfigMap, object('child', ['a', 'b']))
    graph.put(ConfigMap, object('child', ['b']))
    expect([names(graph.get('uid-a')?.dependents), names(graph.get('uid-b')?.dependents)]).toEqual([[], ['child']])
  })

  test('deletion and finalizers are known', () => {
    const graph = new OwnerGraph()
    const node = graph.put(ConfigMap, object('a', [], { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['orphan'] }))
    expect([node.deleting, node.finalizers, graph.size]).toEqual([true, ['orphan'], 1])
  })

  test('nothing is left when everything is gone', () => {
    const graph = new OwnerGraph()
    graph.put(ConfigMap, object('child', ['parent']))
    graph.remove('uid-child')
    expect([graph.size, names(graph.put(ConfigMap, object('parent')).dependents), graph.remove('uid-nobody')]).toEqual([0, [], []])
  })
})
