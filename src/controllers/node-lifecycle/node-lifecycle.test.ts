import { describe, expect, test } from 'vitest'
import { Node } from '#api/kinds/core/node'
import { makeObject } from '#client/make-object.testing'
import { firstFree } from '../node-ipam/node-ipam.ts'
import { wantedTaints } from './node-lifecycle.ts'

const node = (conditions: Record<string, string>, unschedulable = false) =>
  makeObject(Node, {
    metadata: { name: 'node' },
    spec: unschedulable ? { unschedulable } : {},
    status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status: status as 'True' })) },
  })

describe('wantedTaints', () => {
  test.each([
    ['a ready node is open', node({ Ready: 'True' }), []],
    ['one that never reported is kept free', node({}), ['not-ready:NoSchedule']],
    ['one that is not ready loses its pods', node({ Ready: 'False' }), ['not-ready:NoSchedule', 'not-ready:NoExecute']],
    ['so does one that fell silent', node({ Ready: 'Unknown' }), ['unreachable:NoSchedule', 'unreachable:NoExecute']],
    [
      'pressure takes no more',
      node({ Ready: 'True', MemoryPressure: 'True', DiskPressure: 'True' }),
      ['memory-pressure:NoSchedule', 'disk-pressure:NoSchedule'],
    ],
    ['pressure that is unknown is none', node({ Ready: 'True', PIDPressure: 'Unknown' }), []],
    ['a cordoned one neither', node({ Ready: 'True' }, true), ['unschedulable:NoSchedule']],
  ])('%s', (_name, of, wanted) => {
    expect(wantedTaints(of).map(({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`)).toEqual(wanted)
  })
})

describe('firstFree', () => {
  test.each([
    ['the first', '10.244.0.0/16', 24, [], '10.244.0.0/24'],
    ['the lowest gap', '10.244.0.0/16', 24, ['10.244.0.0/24', '10.244.2.0/24'], '10.244.1.0/24'],
    ['none is left', '10.244.0.0/25', 26, ['10.244.0.0/26', '10.244.0.64/26'], undefined],
    ['no room for even one', '10.244.0.0/26', 24, ['10.244.0.0/24'], undefined],
  ])('%s', (_name, cidr, bits, taken, wanted) => expect(firstFree(cidr, bits, new Set(taken))).toBe(wanted))
})
