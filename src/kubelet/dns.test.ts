import { describe, expect, test } from 'vitest'
import type { PodSpec } from '#api/generated/core-v1'
import { parseResolvConf, podDns } from './dns.ts'
import { nodeHostsFile, podHostsFile, podNames } from './hosts-file.ts'
import { testPod } from './test-support/pods.ts'

const host = parseResolvConf('# made by hand\nnameserver 192.0.2.53\nsearch example.org. other.org\noptions timeout:1\n')
const context = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', host }
const cluster = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local']

describe('podDns', () => {
  const cases: readonly { name: string; spec: Partial<PodSpec>; servers: string[]; searches: string[]; options: string[] }[] = [
    {
      name: 'ClusterFirst asks the cluster',
      spec: {},
      servers: ['10.96.0.10'],
      searches: [...cluster, 'example.org', 'other.org'],
      options: ['ndots:5'],
    },
    {
      name: 'ClusterFirst on the host’s network is the host’s',
      spec: { hostNetwork: true },
      servers: ['192.0.2.53'],
      searches: ['example.org', 'other.org'],
      options: ['timeout:1'],
    },
    {
      name: 'ClusterFirstWithHostNet asks the cluster there too',
      spec: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      servers: ['10.96.0.10'],
      searches: [...cluster, 'example.org', 'other.org'],
      options: ['ndots:5'],
    },
    {
      name: 'Default is the host’s',
      spec: { dnsPolicy: 'Default' },
      servers: ['192.0.2.53'],
      searches: ['example.org', 'other.org'],
      options: ['timeout:1'],
    },
    {
      name: 'None is what dnsConfig says',
      spec: {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['1.1.1.1'], searches: ['a'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] },
      },
      servers: ['1.1.1.1'],
      searches: ['a'],
      options: ['ndots:2', 'edns0'],
    },
    {
      name: 'dnsConfig adds to the policy, and its options win',
      spec: { dnsConfig: { nameservers: ['1.1.1.1'], searches: ['a'], options: [{ name: 'ndots', value: '2' }] } },
      servers: ['10.96.0.10', '1.1.1.1'],
      searches: [...cluster, 'example.org', 'other.org', 'a'],
      options: ['ndots:2'],
    },
  ]
  test.each(cases)('$name', ({ spec, servers, searches, options }) => {
    expect(podDns(testPod(spec), context).config).toEqual({ servers, searches, options })
  })

  test('more than three name servers are cut, with a warning', () => {
    const { config, warnings } = podDns(testPod({ dnsPolicy: 'None', dnsConfig: { nameservers: ['1', '2', '3', '4'] } }), context)
    expect(config.servers).toEqual(['1', '2', '3'])
    expect(warnings).toEqual(['Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1 2 3'])
  })
})

describe('hosts files and names', () => {
  test('a pod’s own, with aliases', () => {
    const names = podNames(testPod({ hostname: 'db', subdomain: 'data' }), 'cluster.local')
    expect(podHostsFile(['10.0.0.2'], names, [{ ip: '1.2.3.4', hostnames: ['foo', 'bar'] }])).toBe(
      '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n' +
        'fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n10.0.0.2\tdb.data.default.svc.cluster.local\tdb\n' +
        '\n# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n',
    )
  })

  test('on the host’s network: the host’s file', () => {
    expect(nodeHostsFile('127.0.0.1 x\n', undefined)).toBe('# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n')
  })

  test.each([
    ['a long name is cut to 63 characters, without a dash at the end', {}, `${'a'.repeat(62)}-${'b'.repeat(9)}`, 'a'.repeat(62)],
    ['its own hostname wins', { hostname: 'own' }, 'web', 'own'],
    [
      'the full name as hostname when asked for',
      { hostname: 'own', subdomain: 's', setHostnameAsFQDN: true },
      'web',
      'own.s.default.svc.cluster.local',
    ],
  ] as const)('%s', (_, spec, name, hostname) => {
    expect(podNames(testPod(spec, { name }), 'cluster.local').hostname).toBe(hostname)
  })
})
