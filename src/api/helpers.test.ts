import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ageOf, humanDuration } from './duration.ts'
import type { LabelSelector } from './generated/meta-v1.ts'
import { canonicalJson, fnv1a32, safeEncode, templateHash } from './hash.ts'
import { cidrContains, formatCidr, formatIp, ipFromNumber, ipToNumber, isLoopback, networkOf, parseCidr, parseIp } from './ip.ts'
import { Pod } from './kinds/core/pod.ts'
import { defaulted } from './kinds/testing.ts'
import { formatLabelSelector, matchesLabels } from './label-selectors.ts'
import { nodeSelectorTermMatcher } from './node-selectors.ts'
import { isPodActive, isPodAvailable, isPodReady, podAvailableInMs, setPodCondition } from './pods.ts'
import { formatQuantity } from './quantity.ts'
import { computeQosClass, podLimits, podRequests } from './resources.ts'
import { findUntolerated, toleratedSeconds, tolerates } from './taints.ts'

const second = 1000
const hour = 3600 * second

describe('ages as people read them', () => {
  test.each([
    [0, '0s'],
    [-500, '0s'],
    [-5 * second, '<invalid>'],
    [119 * second, '119s'],
    [120 * second, '2m'],
    [125 * second, '2m5s'],
    [599 * second, '9m59s'],
    [600 * second, '10m'],
    [179 * 60 * second, '179m'],
    [3 * hour, '3h'],
    [3.5 * hour, '3h30m'],
    [8 * hour, '8h'],
    [47 * hour, '47h'],
    [48 * hour, '2d'],
    [50 * hour, '2d2h'],
    [8 * 24 * hour, '8d'],
    [729 * 24 * hour, '729d'],
    [730 * 24 * hour, '2y'],
    [800 * 24 * hour, '2y70d'],
    [8 * 365 * 24 * hour, '8y'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text)
  })

  test('what never was has no age', () => {
    expect(ageOf(undefined, 0)).toBe('<unknown>')
    expect(ageOf('1970-01-01T00:00:00Z', 90 * second)).toBe('90s')
  })
})

describe('addresses', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['1::2:0:0:0:3', '1:0:0:2::3'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['fe80:0:0:1:0:0:0:1', 'fe80:0:0:1::1'],
  ])('%s is %s', (text, canonical) => {
    expect(formatIp(parseIp(text)!)).toBe(canonical)
  })

  test.each(['', '10.0.0', '10.0.0.256', '10.0.0.1.2', 'a.b.c.d', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', 'fe80::1%eth0', '1::2::3'])(
    '%j is none',
    (text) => {
      expect(parseIp(text)).toBeUndefined()
    },
  )

  test('any address comes back from its text and its number', () => {
    const bytes = fc.oneof(
      fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 }),
      fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 16, maxLength: 16 }),
    )
    fc.assert(
      fc.property(bytes, (octets) => {
        const address = { family: (octets.length === 4 ? 4 : 6) as 4 | 6, bytes: octets }
        expect(ipFromNumber(address.family, ipToNumber(address)).bytes).toEqual(octets)
        const back = parseIp(formatIp(address))!
        expect(ipToNumber(back)).toBe(back.mapped ? ipToNumber({ bytes: octets.slice(12) }) : ipToNumber(address))
      }),
    )
  })

  test('blocks hold their addresses', () => {
    const block = parseCidr('10.1.2.3/16')!
    expect(formatIp(networkOf(block))).toBe('10.1.0.0')
    expect(formatCidr(block)).toBe('10.1.0.0/16')
    expect(cidrContains(block, parseIp('10.1.255.255')!)).toBe(true)
    expect(cidrContains(block, parseIp('10.2.0.0')!)).toBe(false)
    expect(cidrContains(parseCidr('::/0')!, parseIp('10.1.0.0')!)).toBe(false)
    expect(['10.0.0.0/33', '10.0.0.0', '10.0.0.0/-1', '/8', '10.0.0.0/'].map(parseCidr)).toEqual(Array(5).fill(undefined))
    expect([isLoopback(parseIp('127.9.9.9')!), isLoopback(parseIp('::1')!), isLoopback(parseIp('10.0.0.1')!)]).toEqual([true, true, false])
  })
})

