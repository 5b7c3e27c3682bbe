import { describe, expect, test } from 'vitest'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testContext, updateErrors } from '../testing.ts'
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
    ['names are used once', spec(gpu, gpu), ['spec.devices.requests[1]: Duplicate value: "gpu"']],
    [
      'something is asked for',
      spec({ name: 'gpu' }),
      ['spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required'],
    ],
    [
      'all or a number',
      spec({ name: 'gpu', exactly: { deviceClassName: 'a', allocationMode: 'All', count: 2 } }),
      ["spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"],
    ],
    [
      'constraints are about requests',
      { devices: { requests: [gpu], constraints: [{ requests: ['nic'], matchAttribute: 'example.com/model' }] } },
      [
        'spec.devices.constraints[0].requests[0]: Invalid value: "nic": must be the name of a request in the claim or the name of a request and a subrequest separated by \'/\'',
      ],
    ],
    [
      'of one attribute, with its domain',
      { devices: { requests: [gpu], constraints: [{ matchAttribute: 'model' }, {}] } },
      [
        'spec.devices.constraints[0].matchAttribute: Invalid value: "model": a fully qualified name must be a domain and a name separated by a slash',
        'spec.devices.constraints[1]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
      ],
    ],
    [
      'drivers get objects',
      { devices: { config: [{ opaque: { driver: 'gpu.example.com', parameters: [] as never } }] } },
      ['spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object'],
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

  const result = { request: 'gpu', driver: 'gpu.example.com', pool: 'one', device: 'gpu-0' }
  const allocation = { devices: { results: [result] } }
  const told = { driver: 'gpu.example.com', pool: 'one', device: 'gpu-0' }

  test.each<[string, Manifest<resourceV1.ResourceClaimStatus>, string[]]>([
    ['a device', { allocation, devices: [told] }, []],
    [
      'of a request',
      { allocation: { devices: { results: [{ ...result, request: 'nic', shareID: 'x' }] } } },
      [
        'status.allocation.devices.results[0].request: Invalid value: "nic": must be the name of a request in the claim or the name of a request and a subrequest separated by \'/\'',
        'status.allocation.devices.results[0].shareID: Invalid value: "x": error validating uid: invalid UUID length: 1',
      ],
    ],
    [
      'of which drivers tell',
      { devices: [{ ...told, networkData: { ips: ['10.0.0.1'] } }] },
      [
        'status.devices[0]: Invalid value: {"Driver":"gpu.example.com","Pool":"one","Device":"gpu-0","ShareID":""}: must be an allocated device in the claim',
        'status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
      ],
    ],
    [
      'for its users',
      { reservedFor: [{ resource: 'pods', name: 'a', uid: 'b' }] },
      ['status.reservedFor: Forbidden: may not be specified when `allocated` is not set'],
    ],
  ])('are given %s', (_what, status, errors) => {
    expect(updateErrors(ResourceClaim, { spec: spec(gpu) }, { spec: spec(gpu), status }, 'status')).toEqual(errors)
  })

  test('what drivers told of a device goes with it', () => {
    const claim = created(ResourceClaim, { spec: spec(gpu) })
    claim.status = { devices: [told] }
    const old = structuredClone(claim)
    old.status = { allocation, devices: [told] }
    ResourceClaim.strategy.prepareForStatusUpdate!(claim, old, testContext('status'))
    expect(claim.status).toEqual({})
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
    ['told apart', { ...base, devices: [{ name: 'a' }, { name: 'a' }] }, ['spec.devices[1]: Duplicate value: "a"']],
    [
      'with one value each',
      { ...base, devices: [{ name: 'a', attributes: { model: {} } }] },
      ['spec.devices[0].attributes[model]: Invalid value: "": exactly one value must be specified'],
    ],
    [
      'and versions that can be compared',
      { ...base, devices: [{ name: 'a', attributes: { 'a_/b': { version: '1' } } }] },
      [
        expect.stringMatching(/^spec\.devices\[0\]\.attributes: Invalid value: "a_": a lowercase RFC 1123 subdomain/) as unknown as string,
        'spec.devices[0].attributes[a_/b].version: Invalid value: "1": must be a string compatible with semver.org spec 2.0.0',
      ],
    ],
    [
      'which is not a list',
      { ...base, devices: [{ name: 'a', attributes: { model: { strings: ['x'] } } }] },
      ['spec.devices[0].attributes[model]: Invalid value: "": exactly one value must be specified'],
    ],
    [
      'or counters that they share',
      { ...base, sharedCounters: [{ name: 'memory', counters: {} }] },
      ['spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed', 'spec.sharedCounters[0].counters: Required value'],
    ],
    [
      'on nodes of their own only if the slice says so',
      { ...base, devices: [{ name: 'a', allNodes: true }] },
      [
        'spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ],
    ],
    [
      'what one claim may take is a part of the whole',
      {
        ...base,
        devices: [
          {
            name: 'a',
            allowMultipleAllocations: true,
            capacity: {
              memory: { value: '10Gi', requestPolicy: { default: '3Gi', validRange: { min: '2Gi', max: '12Gi', step: '2Gi' } } },
            },
          },
        ],
      },
      [
        'spec.devices[0].capacity[memory].requestPolicy.validRange.max: Invalid value: "12Gi": max is larger than capacity value: 10Gi',
        'spec.devices[0].capacity[memory].requestPolicy.validRange.step: Invalid value: "3Gi": value is not a multiple of a given step (2Gi) from (2Gi)',
      ],
    ],
    [
      'what binding waits for can also fail',
      { ...base, devices: [{ name: 'a', bindingConditions: ['Ready', 'Ready'] }] },
      [
        'spec.devices[0].bindingConditions[1]: Duplicate value: "Ready"',
        'spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions',
      ],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(ResourceSlice, { spec: manifest })).toEqual(errors)
  })
})
