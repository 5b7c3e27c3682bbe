import { describe, expect, test } from 'vitest'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { Ingress } from './ingress.ts'
import { IngressClass } from './ingress-class.ts'
import { IPAddress } from './ip-address.ts'
import { NetworkPolicy } from './network-policy.ts'
import { ServiceCIDR } from './service-cidr.ts'

const backend: Manifest<networkingV1.IngressBackend> = { service: { name: 'web', port: { number: 80 } } }
const path: Manifest<networkingV1.HTTPIngressPath> = { path: '/', pathType: 'Prefix', backend }

describe('ingresses', () => {
  test.each<[string, Manifest<networkingV1.IngressSpec>, string[]]>([
    ['one backend', { defaultBackend: backend }, []],
    ['rules', { rules: [{ host: 'a.example.com', http: { paths: [path] } }] }, []],
    ['something', {}, ['spec: Invalid value: null: either `defaultBackend` or `rules` must be specified']],
    [
      'paths are absolute',
      { rules: [{ http: { paths: [{ ...path, path: 'a' }] } }] },
      ['spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path'],
    ],
    [
      'a path has a type',
      { rules: [{ http: { paths: [{ path: '/', backend } as unknown as networkingV1.HTTPIngressPath] } }] },
      ['spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified'],
    ],
    [
      'a backend has a port',
      { defaultBackend: { service: { name: 'web' } } },
      ['spec.defaultBackend: Required value: port name or number is required'],
    ],
    ['a backend is something', { defaultBackend: {} }, ['spec.defaultBackend: Invalid value: "": resource or service backend is required']],
    [
      'hosts are names',
      { rules: [{ host: '10.0.0.1', http: { paths: [path] } }] },
      ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
    ],
    ['names of services may begin with a digit', { defaultBackend: { service: { name: '1web', port: { number: 80 } } } }, []],
    [
      'parts of a path that mislead are refused wherever it begins',
      { rules: [{ http: { paths: [{ ...path, path: 'a//b/.' }] } }] },
      [
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b/.": must be an absolute path',
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b/.": must not contain \'//\'',
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b/.": cannot end with \'/.\'',
      ],
    ],
    [
      'a resource is named by its parts',
      { defaultBackend: { resource: { apiGroup: 'a_b', kind: 'a/b', name: '' } } },
      [
        "spec.defaultBackend.resource.apiGroup: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        'spec.defaultBackend.resource.kind: Invalid value: "a/b": may not contain \'/\'',
        'spec.defaultBackend.resource.name: Required value',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(Ingress, { spec })).toEqual(errors)
  })

  test('the class of the annotation and of the field agree on create', () => {
    const metadata = { annotations: { 'kubernetes.io/ingress.class': 'old' } }
    const spec = { ingressClassName: 'new', defaultBackend: backend }
    expect(createErrors(Ingress, { metadata, spec })).toEqual([
      'annotations.kubernetes.io/ingress.class: Invalid value: "old": must match `ingressClassName` when both are specified',
    ])
    expect(updateErrors(Ingress, { metadata, spec }, { metadata, spec })).toEqual([])
    const warnings = (ingress: Manifest<networkingV1.Ingress>) => Ingress.strategy.warnings?.(created(Ingress, ingress), undefined)
    expect(warnings({ metadata, spec })).toEqual([])
    expect(warnings({ metadata, spec: { defaultBackend: backend } })).toEqual([
      'annotation "kubernetes.io/ingress.class" is deprecated, please use \'spec.ingressClassName\' instead',
    ])
  })

  test('the table shows class, hosts, addresses and ports', () => {
    const object = created(Ingress, {
      spec: { ingressClassName: 'edge', tls: [{}], rules: [{ host: 'a.example.com', http: { paths: [path] } }] },
    })
    object.status = { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } }
    expect(row(Ingress, object)).toMatchObject({ Class: 'edge', Hosts: 'a.example.com', Address: '198.51.100.1', Ports: '80, 443' })
    expect(row(Ingress, created(Ingress, { spec: { defaultBackend: backend } }))).toMatchObject({
      Class: '<none>',
      Hosts: '*',
      Ports: '80',
    })
  })

  test('of many hosts some are shown, and of classes which is the default', () => {
    const rules = ['a', '', 'b', 'c', 'd'].map((host) => ({ host, http: { paths: [path] } }))
    expect(row(Ingress, created(Ingress, { spec: { rules } }))['Hosts']).toBe('a,b,c + 2 more...')
    expect(row(Ingress, created(Ingress, { spec: { rules: rules.slice(0, 4) } }))['Hosts']).toBe('a,b,c')
    const metadata = { annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } }
    expect(row(IngressClass, created(IngressClass, { metadata, spec: {} }))['Name']).toBe('x (default)')
  })

  test('a class stays with its controller', () => {
    const spec = { controller: 'example.com/edge' }
    expect(createErrors(IngressClass, { spec })).toEqual([])
    expect(createErrors(IngressClass, { spec: { controller: 'edge' } })).toEqual([
      'spec.controller: Invalid value: "edge": must be a domain-prefixed path (such as "acme.io/foo")',
    ])
    expect(updateErrors(IngressClass, { spec }, { spec: { controller: 'example.com/other' } })).toEqual([
      'spec.controller: Invalid value: "example.com/other": field is immutable',
    ])
  })
})

