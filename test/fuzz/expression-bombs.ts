// Expressions, patterns and certificate requests that would cost much, were they evaluated or read without bounds: in rules of custom
// resources, in policies and match conditions, in schemas. Sent in order: what is stored at first meets objects that make it work.
import { json, type Scene } from './maker.ts'
import { collectionPath, resources } from './manifests.ts'
import type { FuzzRequest } from './wire.ts'

type Step = Omit<FuzzRequest, 'what'>

const group = 'bombs.fuzz.example.com'
const policies = '/apis/admissionregistration.k8s.io/v1'
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

const nest = (depth: number, around: (inner: string, level: number) => string, core: string): string => {
  let text = core
  for (let level = 0; level < depth; level++) text = around(text, level)
  return text
}

/** Each is true, false, an error or refused: never dear. `self` is an object with a list `items` and a text `text`. */
export const dearExpressions: readonly string[] = [
  'self.items.all(a, self.items.all(b, self.items.all(c, self.items.all(d, a + b + c + d != "x"))))',
  'self.items.map(a, self.items.map(b, self.items.map(c, a + b + c))).size() >= 0',
  nest(24, (inner, level) => `[1, 2, 3, 4, 5, 6, 7, 8].map(x${level}, ${inner})`, '1').concat('.size() == 8'),
  nest(9, (inner, level) => `[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].all(x${level}, ${inner})`, 'true'),
  nest(60, (inner) => `(${inner} + ${inner.length < 400 ? inner : '"x"'})`, 'self.text').concat(' != ""'),
  nest(2_000, (inner) => `(${inner})`, 'true'),
  nest(20_000, (inner) => `[${inner}]`, '1').concat('.size() == 1'),
  `${'!'.repeat(20_000)}true`,
  `${'-'.repeat(5_001)}1 < 0`,
  `${'true && '.repeat(30_000)}true`,
  `${'true ? true : '.repeat(8_000)}false`,
  `self${'.items'.repeat(20_000)} == 1`,
  `self.items${'[0]'.repeat(20_000)} == 1`,
  `[${'1,'.repeat(100_000)}1].size() == 1`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}": ${i}`).join(',')}}.size() == 1`,
  `"${'x'.repeat(500_000)}" == self.text`,
  'self.text.matches("(a+)+$")',
  'self.text.matches("((a{0,1000}){0,1000}){0,1000}$")',
  `self.text.matches("${'(a|'.repeat(5_000)}b${')'.repeat(5_000)}")`,
  'self.text.matches(self.text)',
  'self.text.findAll("a*?").size() > 0 && self.text.findAll(".*").size() > 0',
  nest(30, (inner) => `${inner}.replace("a", "aaaaaaaaaa")`, 'self.text').concat(' != ""'),
  nest(30, (inner) => `${inner}.split("").join("a")`, 'self.text').concat(' != ""'),
  '"%s %s %s".format([self.text, self.text, self.text]).size() > 0 && "%.1000000f".format([1.0]) != ""',
  'quantity("1e999999999").isGreaterThan(quantity("1"))',
  'isQuantity(self.text) || quantity(self.text).asInteger() > 0',
  'duration("99999999999999999999h") > duration("1s")',
  'timestamp("9999-12-31T23:59:59Z") + duration("9223372036s") > timestamp("0001-01-01T00:00:00Z")',
  'timestamp("2026-01-01T00:00:00Z").getHours("America/../../../etc/passwd") == 0',
  '9223372036854775807 + 1 > 0',
  '-9223372036854775808 / -1 > 0',
  '18446744073709551615u * 2u > 0u',
  'int("9".repeat == 1)',
  '1 / 0 == 1 || self.items.exists(i, 1 % 0 == 0)',
  'url(self.text).getHost() == "x" || ip(self.text).family() == 4 || cidr(self.text).prefixLength() == 1',
  'self.items.sum() == 0 || self.items.isSorted() || self.items.lastIndexOf("x") == 0',
  'self.items.exists(__proto__, __proto__ == "x") && self.constructor == self.prototype',
  'dyn(self).constructor.constructor("return process")() == 1',
  'has(self.__proto__) || self["__proto__"] == 1',
  '"\\U0010FFFF\\x00\\377" == b"\\xff"',
  '"\\UFFFFFFFF" == ""',
  '',
  '/* */ true // x',
  'true\u2028',
  'self.items.all(a, a in self.items.filter(b, b in self.items.filter(c, c in self.items)))',
  'optional.of(optional.of(self)).hasValue() || [?self.?items[?0]].size() == 1',
]

const patterns = [
  '(a+)+$',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '(.*)*x',
  `${'(a?)'.repeat(500)}${'a'.repeat(500)}`,
  '(a{1,1000}){1,1000}',
  '(?=a)',
  '(',
  '[^]',
]

/** Long, and the worst there is for a backtracking matcher. */
const text = `${'a'.repeat(60_000)}!`
const items = Array.from({ length: 2_000 }, (_, i) => `item-${i}`)

const post = (path: string, object: unknown): Step => ({ method: 'POST', path, headers: json, body: Buffer.from(JSON.stringify(object)) })

