import { describe, expect, test } from 'vitest'
import { texts } from '../kinds/testing.ts'
import { invalid, notSupported, required, semanticEqual, tooLong, tooMany } from './field-errors.ts'
import { goDiff } from './go-diff.ts'
import { validateCidr, validateIp, validateLegacyIp } from './ip.ts'
import {
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvVarName,
  checkLabelKey,
  checkLabelValue,
  checkPathSegment,
  checkPortName,
  nameIsDnsSubdomain,
} from './names.ts'
import { validateObjectMeta, validateObjectMetaUpdate } from './object-meta.ts'
import { byteLength, goJson, goQuote } from './text.ts'

const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const qualified =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

describe('names', () => {
  test.each<[string, (value: string) => string[], string, string[]]>([
    ['label', checkDns1123Label, 'a-1', []],
    ['label', checkDns1123Label, 'A', [label]],
    ['label', checkDns1123Label, 'a'.repeat(64), ['must be no more than 63 characters']],
    ['label', checkDns1123Label, 'a.b', ['must not contain dots']],
    ['subdomain', checkDns1123Subdomain, 'a.b-c.d', []],
    ['subdomain', checkDns1123Subdomain, 'a..b', [subdomain]],
    ['1035 label', checkDns1035Label, 'a1', []],
    ['label key', checkLabelKey, 'example.com/My_Name.1', []],
    ['label key', checkLabelKey, '', ['name part must be non-empty', qualified]],
    ['label key', checkLabelKey, '/a', ['prefix part must be non-empty']],
    [
      'label key',
      checkLabelKey,
      'a/b/c',
      [
        "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ],
    ],
    ['label value', checkLabelValue, '', []],
    ['label value', checkLabelValue, 'a b', [labelValue]],
    ['port name', checkPortName, 'http-1', []],
    ['port name', checkPortName, '1-1', ['must contain at least one letter (a-z)']],
    ['port name', checkPortName, 'a--b', ['must not contain consecutive hyphens']],
    ['port name', checkPortName, '-a', ['must not begin or end with a hyphen']],
    ['environment', checkEnvVarName, 'A_1.b-c', []],
    ['config key', checkConfigMapKey, '..', ["must not be '..'"]],
    ['path segment', checkPathSegment, '.', ["may not be '.'"]],
    ['path segment', checkPathSegment, 'a/b%', ["may not contain '/'", "may not contain '%'"]],
  ])('%s: %o', (_what, check, value, problems) => {
    expect(check(value)).toEqual(problems)
  })

  test('a name that goes on may end in a dash', () => {
    expect(nameIsDnsSubdomain('web-', true)).toEqual([])
    expect(nameIsDnsSubdomain('web-', false)).toEqual([subdomain])
  })
})

describe('metadata', () => {
  const rules = { namespaced: true, builtIn: true }
  const meta = { name: 'x', namespace: 'default' }
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'b' }

  test.each<[string, Parameters<typeof validateObjectMeta>[0], string[]]>([
    ['a name and a namespace', meta, []],
    ['a name', { namespace: 'default' }, ['metadata.name: Required value: name or generateName is required']],
    ['a namespace', { name: 'x' }, ['metadata.namespace: Required value']],
    ['a proper name', { ...meta, name: 'X' }, [`metadata.name: Invalid value: "X": ${subdomain}`]],
    ['proper labels', { ...meta, labels: { a: 'b c' } }, [`metadata.labels: Invalid value: "b c": ${labelValue}`]],
    ['annotations of any case', { ...meta, annotations: { Example: 'x y z' } }, []],
    [
      'not too much of them',
      { ...meta, annotations: { a: 'x'.repeat(256 * 1024) } },
      ['metadata.annotations: Too long: may not be more than 262144 bytes'],
    ],
    [
      'known finalizers',
      { ...meta, finalizers: ['mine'] },
      ['metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
    ],
    [
      'one way of deletion',
      { ...meta, finalizers: ['orphan', 'foregroundDeletion'] },
      ['metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set'],
    ],
    ['owners', { ...meta, ownerReferences: [owner] }, []],
    [
      'owners that can be found',
      { ...meta, ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: '' }] },
      [
        'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
        'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
        'metadata.ownerReferences.name: Invalid value: "": must not be empty',
        'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
      ],
    ],
    [
      'one controller',
      {
        ...meta,
        ownerReferences: [
          { ...owner, controller: true },
          { ...owner, name: 'c', controller: true },
        ],
      },
      [
        'metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Pod","name":"a","uid":"b","controller":true},{"apiVersion":"v1","kind":"Pod","name":"c","uid":"b","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/c',
      ],
    ],
    [
      'managers that say what they did',
      { ...meta, managedFields: [{ manager: 'm', operation: 'Guess' as 'Apply', fieldsType: 'FieldsV1' }] },
      ['metadata.managedFields[0].operation: Invalid value: "Guess": must be `Apply` or `Update`'],
    ],
  ])('%s', (_what, object, errors) => {
    expect(texts(validateObjectMeta(object, rules))).toEqual(errors)
  })

  test('objects of the cluster have no namespace', () => {
    expect(texts(validateObjectMeta(meta, { namespaced: false, builtIn: true }))).toEqual([
      'metadata.namespace: Forbidden: not allowed on this type',
    ])
  })

  const old = { ...meta, uid: 'u', resourceVersion: '1', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z' }
  test.each<[string, Parameters<typeof validateObjectMetaUpdate>[0], string[]]>([
    ['labels may change', { ...old, labels: { a: 'b' } }, []],
    ['a name may not', { ...old, name: 'y' }, ['metadata.name: Invalid value: "y": field is immutable']],
    ['nor a uid', { ...old, uid: 'v' }, ['metadata.uid: Invalid value: "v": field is immutable']],
    ['generations go up', { ...old, generation: 1 }, ['metadata.generation: Invalid value: 1: must not be decremented']],
    [
      'an update says of what',
      { ...old, resourceVersion: '' },
      ['metadata.resourceVersion: Invalid value: "": must be specified for an update'],
    ],
  ])('updates: %s', (_what, object, errors) => {
    expect(texts(validateObjectMetaUpdate(object, old, rules))).toEqual(errors)
  })

  test('what goes gets no new finalizers', () => {
    const going = { ...old, deletionTimestamp: '2026-01-01T00:00:01Z', finalizers: ['example.com/a'] }
    const errors = validateObjectMetaUpdate({ ...going, finalizers: ['example.com/a', 'example.com/b'] }, going, rules)
    expect(texts(errors)).toEqual([
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/b"}',
    ])
  })
})

