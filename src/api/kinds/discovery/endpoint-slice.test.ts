import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
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
      ['endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address'],
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

  test('the table shows what is there', () => {
    expect(row(EndpointSlice, created(EndpointSlice, slice))).toMatchObject({ AddressType: 'IPv4', Ports: '80', Endpoints: '10.0.0.1' })
    expect(row(EndpointSlice, created(EndpointSlice, { addressType: 'IPv4', endpoints: [] }))).toMatchObject({
      Ports: '<unset>',
      Endpoints: '<unset>',
    })
  })
})