function definition(name: string, schema: object): object {
  const kind = name[0]!.toUpperCase() + name.slice(1)
  return {
    metadata: { name: `${name}s.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: `${name}s`, singular: name, kind, listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', ...schema } } }],
    },
  }
}

function ruleSteps(namespace: string): Step[] {
  const fields = { items: { type: 'array', items: { type: 'string' } }, text: { type: 'string' } }
  return dearExpressions.flatMap((rule, i) => {
    const spec = { type: 'object', properties: fields, 'x-kubernetes-validations': [{ rule, messageExpression: rule }] }
    const bounded = {
      ...spec,
      properties: {
        items: { type: 'array', maxItems: 2_000, items: { type: 'string', maxLength: 20 } },
        text: { type: 'string', maxLength: 70_000 },
      },
    }
    return [
      post(definitions, definition(`wide${i}x`, { properties: { spec } })),
      post(definitions, definition(`rule${i}x`, { properties: { spec: bounded } })),
      post(`/apis/${group}/v1/namespaces/${namespace}/rule${i}xs`, {
        apiVersion: `${group}/v1`,
        kind: `Rule${i}x`,
        metadata: { name: 'bomb' },
        spec: { items, text },
      }),
    ]
  })
}

function patternSteps(namespace: string): Step[] {
  return patterns.flatMap((pattern, i) => [
    post(definitions, definition(`pattern${i}x`, { properties: { text: { type: 'string', pattern } } })),
    post(`/apis/${group}/v1/namespaces/${namespace}/pattern${i}xs`, {
      apiVersion: `${group}/v1`,
      kind: `Pattern${i}x`,
      metadata: { name: 'bomb' },
      text,
    }),
  ])
}

const matchConstraints = (label: string): object => ({
  objectSelector: { matchLabels: { bomb: label } },
  resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
})

function policySteps({ namespace }: Scene): Step[] {
  return dearExpressions.flatMap((written, i) => {
    const label = `bomb-${i}`
    const expression = written
      .replaceAll('self.items', 'object.metadata.finalizers')
      .replaceAll('self.text', 'object.data.text')
      .replaceAll('self', 'object')
    const variables = Array.from({ length: 5 }, (_, n) => ({ name: `v${n}`, expression: n === 0 ? expression : `variables.v${n - 1}` }))
    const metadata = { name: label }
    return [
      post(`${policies}/validatingadmissionpolicies`, {
        metadata,
        spec: {
          failurePolicy: 'Fail',
          matchConstraints: matchConstraints(label),
          variables,
          validations: Array.from({ length: 4 }, () => ({ expression, messageExpression: `string(${expression || 'true'})` })),
          auditAnnotations: [{ key: 'a', valueExpression: `string(${expression || 'true'})` }],
        },
      }),
      post(`${policies}/validatingadmissionpolicybindings`, {
        metadata,
        spec: { policyName: label, validationActions: ['Deny', 'Audit'] },
      }),
      post(`/api/v1/namespaces/${namespace}/configmaps`, {
        metadata: { name: label, labels: { bomb: label }, finalizers: items.map((item) => `x.example.com/${item}`) },
        data: { text },
      }),
      { method: 'DELETE', path: `${policies}/validatingadmissionpolicybindings/${label}` },
      { method: 'DELETE', path: `${policies}/validatingadmissionpolicies/${label}` },
    ]
  })
}

function certificateSteps(): Step[] {
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
  const pem = (bytes: Buffer, label = 'CERTIFICATE REQUEST'): string =>
    Buffer.from(`-----BEGIN ${label}-----\n${bytes.toString('base64')}\n-----END ${label}-----\n`).toString('base64')
  const nested = Buffer.concat(Array.from({ length: 3_000 }, () => Buffer.from([0x30, 0x80])))
  const long = Buffer.concat([Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(1_000)])
  const requests = [
    pem(Buffer.alloc(0)),
    pem(nested),
    pem(long),
    pem(Buffer.alloc(700_000, 0x30)),
    pem(Buffer.from([0x30, 0x03, 0x02, 0x01])),
    pem(nested, 'CERTIFICATE'),
    Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\n'.repeat(10_000)).toString('base64'),
    '!'.repeat(1_000),
  ]
  return requests.map((request, i) =>
    post(path, {
      metadata: { name: `bomb-${i}` },
      spec: {
        request,
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
        expirationSeconds: i === 0 ? 2 ** 31 : 600,
      },
    }),
  )
}

function selectorSteps({ namespace }: Scene): Step[] {
  const path = collectionPath(resources[0]!, namespace)
  const terms = [
    'a in (',
    `a in (${'b,'.repeat(5_000)}b)`,
    '!'.repeat(5_000),
    'a=='.repeat(2_000),
    '(((',
    'a notin ()',
    'x,,,,',
    'a>1,b<0x1',
    '\u0000=',
  ]
  return terms.flatMap((term) => [
    { method: 'GET', path: `${path}?labelSelector=${encodeURIComponent(term)}` },
    { method: 'GET', path: `${path}?fieldSelector=${encodeURIComponent(term)}` },
  ])
}

/** Everything, in the order in which it is to be sent, and at the end what takes it away again. */
export function expressionBombs(scene: Scene): readonly FuzzRequest[] {
  const made = [...ruleSteps(scene.namespace), ...patternSteps(scene.namespace)]
  const names = [...dearExpressions.flatMap((_, i) => [`wide${i}xs`, `rule${i}xs`]), ...patterns.map((_, i) => `pattern${i}xs`)].map(
    (plural) => `${plural}.${group}`,
  )
  const ended = names.map((name): Step => ({ method: 'DELETE', path: `${definitions}/${name}` }))
  return [...made, ...policySteps(scene), ...certificateSteps(), ...selectorSteps(scene), ...ended].map((step) => ({
    what: 'expression bombs',
    ...step,
  }))
}
