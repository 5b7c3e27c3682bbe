import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from './cel.ts'
import { CelCompileError } from './syntax.ts'
import { bool, dyn, type Field, int, listOf, mapOf, objectOf, string, type Type } from './types.ts'
import { toJson } from './values.ts'

const pod = {
  metadata: { name: 'web', labels: { app: 'web', 'a/b': 'c' } },
  spec: {
    replicas: 3,
    ratio: 0.5,
    containers: [
      { name: 'a', image: 'x/a' },
      { name: 'b', image: 'y/b' },
    ],
    nothing: null,
  },
}

const run = async (source: string, types: Record<string, Type> = { object: dyn }): Promise<unknown> =>
  toJson((await compile(source, { variables: types })).evaluate({ object: pod }))

describe('expressions', () => {
  test.each<[string, unknown]>([
    ['1 + 2 * 3 - 4 / 2', 5],
    ['-7 % 3', -1],
    ['-9223372036854775808 < 0', true],
    ['1u + 2u == 3u', true],
    ['1.5 * 2.0', 3],
    ['1 < 1.5 && 2u > 1', true],
    ['"a" + \'b\' + """c"""', 'abc'],
    ['r"\\d" + "\\x41\\u00e9\\n"', '\\dAé\n'],
    ['size("naïve") + size([1, 2]) + size({"a": 1}) + size(b"abc")', 11],
    ['true ? "yes" : "no"', 'yes'],
    ['object.metadata.name == "web" && object.spec.replicas > 2', true],
    ['object.metadata.labels["a/b"]', 'c'],
    ['object.spec.replicas * 2', 6],
    ['object.spec.ratio < object.spec.replicas', true],
    ['has(object.spec.replicas) && !has(object.spec.missing)', true],
    ['object.spec.nothing == null', true],
    ['object.spec.containers.all(c, c.image.contains("/"))', true],
    ['object.spec.containers.exists(c, c.name == "b")', true],
    ['object.spec.containers.exists_one(c, c.name.startsWith("a"))', true],
    ['object.spec.containers.map(c, c.name)', ['a', 'b']],
    ['object.spec.containers.map(c, c.image.startsWith("x"), c.name)', ['a']],
    ['object.spec.containers.filter(c, c.image.endsWith("b"))[0].name', 'b'],
    ['object.metadata.labels.all(k, k.size() > 0)', true],
    ['object.metadata.labels.exists(k, v, k == "app" && v == "web")', true],
    ['[1, 2].transformList(i, v, i + v)', [1, 3]],
    ['{"a": 1}.transformMap(k, v, v + 1)', { a: 2 }],
    ['["x", "y"].transformMapEntry(i, v, {v: i})', { x: 0, y: 1 }],
    ['"web" in object.metadata.labels || 2 in [1, 2]', true],
    ['[1, 2] + [3]', [1, 2, 3]],
    ['{"a": [1]} == dyn({"a": [1.0]})', true],
    ['[[1].exists(x, x > 0)].all(x, [2].all(y, x && y == 2))', true],
    ['object.?spec.?missing.orValue("none")', 'none'],
    ['object.?spec.?replicas.hasValue()', true],
    ['object[?"metadata"].name.value()', 'web'],
    ['[1, ?optional.none(), ?optional.of(2)]', [1, 2]],
    ['{?"a": optional.none(), "b": 1}', { b: 1 }],
    ['optional.of(2).optMap(x, x + 1).value()', 3],
    ['type(1) == int && type("") == string && type(timestamp(0)) == google.protobuf.Timestamp', true],
    ['string(1) + string(1.5) + string(true) + string(duration("90s"))', '11.5true90s'],
    ['int("42") + int(3.9) + int(7u)', 52],
    ['duration("1h30m").getMinutes()', 90],
    ['timestamp("2024-02-29T10:00:00Z") + duration("24h") == timestamp("2024-03-01T10:00:00Z")', true],
    ['timestamp("2024-02-29T23:30:00Z").getHours("Europe/Paris")', 0],
    ['false && 1 / 0 == 1 || true', true],
    ['(1 / 0 == 1) || true', true],
    ['[1, 0].exists(x, 1 / x == 1)', true],
  ])('%s', async (source, result) => {
    expect(await run(source)).toEqual(result)
  })

  test.each<[string, string]>([
    ['1 / 0', 'division by zero'],
    ['9223372036854775807 + 1', 'integer overflow'],
    ['object.spec.missing', 'no such key: missing'],
    ['[1][3]', 'index out of bounds: 3'],
    ['object.spec.replicas + "x"', 'no such overload'],
    ['{"a": 1}["b"]', 'no such key: b'],
    ['[1, 0].all(x, 1 / x > 0)', 'division by zero'],
    ['int("x")', "type conversion error from 'string' to 'int'"],
    ['optional.none().value()', 'optional.none() dereference'],
  ])('%s fails: %s', async (source, message) => {
    await expect(run(source)).rejects.toThrow(message)
  })
})