describe('hashes', () => {
  test('are the published ones', () => {
    expect(fnv1a32('')).toBe(0x811c9dc5)
    expect(fnv1a32('a')).toBe(0xe40c292c)
    expect(fnv1a32('foobar')).toBe(0xbf9cf968)
    expect(safeEncode('0123456789')).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{10}$/)
  })

  test('do not depend on the order of fields, but on what they say', () => {
    const template = { metadata: { labels: { a: '1', b: '2' } }, spec: { containers: [{ name: 'x' }] } }
    const turned = { spec: { containers: [{ name: 'x' }] }, metadata: { labels: { b: '2', a: '1' } } }
    expect(templateHash(template)).toBe(templateHash(turned))
    expect(templateHash(template)).not.toBe(templateHash(template, 1))
    expect(templateHash(template)).not.toBe(templateHash({ ...template, spec: { containers: [{ name: 'y' }] } }))
    expect(canonicalJson({ b: undefined, a: [{ d: 1, c: null }] })).toBe('{"a":[{"d":1}]}')
  })
})

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front' }
  test.each<[string, LabelSelector | undefined, boolean]>([
    ['none selects nothing', undefined, false],
    ['an empty one everything', {}, true],
    ['all labels must match', { matchLabels: { app: 'web', tier: 'back' } }, false],
    ['In wants one of the values', { matchExpressions: [{ key: 'tier', operator: 'In', values: ['back', 'front'] }] }, true],
    ['NotIn lets the absent through', { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, true],
    ['NotIn keeps the named out', { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['web'] }] }, false],
    ['Exists', { matchExpressions: [{ key: 'app', operator: 'Exists' }] }, true],
    ['DoesNotExist', { matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] }, false],
    ['labels of the prototype are none', { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, false],
  ])('%s', (_what, selector, selected) => {
    expect(matchesLabels(selector, labels)).toBe(selected)
  })

  test('as text', () => {
    const selector: LabelSelector = {
      matchLabels: { b: '2', a: '1' },
      matchExpressions: [
        { key: 'c', operator: 'In', values: ['y', 'x'] },
        { key: 'd', operator: 'DoesNotExist' },
      ],
    }
    expect(formatLabelSelector(selector)).toBe('a=1,b=2,c in (x,y),!d')
  })
})

describe('node selectors', () => {
  const node = { metadata: { name: 'one', labels: { zone: 'a', cores: '8' } } }
  test.each<[string, Parameters<typeof nodeSelectorTermMatcher>[0], boolean]>([
    ['nothing selects nothing', {}, false],
    ['labels', { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }, true],
    ['more than', { matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['4'] }] }, true],
    ['less than', { matchExpressions: [{ key: 'cores', operator: 'Lt', values: ['8'] }] }, false],
    ['its name', { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['one'] }] }, true],
    [
      'both',
      {
        matchExpressions: [{ key: 'zone', operator: 'Exists' }],
        matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['one'] }],
      },
      false,
    ],
  ])('%s', (_what, term, selected) => {
    expect(nodeSelectorTermMatcher(term)(node as Parameters<ReturnType<typeof nodeSelectorTermMatcher>>[0])).toBe(selected)
  })
})

describe('taints', () => {
  const taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' as const }
  test.each([
    ['its value', { key: 'gpu', value: 'yes', effect: 'NoSchedule' as const }, true],
    ['another value', { key: 'gpu', value: 'no', effect: 'NoSchedule' as const }, false],
    ['any value', { key: 'gpu', operator: 'Exists' as const }, true],
    ['another effect', { key: 'gpu', operator: 'Exists' as const, effect: 'NoExecute' as const }, false],
    ['anything', { operator: 'Exists' as const }, true],
    ['another key', { key: 'disk', operator: 'Exists' as const }, false],
  ])('are tolerated by %s: %j', (_what, toleration, tolerated) => {
    expect(tolerates(toleration, taint)).toBe(tolerated)
  })

  test('the first that nobody tolerates is found, and the shortest stay', () => {
    const evict = { key: 'down', effect: 'NoExecute' as const }
    expect(findUntolerated([taint, evict], [{ key: 'gpu', operator: 'Exists' }], ['NoSchedule', 'NoExecute'])).toBe(evict)
    const stay = (tolerationSeconds?: number): Parameters<typeof toleratedSeconds>[1] => [
      { key: 'down', operator: 'Exists', ...(tolerationSeconds !== undefined && { tolerationSeconds }) },
      { operator: 'Exists', tolerationSeconds: 300 },
    ]
    expect(toleratedSeconds([evict], stay(30))).toBe(30)
  })
})

