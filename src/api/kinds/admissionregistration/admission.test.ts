import { describe, expect, test } from 'vitest'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row } from '../testing.ts'
import { MutatingAdmissionPolicy } from './mutating-admission-policy.ts'
import { MutatingAdmissionPolicyBinding } from './mutating-admission-policy-binding.ts'
import { MutatingWebhookConfiguration } from './mutating-webhook-configuration.ts'
import { ValidatingAdmissionPolicy } from './validating-admission-policy.ts'
import { ValidatingAdmissionPolicyBinding } from './validating-admission-policy-binding.ts'
import { ValidatingWebhookConfiguration } from './validating-webhook-configuration.ts'

const rule: Manifest<admissionV1.RuleWithOperations> = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }
const hook: Manifest<admissionV1.ValidatingWebhook> = {
  name: 'check.example.com',
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
  clientConfig: { service: { namespace: 'default', name: 'check' } },
  rules: [rule],
}

describe('webhooks', () => {
  test('fail closed after ten seconds', () => {
    const [webhook] = created(ValidatingWebhookConfiguration, { webhooks: [hook] }).webhooks!
    expect(webhook).toMatchObject({
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
      clientConfig: { service: { port: 443 } },
      rules: [{ scope: '*' }],
    })
    expect(created(MutatingWebhookConfiguration, { webhooks: [hook] }).webhooks![0]!.reinvocationPolicy).toBe('Never')
  })

  test.each<[string, Partial<Manifest<admissionV1.ValidatingWebhook>>, string[]]>([
    ['a service', {}, []],
    ['an address', { clientConfig: { url: 'https://example.com/check' } }, []],
    [
      'a long name',
      { name: 'check' },
      ['webhooks[0].name: Invalid value: "check": should be a domain with at least three segments separated by dots'],
    ],
    ['somewhere', { clientConfig: {} }, ['webhooks[0].clientConfig: Required value: exactly one of url or service is required']],
    [
      'encrypted',
      { clientConfig: { url: 'http://example.com?a=b' } },
      [
        'webhooks[0].clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
        'webhooks[0].clientConfig.url: Invalid value: "a=b": query parameters are not permitted in the URL',
      ],
    ],
    [
      'without side effects',
      { sideEffects: 'Some' },
      ['webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
    ],
    ['soon', { timeoutSeconds: 31 }, ['webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds']],
    [
      'in a version that is spoken here',
      { admissionReviewVersions: ['v2'] },
      ['webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1'],
    ],
    ['or any', { admissionReviewVersions: [] }, ['webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1']],
    [
      'once each',
      { admissionReviewVersions: ['v1', 'v1'] },
      ['webhooks[0].admissionReviewVersions[1]: Invalid value: "v1": duplicate version'],
    ],
    [
      'about some operations',
      { rules: [{ ...rule, operations: ['*', 'CREATE'] }] },
      ['webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations'],
    ],
    [
      'and some resources',
      { rules: [{ ...rule, resources: ['pods/*', 'pods/status', '*'] }] },
      ['webhooks[0].rules[0].resources[1]: Invalid value: "pods/status": if \'pods/*\' is present, must not specify pods/status'],
    ],
  ])('%s', (_what, change, errors) => {
    expect(createErrors(ValidatingWebhookConfiguration, { webhooks: [{ ...hook, ...change }] })).toEqual(errors)
  })

  test('are told apart by name', () => {
    expect(createErrors(MutatingWebhookConfiguration, { webhooks: [hook, hook] })).toEqual([
      'webhooks[1].name: Duplicate value: "check.example.com"',
    ])
  })
})

describe('admission policies', () => {
  const spec: Manifest<admissionV1.ValidatingAdmissionPolicySpec> = {
    matchConstraints: { resourceRules: [rule] },
    validations: [{ expression: 'true' }],
  }

  test.each<[string, Manifest<admissionV1.ValidatingAdmissionPolicySpec>, string[]]>([
    ['a condition', spec, []],
    [
      'some condition',
      { ...spec, validations: [] },
      [
        'spec.validations: Required value: validations or auditAnnotations must contain at least one item',
        'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
      ],
    ],
    ['in as many lines as it needs', { ...spec, validations: [{ expression: 'true &&\n  true' }] }, []],
    [
      'with a message in one line',
      {
        ...spec,
        validations: [
          { expression: 'true', message: 'a\nb' },
          { expression: 'true', message: ' ' },
        ],
      },
      [
        'spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks',
        'spec.validations[1].message: Invalid value: " ": must be non-empty if specified',
      ],
    ],
    ['on something', { validations: [{ expression: 'true' }] }, ['spec.matchConstraints: Required value']],
    [
      'in words',
      { ...spec, validations: [{ expression: ' ' }] },
      ['spec.validations[0].expression: Required value: expression is not specified'],
    ],
    [
      'with a reason that is known',
      { ...spec, validations: [{ expression: 'true', reason: 'Mood' }] },
      ['spec.validations[0].reason: Unsupported value: "Mood": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'],
    ],
    [
      'with variables that have names',
      { ...spec, variables: [{ name: 'a-b', expression: '1' }] },
      ['spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(ValidatingAdmissionPolicy, { spec: manifest })).toEqual(errors)
  })

  test('bindings say what follows', () => {
    const binding: Manifest<admissionV1.ValidatingAdmissionPolicyBindingSpec> = { policyName: 'check', validationActions: ['Deny'] }
    expect(createErrors(ValidatingAdmissionPolicyBinding, { spec: binding })).toEqual([])
    expect(createErrors(ValidatingAdmissionPolicyBinding, { spec: { policyName: '', validationActions: [], paramRef: {} } })).toEqual([
      'spec.policyName: Required value',
      'spec.paramRef: Required value: one of name or selector must be specified',
      'spec.paramRef.parameterNotFoundAction: Required value',
      'spec.validationActions: Required value: at least one validation action is required',
    ])
    expect(row(ValidatingAdmissionPolicyBinding, created(ValidatingAdmissionPolicyBinding, { spec: binding }))).toMatchObject({
      PolicyName: 'check',
      ParamRef: '<unset>',
    })
  })

  test('mutations say how', () => {
    expect(
      createErrors(MutatingAdmissionPolicy, {
        spec: { matchConstraints: { resourceRules: [rule] }, reinvocationPolicy: 'Never', mutations: [{ patchType: 'JSONPatch' }] },
      }),
    ).toEqual(['spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch'])
  })

  test('mutations are not of what is deleted, and are of one kind', () => {
    const resourceRules: Manifest<admissionV1.NamedRuleWithOperations>[] = [{ ...rule, operations: ['CREATE', 'DELETE'] }]
    const mutations = [
      { patchType: 'JSONPatch' as const, jsonPatch: { expression: ' ' }, applyConfiguration: { expression: 'Object{}' } },
      { patchType: 'Merge' as 'JSONPatch' },
    ]
    expect(
      createErrors(MutatingAdmissionPolicy, { spec: { matchConstraints: { resourceRules }, reinvocationPolicy: 'Never', mutations } }),
    ).toEqual([
      'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
      'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch',
      'spec.mutations[0].jsonPatch.expression: Required value',
      'spec.mutations[1].patchType: Unsupported value: "Merge": supported values: "ApplyConfiguration", "JSONPatch"',
    ])
    expect(createErrors(MutatingAdmissionPolicyBinding, { spec: { policyName: 'p', matchResources: { resourceRules } } })).toEqual([
      'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
    ])
  })

  test('the table shows parameters', () => {
    const policy = created(ValidatingAdmissionPolicy, { spec: { ...spec, paramKind: { apiVersion: 'example.com/v1', kind: 'Limit' } } })
    expect(row(ValidatingAdmissionPolicy, policy)).toMatchObject({ Validations: 1, ParamKind: 'example.com/v1/Limit' })
  })
})