describe("Kubernetes' libraries", () => {
  test.each<[string, unknown]>([
    ['["b", "a"].isSorted()', false],
    ['[1, 3, 2].max() + [1, 3, 2].min() + [1, 3, 2].sum()', 10],
    ['["a", "b", "a"].lastIndexOf("a") + ["a"].indexOf("x")', 1],
    ['"abc123".matches("^[a-z]+\\\\d+$") && "x-1".find("[0-9]+") == "1"', true],
    ['"a1b22".findAll("[0-9]+")', ['1', '22']],
    ['"Hello".lowerAscii() + "x".upperAscii() + " t ".trim()', 'helloXt'],
    ['"a,b,c".split(",", 2)', ['a', 'b,c']],
    ['["a", "b"].join("-") + "tacocat".substring(4) + "abc".charAt(1)', 'a-bcatb'],
    ['"héllo".indexOf("l") + "hello".lastIndexOf("l")', 5],
    ['"aaa".replace("a", "b", 2)', 'bba'],
    ['"%s is %d of %.2f in %x: %s".format(["a", 2, 1.5, 255, [1, "b"]])', 'a is 2 of 1.50 in ff: [1, b]'],
    ['sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])', true],
    ['isURL("https://a.b:8/c") && !isURL("x y")', true],
    ['url("https://a.b:8080/c?d=1&d=2").getHost() + url("https://a.b:8080/c?d=1").getPort()', 'a.b:80808080'],
    ['url("https://a.b/c?d=1&d=2").getQuery()', { d: ['1', '2'] }],
    ['isIP("10.0.0.1") && !isIP("010.0.0.1") && ip("::1").isLoopback() && ip("10.0.0.1").family() == 4', true],
    ['cidr("10.0.0.0/8").containsIP("10.1.2.3") && cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16")', true],
    ['string(cidr("10.1.2.3/8").masked())', '10.0.0.0/8'],
    ['isQuantity("1Gi") && !isQuantity("1X") && quantity("1500m").isGreaterThan(quantity("1"))', true],
    ['quantity("1k").asInteger() + quantity("50k").sub(20).compareTo(quantity("1"))', 1001],
    ['quantity("1.5").isInteger()', false],
    ['semver("1.2.3-rc.1").isLessThan(semver("1.2.3")) && isSemver("v1.2", true) && semver("1.2.3").minor() == 2', true],
    [
      'format.dns1123Label().validate("Bad_").hasValue() && !format.named("uuid").value().validate("123e4567-e89b-12d3-a456-426614174000").hasValue()',
      true,
    ],
    ['jsonpatch.escapeKey("k8s.io/a~b")', 'k8s.io~1a~0b'],
  ])('%s', async (source, result) => {
    expect(await run(source)).toEqual(result)
  })
})

