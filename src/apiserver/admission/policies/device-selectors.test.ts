import { expect, test } from 'vitest'
import { checkClaim, checkSelectors } from './device-selectors.ts'

const detailOf = async (expression: string): Promise<string | undefined> =>
  (await checkSelectors([{ cel: { expression } }], 'spec.selectors'))[0]?.detail

test.each<[what: string, expression: string]>([
  ['a driver', 'device.driver == "dra.example.com"'],
  ['an attribute', 'device.attributes["dra.example.com"].model == "a"'],
  ['an attribute that is itself the answer', 'device.attributes["dra.example.com"].fast'],
  ['a capacity', 'device.capacity["dra.example.com"].memory.compareTo(quantity("1Gi")) >= 0'],
  ['whether it may be shared', 'device.allowMultipleAllocations'],
  ['a name for what is needed twice', 'cel.bind(dra, device.attributes["dra.example.com"], dra.fast && dra.large)'],
  ['a version', 'device.attributes["a.b"].v.isGreaterThan(semver("1.2.3"))'],
])('devices are selected by %s', async (_what, expression) => {
  expect(await detailOf(expression)).toBeUndefined()
})

test.each<[what: string, expression: string, detail: string]>([
  ['does not parse', 'device.', 'compilation failed: ERROR: <input>:1:8: '],
  ['is no condition', 'device.driver', 'must evaluate to bool or the unknown type, not string'],
  ['names what a device does not have', 'device.nothing', "compilation failed: ERROR: <input>:1:7: undefined field 'nothing'"],
  ['has a constant that is none', 'device.driver.matches("x(")', 'invalid matches argument'],
  [
    'costs too much',
    'device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a != b && c != d))))',
    'too complex, exceeds cost limit',
  ],
])('a selector is refused that %s', async (_what, expression, detail) => {
  expect(await detailOf(expression)).toContain(detail)
})

test('claims are looked through, alternatives too', async () => {
  const selectors = [{ cel: { expression: 'true' } }, { cel: { expression: '1' } }]
  const requests = [
    { name: 'a', exactly: { deviceClassName: 'x', selectors } },
    { name: 'b', firstAvailable: [{ name: 'c', deviceClassName: 'x', selectors }] },
  ]
  const errors = await checkClaim({ devices: { requests } } as never, 'spec')
  expect(errors.map(({ field }) => field)).toEqual([
    'spec.devices.requests[0].exactly.selectors[1].cel.expression',
    'spec.devices.requests[1].firstAvailable[0].selectors[1].cel.expression',
  ])
})
