import { describe, expect, test } from 'vitest'
import type { Node as NodeObject } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { makeObject } from '#client/make-object.testing'
import { createDisruption } from './disruption.ts'

const node = (name: string, zone = 'z', labels: Record<string, string> = {}): NodeObject =>
  makeObject(Node, { metadata: { name, labels: { 'topology.kubernetes.io/zone': zone, ...labels } } })

function zoneOf({ ready, down }: { ready: number; down: number }) {
  const disruption = createDisruption()
  for (let n = 0; n < ready; n++) disruption.note(node(`up-${n}`), true)
  for (let n = 0; n < down; n++) disruption.note(node(`down-${n}`), false)
  return disruption
}

/** At which of the given seconds a node may lose its pods. */
const turns = (disruption: ReturnType<typeof createDisruption>, seconds: number[]): number[] =>
  seconds.filter((second) => disruption.admit(node('down-0'), second * 1_000))

describe('how fast nodes that are down lose their pods', () => {
  test.each([
    ['one node every ten seconds', { ready: 3, down: 2 }, [0, 10, 20]],
    ['two of two are not most of a zone', { ready: 0, down: 2 }, [0, 10, 20]],
    ['a small zone that has lost most of its nodes keeps its pods', { ready: 2, down: 3 }, []],
    ['one that has lost just under 55 % is treated as any other', { ready: 5, down: 6 }, [0, 10, 20]],
    ['a large one loses a node’s every hundred seconds', { ready: 20, down: 31 }, [0]],
    ['a zone that is down as a whole, while others are up, is given up', { ready: 0, down: 5 }, [0, 10, 20]],
  ])('%s', (_name, zone, expected) => {
    expect(turns(zoneOf(zone), [0, 1, 9, 10, 11, 20])).toEqual(expected)
  })

  test('zones take turns of their own', () => {
    const disruption = createDisruption()
    for (const zone of ['a', 'b']) disruption.note(node(`down-${zone}`, zone), false)
    expect(['a', 'b', 'a'].map((zone) => disruption.admit(node(`down-${zone}`, zone), 0))).toEqual([true, true, false])
  })
})

describe('all nodes are down', () => {
  test('when the last ready one is, has gone, or says to leave it out', () => {
    const disruption = createDisruption()
    const seen = [disruption.allAreDown()]
    const look = (): void => void seen.push(disruption.allAreDown())
    disruption.note(node('one', 'a'), false)
    look()
    disruption.note(node('two', 'b'), true)
    look()
    disruption.note(node('two', 'b'), false)
    look()
    disruption.note(node('two', 'c'), true)
    look()
    disruption.note(node('two', 'c', { 'node.kubernetes.io/exclude-disruption': '' }), true)
    look()
    disruption.forget('one')
    look()
    expect(seen).toEqual([false, true, false, true, false, true, false])
  })
})