describe('network policies', () => {
  test('a policy that speaks of leaving is about leaving too', () => {
    expect(created(NetworkPolicy, { spec: { podSelector: {} } }).spec.policyTypes).toEqual(['Ingress'])
    expect(created(NetworkPolicy, { spec: { podSelector: {}, egress: [{}] } }).spec.policyTypes).toEqual(['Ingress', 'Egress'])
  })

  test.each<[string, Manifest<networkingV1.NetworkPolicySpec>, string[]]>([
    ['anything may come in', { podSelector: {}, ingress: [{}] }, []],
    [
      'a peer is one thing',
      { podSelector: {}, ingress: [{ from: [{}] }] },
      ['spec.ingress[0].from[0]: Required value: must specify a peer'],
    ],
    [
      'a block is no selector',
      { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }] },
      ['spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer'],
    ],
    [
      'exceptions are within',
      { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }] }] },
      ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`'],
    ],
    [
      'a range of ports goes up',
      { podSelector: {}, ingress: [{ ports: [{ port: 90, endPort: 80 }] }] },
      ['spec.ingress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`'],
    ],
    [
      'protocols and types are known',
      { podSelector: {}, policyTypes: ['Both' as 'Ingress'], ingress: [{ ports: [{ protocol: 'ICMP' as 'TCP' }] }] },
      [
        'spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
        'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress"',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(NetworkPolicy, { spec })).toEqual(errors)
  })

  test('blocks that a policy has stay; those written oddly are warned about', () => {
    const spec = { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: '10.0.0.1/8', except: ['010.1.0.0/16'] } }] }] }
    const path = 'spec.egress[0].to[0].ipBlock'
    expect(createErrors(NetworkPolicy, { spec })).toEqual([
      `${path}.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`,
      `${path}.except[0]: Invalid value: "010.1.0.0/16": must not have leading 0s in IP or prefix length`,
    ])
    expect(updateErrors(NetworkPolicy, { spec }, { spec })).toEqual([])
    expect(NetworkPolicy.strategy.warnings?.(created(NetworkPolicy, { spec }), undefined)).toEqual([
      `${path}.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)`,
      `${path}.except[0]: non-standard CIDR value "010.1.0.0/16" is invalid: use "10.1.0.0/16"`,
    ])
  })
})

describe('addresses and ranges of services', () => {
  test('an address is named by itself and belongs to something', () => {
    const spec = { parentRef: { resource: 'services', name: 'web', namespace: 'default' } }
    expect(createErrors(IPAddress, { metadata: { name: '10.96.0.1' }, spec })).toEqual([])
    expect(createErrors(IPAddress, { metadata: { name: 'ten' }, spec })).toEqual([
      'metadata.name: Invalid value: "ten": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ])
    expect(createErrors(IPAddress, { metadata: { name: '10.96.0.1' }, spec: {} })).toEqual(['spec.parentRef: Required value'])
    expect(row(IPAddress, created(IPAddress, { metadata: { name: '10.96.0.1' }, spec }))).toMatchObject({
      ParentRef: 'services/default/web',
    })
  })

  test('ranges are one or two, of different families', () => {
    expect(createErrors(ServiceCIDR, { spec: { cidrs: ['10.96.0.0/16'] } })).toEqual([])
    expect(createErrors(ServiceCIDR, { spec: {} })).toEqual(['spec.cidrs: Required value: at least one CIDR required'])
    expect(createErrors(ServiceCIDR, { spec: { cidrs: ['10.0.0.0/8', '11.0.0.0/8', 'fd00::/64'] } })).toEqual([
      'spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/8","11.0.0.0/8","fd00::/64"]}: may only hold up to 2 values',
    ])
    expect(createErrors(ServiceCIDR, { spec: { cidrs: ['10.0.0.1/8', '11.0.0.0/8'] } })).toEqual([
      'spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
      'spec.cidrs: Invalid value: ["10.0.0.1/8","11.0.0.0/8"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    ])
  })

  test.each<[after: string[], errors: string[]]>([
    [['10.96.0.0/16'], []],
    [['10.96.0.0/16', 'fd00::/64'], []],
    [['10.97.0.0/16'], ['spec.cidrs[0]: Invalid value: "10.97.0.0/16": field is immutable']],
    [['fd00::/64', '10.96.0.0/16'], ['spec.cidrs[0]: Invalid value: "fd00::/64": field is immutable']],
    [[], ['spec.cidrs: Invalid value: []: field is immutable']],
  ])('a range of 10.96.0.0/16 becomes %j', (after, errors) => {
    expect(updateErrors(ServiceCIDR, { spec: { cidrs: ['10.96.0.0/16'] } }, { spec: { cidrs: after } })).toEqual(errors)
  })
})
