import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testContext, updateErrors } from '../testing.ts'
import { EndpointSlice } from './endpoint-slice.ts'

const slice: Manifest<EndpointSlice> = { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ name: '', port: 80 }] }

describe('endpoint slices', () => {
  test('a port has a name and a protocol', () => {
    expect(created(EndpointSlice, { ...slice, ports: [{ port: 80 }] }).ports).toEqual([{ name: '', port: 80, protocol: 'TCP' }])
  })

  test.each<[string, Manifest<EndpointSlice>, string[]]>([
    ['addresses of one type', slice, []],
    ['the type is needed', { endpoints: [] } as unknown as Manifest<EndpointSlice>, ['addressType: Required value']],
    [
      'and one of three',
      { ...slice, addressType: 'IPX' as 'IPv4' },
      ['addressType: Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"'],
    ],
    [
      'an endpoint is somewhere',
      { ...slice, endpoints: [{ addresses: [] }] },
      ['endpoints[0].addresses: Required value: must contain at least 1 address'],
    ],
    [
      'of the slice’s type',
      { ...slice, endpoints: [{ addresses: ['2001:db8::1'] }] },
      ['endpoints[0].addresses: Invalid value: "2001:db8::1": must be an IPv4 address'],
    ],
    [
      'written in one way',
      { ...slice, addressType: 'IPv6', endpoints: [{ addresses: ['2001:DB8::1', '::1'] }] },
      [
        'endpoints[0].addresses[0]: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")',
        'endpoints[0].addresses[1]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      ],
    ],
    [
      'or a domain',
      { ...slice, addressType: 'FQDN', endpoints: [{ addresses: ['', 'a'] }] },
      [
        'endpoints[0].addresses[0]: Required value',
        'endpoints[0].addresses[1]: Invalid value: "a": should be a domain with at least two segments separated by dots',
      ],
    ],
    [
      'hints are told apart',
      { ...slice, endpoints: [{ addresses: ['10.0.0.1'], hints: { forZones: [{ name: 'a' }, { name: 'a' }] } }] },
      ['endpoints[0].hints.forZones[1].name: Duplicate value: "a"'],
    ],
    [
      'protocols are three',
      { ...slice, ports: [{ port: 80, protocol: 'ICMP' as 'TCP' }] },
      ['ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [
      'ports are told apart by name',
      {
        ...slice,
        ports: [
          { name: 'a', port: 80 },
          { name: 'a', port: 81 },
        ],
      },
      ['ports[1].name: Duplicate value: "a"'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(EndpointSlice, manifest)).toEqual(errors)
  })

  test('the type stays', () => {
    expect(updateErrors(EndpointSlice, slice, { ...slice, addressType: 'FQDN', endpoints: [{ addresses: ['a.example.com'] }] })).toEqual([
      'addressType: Invalid value: "FQDN": field is immutable',
    ])
  })

  test('old names for where an endpoint is are dropped; labels count as a change', () => {
    const topology = { 'kubernetes.io/hostname': 'one' }
    const object = created(EndpointSlice, { ...slice, endpoints: [{ addresses: ['10.0.0.1'], deprecatedTopology: topology }] })
    expect(object.endpoints![0]).toEqual({ addresses: ['10.0.0.1'], conditions: {} })
    const old = structuredClone(object)
    old.endpoints![0]!.deprecatedTopology = topology
    old.metadata.generation = 1
    object.metadata.labels = { a: 'b' }
    object.endpoints![0]!.deprecatedTopology = { ...topology, zone: 'a' }
    EndpointSlice.strategy.prepareForUpdate!(object, old, testContext())
    expect(object.endpoints![0]).toEqual({ addresses: ['10.0.0.1'], conditions: {}, nodeName: 'one' })
    expect(object.metadata.generation).toBe(2)
  })

  test('addresses written oddly are warned about, but for those of our controllers', () => {
    const object = created(EndpointSlice, { ...slice, endpoints: [{ addresses: ['010.0.0.1'] }] })
    const warnings = () => EndpointSlice.strategy.warnings?.(object, undefined)
    expect(warnings()).toEqual(['endpoints[0].addresses[0]: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"'])
    object.metadata.labels = { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' }
    expect(warnings()).toEqual([])
  })

  test('the table shows what is there', () => {
    expect(row(EndpointSlice, created(EndpointSlice, slice))).toMatchObject({ AddressType: 'IPv4', Ports: '80', Endpoints: '10.0.0.1' })
    expect(row(EndpointSlice, created(EndpointSlice, { addressType: 'IPv4', endpoints: [] }))).toMatchObject({
      Ports: '<unset>',
      Endpoints: '<unset>',
    })
  })
})
