import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createMetrics, type MetricsRegistry } from '#platform/metrics'
import { openTestCore, type TestCore } from '../api-core.testing.ts'
import { startWebhookServer, type WebhookServer } from './webhooks/webhook-server.testing.ts'

let server: WebhookServer
let api: TestCore
let metrics: MetricsRegistry

beforeAll(async () => {
  server = await startWebhookServer()
})
afterAll(() => server.close())
beforeEach(async () => {
  metrics = createMetrics()
  api = await openTestCore({ metrics })
})
afterEach(() => api.close())

const registration = '/apis/admissionregistration.k8s.io/v1'
const apiVersion = 'admissionregistration.k8s.io/v1'
const rules = [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }]
const createMap = (labels = {}) =>
  api.call('POST', '/api/v1/namespaces/default/configmaps', {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'm-', labels } },
  })

/** Lines of counters and of histograms' counts that a pattern matches. */
const lines = (pattern: RegExp): string[] =>
  [...metrics.text()]
    .flatMap((text) => text.split('\n'))
    .filter((line) => pattern.test(line) && !line.startsWith('#') && !/_bucket|_sum/.test(line))

test('plugins and their steps are timed, by operation and by what came of it', async () => {
  await createMap()
  await api.call('DELETE', '/api/v1/namespaces/kube-system')
  expect(lines(/apiserver_admission_controller_.*NamespaceLifecycle/)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/_count\{name="NamespaceLifecycle",type="admit",operation="CREATE",rejected="false"\} \d+/),
      'apiserver_admission_controller_admission_duration_seconds_count{name="NamespaceLifecycle",type="admit",operation="DELETE",rejected="true"} 1',
    ]),
  )
  expect(lines(/step_admission.*DELETE/)).toContain(
    'apiserver_admission_step_admission_duration_seconds_count{type="admit",operation="DELETE",rejected="true"} 1',
  )
})

test('webhooks are counted: calls, refusals, failures that are ignored, conditions that leave out', async () => {
  server.answer('/allow', () => ({ allowed: true }))
  server.answer('/deny', ({ object }) => ({ allowed: object.metadata.labels?.deny === undefined, status: { code: 422 } }))
  server.answer('/fail', () => 503)
  const webhook = (name: string, more: object = {}): object => ({
    name: `${name}.hooks.test`,
    rules,
    clientConfig: server.clientConfig(`/${name}`),
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  })
  const skip = [{ name: 'none', expression: 'false' }]
  const webhooks = [
    webhook('allow'),
    webhook('deny'),
    webhook('fail', { failurePolicy: 'Ignore' }),
    webhook('skipped', { matchConditions: skip }),
  ]
  const body = { apiVersion, kind: 'ValidatingWebhookConfiguration', metadata: { name: 'v' }, webhooks }
  await api.ok('POST', `${registration}/validatingwebhookconfigurations`, { body })
  expect([(await createMap()).status, (await createMap({ deny: 'yes' })).status]).toEqual([201, 422])
  expect(lines(/webhook_request_total|rejection_count|fail_open|exclusions/)).toEqual([
    'apiserver_admission_webhook_request_total{name="allow.hooks.test",type="validating",operation="CREATE",code="200",rejected="false"} 2',
    'apiserver_admission_webhook_request_total{name="deny.hooks.test",type="validating",operation="CREATE",code="200",rejected="false"} 1',
    'apiserver_admission_webhook_request_total{name="fail.hooks.test",type="validating",operation="CREATE",code="503",rejected="false"} 2',
    'apiserver_admission_webhook_request_total{name="deny.hooks.test",type="validating",operation="CREATE",code="422",rejected="true"} 1',
    'apiserver_admission_webhook_rejection_count{name="deny.hooks.test",type="validating",operation="CREATE",error_type="no_error",rejection_code="422"} 1',
    'apiserver_admission_webhook_fail_open_count{name="fail.hooks.test",type="validating"} 2',
    'apiserver_admission_match_condition_exclusions_total{name="skipped.hooks.test",kind="webhook",type="validate",operation="CREATE"} 2',
  ])
})

test('policies are counted by what they did', async () => {
  const bound = async (kind: 'Validating' | 'Mutating', name: string, spec: object, binding: object = {}): Promise<void> => {
    const path = `${registration}/${kind.toLowerCase()}admissionpolic`
    const full = { matchConstraints: { resourceRules: rules }, ...spec }
    await api.ok('POST', `${path}ies`, { body: { apiVersion, kind: `${kind}AdmissionPolicy`, metadata: { name }, spec: full } })
    const bind = { apiVersion, kind: `${kind}AdmissionPolicyBinding`, metadata: { name }, spec: { policyName: name, ...binding } }
    await api.ok('POST', `${path}ybindings`, { body: bind })
  }
  await bound('Validating', 'strict', { validations: [{ expression: 'false' }] }, { validationActions: ['Warn', 'Audit'] })
  const odd = { failurePolicy: 'Ignore', validations: [{ expression: 'object.nothing.there == 1' }] }
  await bound('Validating', 'odd', odd, { validationActions: ['Deny'] })
  const mutations = [{ patchType: 'JSONPatch', jsonPatch: { expression: '[]' } }]
  await bound('Mutating', 'idle', { mutations, reinvocationPolicy: 'Never' })
  expect((await createMap()).status).toBe(201)
  expect(lines(/policy_check_total/)).toEqual([
    'apiserver_validating_admission_policy_check_total{policy="odd",policy_binding="odd",error_type="invalid_error",enforcement_action="allow"} 1',
    'apiserver_validating_admission_policy_check_total{policy="strict",policy_binding="strict",error_type="no_error",enforcement_action="warn"} 1',
    'apiserver_validating_admission_policy_check_total{policy="strict",policy_binding="strict",error_type="no_error",enforcement_action="audit"} 1',
    'apiserver_mutating_admission_policy_check_total{policy="idle",policy_binding="idle",error_type="no_error"} 1',
  ])
})