describe('the checker', () => {
  const self = objectOf('Self', { replicas: int, name: string, tags: listOf(string), byName: mapOf(string, int) })
  const problem = async (source: string, results?: Type[]): Promise<string> => {
    const error: unknown = await compile(source, { variables: { self } }, results).catch((caught: unknown) => caught)
    return error instanceof CelCompileError ? (error.issues[0]?.message ?? '') : error instanceof Error ? error.message : ''
  }

  test.each<[string, string]>([
    ['self.missing > 1', "undefined field 'missing'"],
    ['other', "undeclared reference to 'other' (in container '')"],
    ['self.replicas == "x"', "found no matching overload for '_==_' applied to '(int, string)'"],
    ['self.name.startsWith(1)', "found no matching overload for 'startsWith' applied to 'string.(int)'"],
    ['self.name.nothing()', "undeclared reference to 'nothing' (in container '')"],
    ['self.replicas.all(x, x)', "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"],
    ['self.tags.all(x, x + 1 > 0)', "found no matching overload for '_+_' applied to '(string, int)'"],
    ['self.tags.all(x, x)', "expected type 'bool' but found 'string'"],
    [
      'self.replicas >',
      "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
    ],
    ['self.name.replicas', "type 'string' does not support field selection"],
    ['self.replicas && true', "found no matching overload for '_&&_' applied to '(int, bool)'"],
  ])('%s: %s', async (source, message) => {
    expect(await problem(source)).toBe(message)
  })

  test('says where', async () => {
    const error: unknown = await compile('1 +\n self.nope', { variables: { self } }).catch((caught: unknown) => caught)
    expect((error as Error).message).toBe("ERROR: <input>:2:6: undefined field 'nope'\n |  self.nope\n | .....^")
  })

  test('wants the type that is asked for', async () => {
    expect(await problem('self.replicas', [bool])).toBe('must evaluate to bool')
    expect(await problem('self.replicas > 1 && self.byName["a"] == 2 && self.tags.exists(t, t == self.name)', [bool])).toBe('')
  })
})

