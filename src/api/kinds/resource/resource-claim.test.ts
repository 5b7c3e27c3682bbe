import { describe, expect, test } from 'vitest'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { ResourceClaim } from './resource-claim.ts'
import { ResourceClaimTemplate } from './resource-claim-template.ts'
import { ResourceSlice } from './resource-slice.ts'

const gpu: Manifest<resourceV1.DeviceRequest> = { name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }

function spec(...requests: Manifest<resourceV1.DeviceRequest>[]): Manifest<resourceV1.ResourceClaimSpec> {
  return { devices: { requests } }
}

describe('device claims', () => {
  test('ask for one device unless told otherwise', () => {
    expect(created(ResourceClaim, { spec: spec(gpu) }).spec.devices.requests![0]!.exactly).toMatchObject({
      allocationMode: 'ExactCount',
      count: 1,
    })
  })

  test.each<[string, Manifest<resourceV1.ResourceClaimSpec>, string[]]>([
    ['a device of a class', spec(gpu), []],
    ['names are used once', spec(gpu, gpu), ['spec.devices.requests[1].name: Duplicate value: "gpu"']],
    [
      'something is asked for',
      spec({ name: 'gpu' }),
      ['spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required'],
    ],
    [
      'all or a number',
      spec({ name: 'gpu', exactly: { deviceClassName: 'a', allocationMode: 'All', count: 2 } }),
      ['spec.devices.requests[0].exactly.count: Invalid value: 2: a non-zero count is not valid for allocationMode=All'],
    ],
    [
      'constraints are about requests',
      { devices: { requests: [gpu], constraints: [{ requests: ['nic'], matchAttribute: 'example.com/model' }] } },
      [
        'spec.devices.constraints[0].requests[0]: Invalid value: "nic": must be the name of a request in the claim or \'<main request>/<subrequest>\'',
      ],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(ResourceClaim, { spec: manifest })).toEqual(errors)
    const prefixed = errors.map((error) => error.replace('spec.', 'spec.spec.'))
    expect(createErrors(ResourceClaimTemplate, { spec: { spec: manifest } })).toEqual(prefixed)
  })

  test('stay as they were asked for', () => {
    expect(updateErrors(ResourceClaim, { spec: spec(gpu) }, { spec: spec() })).toEqual([
      expect.stringMatching(/^spec: Invalid value: .*: field is immutable$/),
    ])
  })

  test('show how far they are', () => {
    const claim = created(ResourceClaim, { spec: spec(gpu) })
    expect(row(ResourceClaim, claim)).toMatchObject({ State: 'pending' })
    claim.status = { allocation: { devices: {} }, reservedFor: [{ resource: 'pods', name: 'a', uid: 'b' }] }
    expect(row(ResourceClaim, claim)).toMatchObject({ State: 'allocated,reserved' })
  })
})

describe('device slices', () => {
  const base: Manifest<resourceV1.ResourceSliceSpec> = {
    driver: 'gpu.example.com',
    nodeName: 'one',
    pool: { name: 'one', generation: 1, resourceSliceCount: 1 },
    devices: [{ name: 'gpu-0', attributes: { model: { string: 'x' } } }],
  }

  test.each<[string, Manifest<resourceV1.ResourceSliceSpec>, string[]]>([
    ['devices of a node', base, []],
    [
      'somewhere',
      { ...base, allNodes: true },
      [
        'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
      ],
    ],
    ['told apart', { ...base, devices: [{ name: 'a' }, { name: 'a' }] }, ['spec.devices[1].name: Duplicate value: "a"']],
    [
      'with one value each',
      { ...base, devices: [{ name: 'a', attributes: { model: {} } }] },
      ['spec.devices[0].attributes[model]: Required value: exactly one value must be specified'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(ResourceSlice, { spec: manifest })).toEqual(errors)
  })
})
