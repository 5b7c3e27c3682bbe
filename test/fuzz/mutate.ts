// Bending what is right: values of objects, the JSON and YAML that carry them, and bytes of any kind.
import type { Dice } from './dice.ts'

type Json = unknown
type Path = readonly (string | number)[]

/** What cannot stand in a value of ours, but in a JSON text: put there where this stands as a string. */
const raw = (text: string): string => `\u0001${text}\u0002`

const numbers: readonly Json[] = [
  0,
  -1,
  1.5,
  1e21,
  -0,
  2 ** 31,
  2 ** 53,
  raw('9223372036854775807'),
  raw('-9223372036854775809'),
  raw('18446744073709551616'),
  raw('1e999'),
  raw('-1e999'),
  raw('1e-999'),
  raw(`1${'0'.repeat(400)}`),
  raw(`0.${'3'.repeat(400)}`),
]

const texts: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00\ud800',
  '\ufffe\uffff',
  '\u202egnp.exe',
  'e\u0301'.repeat(50),
  '👩‍👩‍👧‍👦',
  'İıſK',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '../../../etc/passwd',
  '%2e%2e%2f',
  'a/b/c',
  '.',
  '..',
  '~1~0~2',
  'NaN',
  'Infinity',
  'null',
  '-0',
  '1e3',
  '0x10',
  '1_000',
  '100%',
  '-5%',
  '99999999999999999999Gi',
  '1e1000000000',
  '0.0000000000000000000000001n',
  '10.96.0.0/16',
  '256.1.1.1',
  '::ffff:1.2.3.4',
  'fe80::1%eth0',
  'http://[::1',
  '2026-02-30T25:61:61Z',
  '9999999h',
  '*/0 * * * *',
  '0 0 31 2 *',
  'TZ=Nowhere/Ever * * * * *',
  '^(a+)+$',
  '(?<=x)y',
  '[',
  '\\',
  '{{.Values}}',
  '$(A)',
  '$$$(A)(',
  'x'.repeat(300),
  'x.'.repeat(130),
  'size(object.metadata.name) > ',
  '[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, [1,2,3].map(d, a*b*c*d))))',
  '"x".matches("(((a+)+)+)+$")',
]

const others: readonly Json[] = [null, true, false, [], {}, [null], [[]], { a: null }, [{}], { '': '' }]

/** Any value but the right one, and a new one each time: it may be bent further. */
export function oddValue(dice: Dice): Json {
  return structuredClone(drawnValue(dice))
}

function drawnValue(dice: Dice): Json {
  switch (dice.below(8)) {
    case 0:
    case 1:
      return dice.pick(numbers)
    case 2:
    case 3:
      return dice.pick(texts)
    case 4:
      return nested(dice.below(60) + 1, dice.oneIn(2))
    case 5:
      return ownKeys([[dice.pick(hostileKeys), dice.pick(texts)]])
    case 6:
      return Array.from({ length: dice.below(40) }, () => dice.pick(others))
    default:
      return dice.pick(others)
  }
}

const hostileKeys: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '',
  'a/b',
  '$patch',
  '$retainKeys',
  '$setElementOrder/containers',
  '$deleteFromPrimitiveList/finalizers',
  'x'.repeat(300),
  '\u0000',
  '\ud800',
  'Metadata',
  'kind',
]

// Assignment would set the prototype for __proto__; a definition makes an own property of every key.
function ownKeys(entries: readonly (readonly [string, Json])[]): Record<string, Json> {
  return Object.fromEntries(entries)
}