describe('bounds', () => {
  const nested = 'object.all(a, object.all(b, object.all(c, object.all(d, a + b + c + d > 0))))'

  test('an evaluation that costs too much is given up', async () => {
    const program = await compile(nested, { variables: { object: dyn } })
    const object = Array.from({ length: 100 }, () => 1)
    expect(() => program.evaluate({ object })).toThrow('operation cancelled: actual cost limit exceeded')
  })

  test('a budget is used up by one evaluation after another', async () => {
    const program = await compile('[1, 2, 3].all(x, x > 0)', { variables: {} })
    const budget = { left: 60 }
    expect(program.evaluate({}, budget)).toBe(true)
    expect(budget.left).toBeLessThan(60)
    expect(() => {
      for (let i = 0; i < 5; i++) program.evaluate({}, budget)
    }).toThrow('actual cost limit exceeded')
  })

  test('patterns that make other engines backtrack take linear time', async () => {
    const program = await compile('object.matches("^(a+)+$")', { variables: { object: dyn } })
    expect(program.evaluate({ object: `${'a'.repeat(5_000)}b` })).toBe(false)
  })

  test.each<[string, number]>([
    ['self.all(e, e > 0)', 1 + 3 * (2 + 3) + 1],
    // What decides ends the loop where the next round begins.
    ['self.exists(e, e > 5)', 1 + 2 * (2 + 4) + 3 + 1],
    ['self.exists_one(e, e == 6)', 1 + 3 * 2 + 2 + 2],
    ['self.filter(e, e > 5).size() == 2', 1 + 3 * 2 + 2 * 13 + 1 + 2],
    ['self.map(e, e + 1).size() == 3', 1 + 3 * (2 + 12) + 1 + 2],
    ['self.map(e, e > 6, e + 1).size() == 1', 1 + 3 * 2 + (2 + 12) + 1 + 2],
    ['self.transformMap(i, e, e + 1).size() == 3', 1 + 3 * (2 + 3) + 1 + 2],
    // What is constant is made once.
    ['[1, 2].size() == 2', 2],
    ["{'a': [1]}.size() == 1", 2],
    ['[self].size() == 1', 1 + 10 + 2],
    ["['a', 'b'].join('--') == 'a--b'", 1 + 1],
    ["'a b c d e f'.split(' ').size() == 6", 3 + 2],
  ])('running %s costs what the folds cost that it stands for', async (source, cost) => {
    const program = await compile(source, { variables: { self: listOf(int) } })
    const budget = { left: 1_000 }
    expect(program.evaluate({ self: [5, 6, 7] }, budget)).toBe(true)
    expect(1_000 - budget.left).toBe(cost)
  })

  test('the cost of loops is estimated by the sizes that types allow', async () => {
    const list = { ...listOf(int), max: 10 }
    const cheap = await compile('self.all(x, self.all(y, x == y))', { variables: { self: list } })
    const dear = await compile('self.all(x, self.all(y, x == y))', { variables: { self: listOf(int) } })
    expect(cheap.costMax).toBeLessThan(1_000)
    expect(dear.costMax).toBeGreaterThan(10_000_000)
  })

  test.each([
    ['asking whether fields are there is free', '(has(self.a) && !has(self.b)) || (!has(self.a) && has(self.b))', 2],
    ['loops cost what they stand for, and keys count as empty', "self.labels.all(k, k.matches('^[a-z]+$'))", 2 + 8 * (1 + 2 + 3) + 1],
    ['a part of a text is no longer than the text', "self.a.substring(2).matches('abcd')", 2 + 1 + 2 * 1],
    ['comparing numbers of the object is free beyond naming them', 'self.n == self.n', 4],
    ['what is made of texts is as long as it can get', "self.a.replace(self.b, self.a) == 'x'", 6 + 2 + 1],
    ['numbers out of texts cost a step', 'int(self.a) >= 0', 2 + 1 + 1],
    ['times are as long as JSON writes them', 'self.t == self.t', 4 + 4],
    ['texts of a list are as long as the longest', "['a', 'bbb'].exists(p, self.a.startsWith(p))", 10 + 2 * (3 + 1 + 4) + 1],
    ['what validates is compared with null', 'format.dns1123Label().validate(self.a) == null', 1 + 2 + 32 + 1],
  ])('%s', async (_, text, cost) => {
    const field = (name: string, type: Type): [string, Field] => [name, { name, type }]
    const short: Type = { kind: 'string', max: 10 }
    const labels: Type = { kind: 'map', key: { kind: 'string', max: 0 }, value: short, max: 8 }
    const self: Type = {
      kind: 'object',
      name: 'object',
      fields: new Map([field('a', short), field('b', short), field('n', int), field('t', { kind: 'timestamp' }), field('labels', labels)]),
    }
    expect((await compile(text, { variables: { self } })).costMax).toBe(cost)
  })

  test('what becomes a text may be of any length, as far as Kubernetes asks', async () => {
    const compiled = (text: string): ReturnType<typeof compile> => compile(text, { variables: { self: int } })
    expect((await compiled("string(self) == 'a'")).costMax).toBeLessThan(10)
    expect((await compiled("'is ' + string(self)")).costMax).toBeGreaterThan(10_000_000)
  })

  test('texts that grow out of short ones are paid for', async () => {
    const program = await compile(`[${'1,'.repeat(500)}1].map(x, "${'x'.repeat(200)}".replace("", "${'y'.repeat(400)}")).size()`, {
      variables: {},
    })
    expect(() => program.evaluate({})).toThrow('actual cost limit exceeded')
  })

  test('whatever is written, it is refused in one way or has a value or an error of its own', async () => {
    const words = [
      'object',
      '.',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '?',
      ':',
      ',',
      '1',
      '"a"',
      '-',
      '+',
      'has',
      'all',
      'x',
      'in',
      '!',
      '&&',
      '==',
      'optional.of',
      'map',
    ]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...words), { maxLength: 12 }), async (parts) => {
        try {
          const program = await compile(parts.join(''), { variables: { object: dyn } })
          program.evaluate({ object: pod })
        } catch (error) {
          expect(['CelCompileError', 'CelError', 'CelBudgetError']).toContain((error as Error).name)
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test.each([['('.repeat(10_000)], ['['.repeat(10_000)], [`a${'.b'.repeat(10_000)}`], ['!'.repeat(10_000)], ['x'.repeat(200_000)]])(
    'what is nested too deeply or too long is refused',
    async (source) => {
      await expect(compile(source, { variables: {} })).rejects.toThrow(CelCompileError)
    },
  )
})