describe('errors', () => {
  test('show what was wrong', () => {
    expect(
      texts([
        required('a'),
        required('a', 'why'),
        invalid('a', 'x"', 'why'),
        invalid('a', { b: '<' }, 'why'),
        invalid('a', undefined, 'why'),
        notSupported('a', 'b', ['c', 'd']),
        tooLong('a', 1),
        tooMany('a', 3, 2),
      ]),
    ).toEqual([
      'a: Required value',
      'a: Required value: why',
      'a: Invalid value: "x\\"": why',
      'a: Invalid value: {"b":"\\u003c"}: why',
      'a: Invalid value: null: why',
      'a: Unsupported value: "b": supported values: "c", "d"',
      'a: Too long: may not be more than 1 byte',
      'a: Too many: 3: must have at most 2 items',
    ])
  })

  test('absent and empty are the same', () => {
    expect(semanticEqual({ a: [] }, { b: {} })).toBe(true)
    expect(semanticEqual({ a: [1] }, {})).toBe(false)
    expect(semanticEqual([{ a: '' }], [{}])).toBe(false)
  })
})

describe('addresses in fields', () => {
  test.each<[string, string[]]>([
    ['10.0.0.1', []],
    ['10.0.0.01', ['a: Invalid value: "10.0.0.01": must not have leading 0s']],
    ['::ffff:10.0.0.1', ['a: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address']],
    ['10', ['a: Invalid value: "10": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']],
  ])('%s', (value, errors) => {
    expect(texts(validateLegacyIp('a', value))).toEqual(errors)
  })

  test('newer fields want the canonical form', () => {
    expect(texts(validateIp('a', '2001:DB8::1'))).toEqual(['a: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")'])
    expect(texts(validateCidr('a', '10.0.0.1/8'))).toEqual([
      'a: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
    ])
  })
})

describe('text as Go writes it', () => {
  test('bytes, quotes and JSON', () => {
    expect(byteLength('aé€😀')).toBe(1 + 2 + 3 + 4)
    expect(goQuote('a\n\t"\\\u0001é')).toBe('"a\\n\\t\\"\\\\\\x01é"')
    expect(goJson({ labels: { b: '&', a: '1' } })).toBe('{"labels":{"a":"1","b":"\\u0026"}}')
  })

  test('a difference says what changed, and how much did not', () => {
    expect(goDiff('core.PodSpec', { a: 1, b: { c: 'x', d: 2 }, e: 3 }, { a: 1, b: { c: 'y', d: 2 }, e: 3 })).toBe(
      [
        '  core.PodSpec{',
        '  \t... // 1 identical field',
        '  \tB: {',
        '- \t\tC: "x",',
        '+ \t\tC: "y",',
        '  \t\t... // 1 identical field',
        '  \t},',
        '  \t... // 1 identical field',
        '  }',
        '',
      ].join('\n'),
    )
  })
})