function setOwn(object: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

export function nested(depth: number, lists: boolean): Json {
  let value: Json = 1
  for (let i = 0; i < depth; i++) value = lists ? [value] : { a: value }
  return value
}

/** Paths of all values within, the outermost excepted. */
export function pathsOf(value: Json): Path[] {
  const paths: Path[] = []
  const walk = (at: Json, path: Path): void => {
    if (typeof at !== 'object' || at === null) return
    const keys = Array.isArray(at) ? at.map((_, i) => i) : Object.keys(at)
    for (const key of keys) {
      const inner = [...path, key]
      paths.push(inner)
      walk((at as Record<string | number, Json>)[key], inner)
    }
  }
  walk(value, [])
  return paths
}

export function valueAt(value: Json, path: Path): Json {
  let at = value
  for (const key of path) at = (at as Record<string | number, Json>)[key]
  return at
}

/** Changes `object` in one to three places. */
export function bend(dice: Dice, object: Json): void {
  for (let i = dice.below(3); i >= 0; i--) {
    const paths = pathsOf(object)
    if (paths.length === 0) return
    bendAt(dice, object, dice.pick(paths), paths)
  }
}

function bendAt(dice: Dice, object: Json, path: Path, paths: readonly Path[]): void {
  const parent = valueAt(object, path.slice(0, -1)) as Record<string | number, Json>
  const key = path.at(-1)!
  const value = parent[key]
  switch (dice.below(9)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(key as number, 1)
      else delete parent[key]
      return
    case 1:
      if (Array.isArray(parent)) parent.push(structuredClone(value))
      else setOwn(parent, dice.pick(hostileKeys), structuredClone(value))
      return
    case 2:
      setOwn(parent, String(key), [value])
      return
    case 3:
      setOwn(parent, String(key), { a: value })
      return
    case 4:
      setOwn(parent, String(key), structuredClone(valueAt(object, dice.pick(paths))))
      return
    case 5:
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        setOwn(value as Record<string, Json>, dice.pick(hostileKeys), oddValue(dice))
        return
      }
      setOwn(
        parent,
        String(key),
        typeof value === 'number' ? String(value) : typeof value === 'string' ? Number(value) || 7 : oddValue(dice),
      )
      return
    default:
      setOwn(parent, String(key), oddValue(dice))
  }
}

/** JSON with what was marked put in raw. Lone surrogates stay as escapes, as JSON.stringify writes them. */
export function jsonText(value: Json): string {
  return JSON.stringify(value).replace(/"\\u0001(.*?)\\u0002"/g, '$1')
}

/** A JSON text bent as a text: keys doubled, cut, garnished, encoded wrongly. */
export function bendText(dice: Dice, text: string): Buffer {
  switch (dice.below(9)) {
    case 0:
      return Buffer.from(text.slice(0, dice.below(text.length)))
    case 1: {
      // A key twice.
      const at = text.indexOf('{', dice.below(text.length))
      const from = Math.max(at, 0)
      return Buffer.from(`${text.slice(0, from + 1)}"kind":"X","kind":${dice.oneIn(2) ? '"Y"' : '1'},${text.slice(from + 1)}`)
    }
    case 2:
      return Buffer.from(`\ufeff${text}`)
    case 3:
      return Buffer.from(text + dice.pick([text, ',', '}', '\u0000', '//x', '\n---\n{}', ']']))
    case 4: {
      const bytes = Buffer.from(text)
      const bad = dice.pick([[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x28, 0xa1]])
      const at = dice.below(bytes.length)
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(bad), bytes.subarray(at)])
    }
    case 5:
      return Buffer.from(text, 'utf16le')
    case 6:
      return Buffer.from(text.replace(/"([a-z]+)":/, '$1:').replace(/,/, ',,'))
    case 7:
      return Buffer.from(text.replaceAll('"', "'"))
    default:
      return bendBytes(dice, Buffer.from(text))
  }
}

/** Bytes changed here and there: bits turned, pieces lost, doubled, moved, replaced. */
export function bendBytes(dice: Dice, bytes: Buffer): Buffer {
  let out = Buffer.from(bytes)
  for (let i = dice.below(4); i >= 0; i--) {
    const at = dice.below(out.length + 1)
    const length = dice.below(dice.pick([2, 8, 64]))
    const [before, after] = [out.subarray(0, at), out.subarray(at)]
    switch (dice.below(6)) {
      case 0:
        if (at < out.length) out[at] = out[at]! ^ (1 << dice.below(8))
        break
      case 1:
        out = Buffer.concat([before, after.subarray(length)])
        break
      case 2:
        out = Buffer.concat([before, dice.bytes(length), after])
        break
      case 3:
        out = Buffer.concat([before, after.subarray(0, length), after])
        break
      case 4:
        if (at < out.length) out[at] = dice.pick([0, 0x7f, 0x80, 0xff, 0x0a, 0x22])
        break
      default:
        out = Buffer.from(before)
    }
  }
  return out
}
