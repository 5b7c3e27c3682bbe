// Small requests that would cost much, were they read without bounds: aliases, depth, copies, long names, many fields (CVE-2019-11253,
// CVE-2019-11254).
import type { Dice } from './dice.ts'
import { json, patchTypes, protobuf, type Scene } from './maker.ts'
import { collectionPath, resources } from './manifests.ts'
import type { FuzzRequest } from './wire.ts'

type Bomb = Omit<FuzzRequest, 'what'>

/** Every bomb there is. */
export function bombsOf(dice: Dice, scene: Scene): readonly FuzzRequest[] {
  const path = collectionPath(resources[0]!, scene.namespace)
  const object = `${path}/${scene.names[0]!}`
  const yaml = (text: string): Bomb => ({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/yaml' },
    body: Buffer.from(text),
  })
  const post = (text: string): Bomb => ({ method: 'POST', path, headers: json, body: Buffer.from(text) })
  const patch = (type: string, text: string): Bomb => ({
    method: 'PATCH',
    path: `${object}?${type === patchTypes.apply ? 'fieldManager=f' : ''}`,
    headers: { 'content-type': type },
    body: Buffer.from(text),
  })
  const deep = dice.pick([200, 9_000, 100_000])
  const head = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bomb"},'
  const makers: readonly (() => Bomb)[] = [
    () =>
      yaml(
        `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi'].map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]`).join('\n')}\n`,
      ),
    () => yaml('a: &a\n  b: *a\n'),
    () => yaml('&a [*a]'),
    () => yaml(`${'- '.repeat(deep)}x`),
    () => yaml(`${'? '.repeat(deep)}x`),
    () => yaml(`${'['.repeat(deep)}`),
    () => yaml(`${'{a: '.repeat(deep)}`),
    () => yaml(Array.from({ length: Math.min(deep, 2_000) }, (_, i) => `${' '.repeat(i)}a:`).join('\n')),
    () => yaml('!!binary x\n'),
    () => yaml('!!js/function "x"\n'),
    () => yaml('? [a, b]\n: c\n? {x: y}\n: z\n'),
    () => yaml('<<: [{a: 1}, {b: 2}]\n__proto__: {x: 1}\nmetadata: {name: y}\n'),
    () => yaml('<<: &a {<<: *a}\n'),
    () => yaml(`a: ${'x'.repeat(2_000_000)}`),
    () => yaml(`${'a: b\n'.repeat(20_000)}`),
    () => yaml(`${'# c\n'.repeat(200_000)}kind: ConfigMap`),
    () => yaml(`a: "${'\\x41'.repeat(200_000)}"`),
    () => yaml(`{${'a,'.repeat(100_000)}}`),
    () => yaml('%YAML 9.9\n%TAG ! x\n--- !x\na: 1\n...\n--- b'),
    () => yaml('data: {a: 0o17, b: 1_000, c: 0b11, d: 1:30, e: .inf, f: .nan, g: 2026-01-01, h: ~, i: yes}'),
    () => post(`${head}"data":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`),
    () => post('['.repeat(deep)),
    () => post(`${'['.repeat(deep)}${']'.repeat(deep)}`),
    () => post(`${head}"data":{${Array.from({ length: 40_000 }, (_, i) => `"k${i}":"v"`).join()}}}`),
    () => post(`${head}"data":{${'"k":"v",'.repeat(100_000)}"k":"v"}}`),
    () => post(`${head}"data":{"a":"${'x'.repeat(1_100_000)}"}}`),
    () => post(`${head}"data":{"a":"${'\\u0000'.repeat(150_000)}"}}`),
    () => post(`${head}"metadata":{"name":"${'a-'.repeat(400_000)}"}}`),
    () => post(`{"metadata":{"name":"bomb","finalizers":[${'"a.example.com/b",'.repeat(20_000)}"c"]}}`),
    () => post(`{"metadata":{"name":"bomb","labels":{"${'a.'.repeat(200_000)}/x":"y"},"ownerReferences":[${'{},'.repeat(5_000)}{}]}}`),
    () => post(`${head}"data":{"a":1${'0'.repeat(500_000)}}}`),
    () => patch(patchTypes.json, JSON.stringify(Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' })))),
    () =>
      patch(
        patchTypes.json,
        JSON.stringify(Array.from({ length: 9_999 }, (_, i) => ({ op: 'add', path: `/metadata/annotations/a${i}`, value: 'x' }))),
      ),
    () =>
      patch(
        patchTypes.json,
        JSON.stringify([
          { op: 'add', path: '/data', value: { a: 'x'.repeat(500) } },
          ...Array.from({ length: 40 }, () => ({ op: 'copy', from: '/data', path: '/data/x' })),
        ]),
      ),
    () =>
      patch(
        patchTypes.json,
        JSON.stringify([
          { op: 'add', path: '/metadata/x', value: ['x'.repeat(9_000)] },
          ...Array.from({ length: 3_000 }, () => ({ op: 'copy', from: '/metadata/x/0', path: '/metadata/x/-' })),
        ]),
      ),
    () =>
      patch(
        patchTypes.json,
        JSON.stringify(
          Array.from({ length: 5_000 }, (_, i) => ({ op: 'add', path: '/metadata/finalizers/0', value: `a.example.com/${i}` })),
        ),
      ),
    () => patch(patchTypes.json, `[{"op":"add","path":"/data","value":${'['.repeat(deep)}${']'.repeat(deep)}}]`),
    () => patch(patchTypes.json, JSON.stringify([{ op: 'replace', path: `/data${'/a'.repeat(200_000)}`, value: 1 }])),
    () => patch(patchTypes.merge, `{"data":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`),
    () => patch(patchTypes.strategic, `{"metadata":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`),
    () =>
      patch(
        patchTypes.strategic,
        JSON.stringify({ metadata: { ownerReferences: Array.from({ length: 5_000 }, (_, i) => ({ uid: `u${i}`, name: 'x' })) } }),
      ),
    () => patch(patchTypes.apply, `{"apiVersion":"v1","kind":"ConfigMap","data":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`),
    () =>
      patch(
        patchTypes.apply,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          data: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, 'v'])),
        }),
      ),
    () => ({ method: 'GET', path: `${path}?labelSelector=${'a,'.repeat(20_000)}` }),
    () => ({ method: 'GET', path: `${path}?${'labelSelector=a&'.repeat(3_000)}` }),
    () => ({
      method: 'POST',
      path,
      headers: { 'content-type': protobuf },
      body: Buffer.concat([Buffer.from('k8s\u0000'), Buffer.from([0x12, 0x80, 0x80, 0x40]), Buffer.alloc(1_048_576, 0x0a)]),
    }),
    () => ({ method: 'POST', path, headers: json, body: Buffer.alloc(3 * 1_048_576 + 1, 0x20) }),
  ]
  return makers.map((make) => ({ what: 'bombs', ...make() }))
}