describe('resources of pods', () => {
  const pod = (spec: object): Pod => defaulted(Pod, { spec: { containers: [], ...spec } } as never)
  const container = (name: string, requests: object, limits: object = {}, more: object = {}): object => ({
    name,
    image: 'navarch.local/x:v1',
    resources: { requests, limits },
    ...more,
  })
  const shown = (resources: ReturnType<typeof podRequests>): Record<string, string> =>
    Object.fromEntries(Object.entries(resources).map(([name, amount]) => [name, formatQuantity(amount)]))

  test('containers run together, init containers one after the other, sidecars beside them', () => {
    const object = pod({
      initContainers: [
        container('side', { cpu: '100m' }, {}, { restartPolicy: 'Always' }),
        container('init', { cpu: '700m', memory: '10Mi' }),
      ],
      containers: [container('a', { cpu: '200m' }), container('b', { cpu: '300m', memory: '1Mi' })],
    })
    expect(shown(podRequests(object))).toEqual({ cpu: '800m', memory: '10Mi' })
  })

  test('overhead comes on top, of limits too where there are any', () => {
    const object = pod({ containers: [container('a', { cpu: '1' }, { cpu: '2' })], overhead: { cpu: '250m', memory: '5Mi' } })
    expect(shown(podRequests(object))).toEqual({ cpu: '1250m', memory: '5Mi' })
    expect(shown(podLimits(object))).toEqual({ cpu: '2250m' })
  })

  test.each([
    ['BestEffort', {}, {}],
    ['Burstable', { cpu: '1' }, {}],
    ['Burstable', { cpu: '1', memory: '1Gi' }, { cpu: '2', memory: '1Gi' }],
    ['Guaranteed', { cpu: '1', memory: '1Gi' }, { cpu: '1', memory: '1Gi' }],
    ['Guaranteed', {}, { cpu: '1', memory: '1Gi' }],
    ['Burstable', {}, { cpu: '1' }],
    ['BestEffort', { 'example.com/gpu': '1' }, { 'example.com/gpu': '1' }],
  ])('is %s with requests %j and limits %j', (qos, requests, limits) => {
    expect(computeQosClass(pod({ containers: [container('a', requests, limits)] }))).toBe(qos)
  })
})

describe('states of pods', () => {
  const ready = (since: string): Pick<Pod, 'status'> => ({
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: since }] } as Pod['status'],
  })

  test('a pod is available when it has been ready for a while', () => {
    const pod = ready('1970-01-01T00:00:10Z')
    expect(isPodReady(pod)).toBe(true)
    expect(isPodAvailable(pod, 0, 10_000)).toBe(true)
    expect(isPodAvailable(pod, 5, 14_999)).toBe(false)
    expect(isPodAvailable(pod, 5, 15_000)).toBe(true)
    expect(podAvailableInMs(pod, 5, 12_000)).toBe(3000)
  })

  test('a pod that ended or goes is not active', () => {
    const of = (phase: 'Running' | 'Failed', deletionTimestamp?: string): boolean =>
      isPodActive({
        status: { phase } as Pod['status'],
        metadata: { ...(deletionTimestamp !== undefined && { deletionTimestamp }) } as Pod['metadata'],
      })
    expect([of('Running'), of('Failed'), of('Running', '1970-01-01T00:00:00Z')]).toEqual([true, false, false])
  })

  test('a condition keeps its time while its status stays', () => {
    const { status } = ready('1970-01-01T00:00:10Z')
    expect(setPodCondition(status, { type: 'Ready', status: 'True' }, 20_000)).toBe(false)
    expect(status.conditions![0]!.lastTransitionTime).toBe('1970-01-01T00:00:10Z')
    expect(setPodCondition(status, { type: 'Ready', status: 'False', reason: 'Gone' }, 20_000)).toBe(true)
    expect(status.conditions).toEqual([{ type: 'Ready', status: 'False', reason: 'Gone', lastTransitionTime: '1970-01-01T00:00:20Z' }])
    expect(setPodCondition(status, { type: 'Initialized', status: 'True' }, 30_000)).toBe(true)
    expect(status.conditions).toHaveLength(2)
  })
})
