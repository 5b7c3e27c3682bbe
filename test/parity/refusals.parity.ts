// What is refused, and in which words: objects that make no sense, requests that do not, and people who may not.
import { describe, expect, test } from 'vitest'
import { type AskOptions, useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()
const { namespace, unique } = cluster

const container = { name: 'c', image: 'navarch.local/web:1' }
const template = (labels: Record<string, string>, spec: object = {}): object => ({
  metadata: { labels },
  spec: { containers: [container], ...spec },
})
const selector = { matchLabels: { app: 'a' } }

/** A name, the group and version, the resource, what stands beside the metadata, and the message after `X "name" is invalid: `. */
type Invalid = readonly [name: string, groupVersion: string, resource: string, kind: string, object: object, message: string]

const dnsSubdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

const invalid: readonly Invalid[] = [
  ['pod', 'v1', 'pods', 'Pod', { spec: {} }, 'spec.containers: Required value'],
  ['pod', 'v1', 'pods', 'Pod', { spec: { containers: [{ name: 'c' }] } }, 'spec.containers[0].image: Required value'],
  ['pod', 'v1', 'pods', 'Pod', { spec: { containers: [container, container] } }, 'spec.containers[1].name: Duplicate value: "c"'],
  [
    'pod',
    'v1',
    'pods',
    'Pod',
    { spec: { restartPolicy: 'Sometimes', containers: [container] } },
    'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
  ],
  [
    'pod',
    'v1',
    'pods',
    'Pod',
    { spec: { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }] } },
    'spec.containers[0].volumeMounts[0].name: Not found: "v"',
  ],
  [
    'pod',
    'v1',
    'pods',
    'Pod',
    { spec: { containers: [{ ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] } },
    'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
  ],
  ['Pod', 'v1', 'pods', 'Pod', { spec: { containers: [container] } }, `metadata.name: Invalid value: "Pod": ${dnsSubdomain}`],
  [
    'service',
    'v1',
    'services',
    'Service',
    { spec: { ports: [{ port: 80 }, { port: 81 }] } },
    '[spec.ports[0].name: Required value, spec.ports[1].name: Required value]',
  ],
  ['service', 'v1', 'services', 'Service', { spec: {} }, 'spec.ports: Required value'],
  [
    'service',
    'v1',
    'services',
    'Service',
    { spec: { ports: [{ port: 0 }] } },
    '[spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive]',
  ],
  [
    'config',
    'v1',
    'configmaps',
    'ConfigMap',
    { data: { 'a b': 'c' } },
    "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
  ],
  ['tls', 'v1', 'secrets', 'Secret', { type: 'kubernetes.io/tls' }, '[data[tls.crt]: Required value, data[tls.key]: Required value]'],
  [
    'claim',
    'v1',
    'persistentvolumeclaims',
    'PersistentVolumeClaim',
    { spec: { resources: { requests: { storage: '1Gi' } } } },
    'spec.accessModes: Required value: at least 1 access mode is required',
  ],
  [
    'range',
    'v1',
    'limitranges',
    'LimitRange',
    { spec: { limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }] } },
    '[spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1, spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1, spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1]',
  ],
  [
    'web',
    'apps/v1',
    'deployments',
    'Deployment.apps',
    { spec: { selector, template: template({ app: 'b' }) } },
    'spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`',
  ],
  [
    'web',
    'apps/v1',
    'deployments',
    'Deployment.apps',
    { spec: { replicas: -1, selector, template: template({ app: 'a' }) } },
    'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  ],
  [
    'web',
    'apps/v1',
    'deployments',
    'Deployment.apps',
    { spec: { selector, template: template({ app: 'a' }), strategy: { type: 'Recreate', rollingUpdate: {} } } },
    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
  ],
  [
    'job',
    'batch/v1',
    'jobs',
    'Job.batch',
    { spec: { template: template({}) } },
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  ],
  [
    'job',
    'batch/v1',
    'jobs',
    'Job.batch',
    { spec: { template: template({}, { restartPolicy: 'Always' }) } },
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  ],
  [
    'budget',
    'policy/v1',
    'poddisruptionbudgets',
    'PodDisruptionBudget.policy',
    { spec: { selector, minAvailable: 1, maxUnavailable: 1 } },
    'spec: Invalid value: {"MinAvailable":1,"Selector":{"matchLabels":{"app":"a"}},"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
  ],
  [
    'scaler',
    'autoscaling/v2',
    'horizontalpodautoscalers',
    'HorizontalPodAutoscaler.autoscaling',
    { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 3, maxReplicas: 2 } },
    'spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`',
  ],
  [
    'ingress',
    'networking.k8s.io/v1',
    'ingresses',
    'Ingress.networking.k8s.io',
    { spec: {} },
    'spec: Invalid value: null: either `defaultBackend` or `rules` must be specified',
  ],
  [
    'policy',
    'networking.k8s.io/v1',
    'networkpolicies',
    'NetworkPolicy.networking.k8s.io',
    { spec: { podSelector: {}, policyTypes: ['Egress', 'Sideways'] } },
    'spec.policyTypes[1]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"',
  ],
  [
    'lease',
    'coordination.k8s.io/v1',
    'leases',
    'Lease.coordination.k8s.io',
    { spec: { leaseDurationSeconds: 0 } },
    'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
  ],
  [
    'role',
    'rbac.authorization.k8s.io/v1',
    'roles',
    'Role.rbac.authorization.k8s.io',
    { rules: [{ apiGroups: [''], resources: ['pods'], verbs: [] }] },
    'rules[0].verbs: Required value: verbs must contain at least one value',
  ],
  [
    'binding',
    'rbac.authorization.k8s.io/v1',
    'rolebindings',
    'RoleBinding.rbac.authorization.k8s.io',
    { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Thing', name: 'x' } },
    'roleRef.kind: Unsupported value: "Thing": supported values: "Role", "ClusterRole"',
  ],
]

describe('what makes no sense', () => {
  test.each(invalid.map((one) => [`${one[3]}: ${one[5]}`, ...one] as const))(
    '%s',
    async (_, name, groupVersion, resource, kind, object, message) => {
      expect(await cluster.refused('POST', cluster.at(groupVersion, resource), { body: { metadata: { name }, ...object } })).toEqual({
        code: 422,
        reason: 'Invalid',
        message: `${kind} "${name}" is invalid: ${message}`,
      })
    },
  )

  test('the causes are listed one by one', async () => {
    const body = { metadata: { name: 'pod', labels: { a: '-' } }, spec: { containers: [] } }
    const { json } = await cluster.ask('POST', cluster.at('v1', 'pods'), { body })
    expect(json).toMatchObject({
      details: {
        name: 'pod',
        kind: 'Pod',
        causes: [
          {
            reason: 'FieldValueInvalid',
            message: `Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
            field: 'metadata.labels',
          },
          { reason: 'FieldValueRequired', message: 'Required value', field: 'spec.containers' },
        ],
      },
    })
  })

  test('a namespace is named by a label', async () => {
    expect(await cluster.refused('POST', '/api/v1/namespaces', { body: { metadata: { name: 'a.b' } } })).toEqual({
      code: 422,
      reason: 'Invalid',
      message: `Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots`,
    })
  })
})

describe('what may not change', () => {
  test.each([
    [
      'apps/v1',
      'deployments',
      { spec: { selector, template: template({ app: 'a', tier: 'x' }) } },
      { spec: { selector: { matchLabels: { tier: 'x' } } } },
      'Deployment.apps "fixed" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"a","tier":"x"}}: field is immutable',
    ],
    ['v1', 'secrets', { type: 'Opaque' }, { type: 'other' }, 'Secret "fixed" is invalid: type: Invalid value: "other": field is immutable'],
    [
      'v1',
      'configmaps',
      { immutable: true, data: { a: 'b' } },
      { data: { a: 'c' } },
      'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
    ],
    [
      'v1',
      'services',
      { spec: { ports: [{ port: 80 }] } },
      { spec: { clusterIP: '10.96.200.200', clusterIPs: ['10.96.200.200'] } },
      'Service "fixed" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.200.200"]: may not change once set',
    ],
    [
      'apps/v1',
      'statefulsets',
      { spec: { serviceName: 'a', selector, template: template({ app: 'a' }) } },
      { spec: { serviceName: 'b' } },
      "StatefulSet.apps \"fixed\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ],
    [
      'rbac.authorization.k8s.io/v1',
      'rolebindings',
      { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'x' } },
      { roleRef: { name: 'y' } },
      'RoleBinding.rbac.authorization.k8s.io "fixed" is invalid: roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"y"}: cannot change roleRef',
    ],
  ])('of %s %s', async (groupVersion, resource, object, patch, message) => {
    await cluster.create(groupVersion, resource, { metadata: { name: 'fixed' }, ...object })
    const path = cluster.at(groupVersion, resource, 'fixed')
    expect(await cluster.refused('PATCH', path, { body: patch, contentType: 'application/merge-patch+json' })).toMatchObject({
      code: 422,
      message,
    })
  })
})

describe('who may not', () => {
  const refusals: readonly (readonly [method: string, path: () => string, message: string])[] = [
    [
      'GET',
      () => cluster.at('v1', 'pods'),
      `pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "${namespace}"`,
    ],
    [
      'GET',
      () => cluster.at('v1', 'pods', 'web'),
      `pods "web" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "${namespace}"`,
    ],
    [
      'GET',
      () => cluster.at('v1', 'pods', 'web', 'log'),
      `pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "${namespace}"`,
    ],
    [
      'GET',
      () => '/apis/apps/v1/deployments',
      'deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" at the cluster scope',
    ],
    [
      'DELETE',
      () => '/api/v1/nodes/n',
      'nodes "n" is forbidden: User "jane" cannot delete resource "nodes" in API group "" at the cluster scope',
    ],
    ['GET', () => '/metrics', 'forbidden: User "jane" cannot get path "/metrics"'],
  ]
  test.each(refusals.map((one) => [one[2], ...one] as const))('%s', async (_, method, path, message) => {
    expect(await cluster.refused(method, path(), { as: 'jane' })).toEqual({ code: 403, reason: 'Forbidden', message })
  })

  test('give away rights that they do not have', async () => {
    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'get'] }]
    await cluster.create('rbac.authorization.k8s.io/v1', 'roles', {
      metadata: { name: 'giver' },
      rules: [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['create'] }],
    })
    await cluster.create('rbac.authorization.k8s.io/v1', 'rolebindings', {
      metadata: { name: 'giver' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'giver' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'giver' }],
    })
    const attempt = { body: { metadata: { name: 'gift' }, rules }, as: 'giver' }
    const path = cluster.at('rbac.authorization.k8s.io/v1', 'roles')
    await cluster.until(async () => ((await cluster.ask('POST', path, attempt)).text.includes('attempting to grant') ? true : undefined))
    expect(await cluster.refused('POST', path, attempt)).toEqual({
      code: 403,
      reason: 'Forbidden',
      message:
        'roles.rbac.authorization.k8s.io "gift" is forbidden: user "giver" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["create" "get"]}',
    })
  })
})

type Refused = readonly [method: string, path: () => string, options: AskOptions, code: number, reason: string, message: string]

describe('requests that make no sense', () => {
  const refusals: readonly Refused[] = [
    ['GET', () => cluster.at('v1', 'pods', 'nobody'), {}, 404, 'NotFound', 'pods "nobody" not found'],
    ['GET', () => cluster.at('apps/v1', 'deployments', 'nobody'), {}, 404, 'NotFound', 'deployments.apps "nobody" not found'],
    ['GET', () => '/api/v1/namespaces/nowhere-at-all', {}, 404, 'NotFound', 'namespaces "nowhere-at-all" not found'],
    ['GET', () => '/apis/apps/v1/things', {}, 404, 'NotFound', 'the server could not find the requested resource'],
    ['DELETE', () => cluster.at('v1', 'configmaps', 'nobody'), {}, 404, 'NotFound', 'configmaps "nobody" not found'],
    [
      'POST',
      () => '/api/v1/namespaces/nowhere-at-all/configmaps',
      { body: { metadata: { name: 'a' } } },
      404,
      'NotFound',
      'namespaces "nowhere-at-all" not found',
    ],
    [
      'POST',
      () => cluster.at('v1', 'configmaps'),
      { body: { metadata: { name: 'a', namespace: 'other' } } },
      400,
      'BadRequest',
      `the namespace of the provided object does not match the namespace sent on the request`,
    ],
    [
      'POST',
      () => cluster.at('v1', 'configmaps'),
      { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } } },
      400,
      'BadRequest',
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ],
    [
      'GET',
      () => `${cluster.at('v1', 'pods')}?fieldSelector=spec.color%3Dred`,
      {},
      400,
      'BadRequest',
      'field label not supported: spec.color',
    ],
    [
      'GET',
      () => `${cluster.at('v1', 'configmaps')}?labelSelector=a%3D%3D%3Db`,
      {},
      400,
      'BadRequest',
      "unable to parse requirement: found '=', expected: identifier",
    ],
    [
      'GET',
      () => `${cluster.at('v1', 'configmaps')}?continue=x&limit=1`,
      {},
      400,
      'BadRequest',
      'invalid continue token: continue key is not valid: illegal base64 data at input byte 0',
    ],
    [
      'PATCH',
      () => cluster.at('v1', 'configmaps', 'a'),
      { body: {}, contentType: 'application/json' },
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    ],
    [
      'PATCH',
      () => cluster.at('v1', 'configmaps', 'a'),
      { body: {}, contentType: 'application/apply-patch+yaml' },
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ],
    [
      'POST',
      () => cluster.at('v1', 'configmaps'),
      { body: '{"metadata":' },
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"metadata":)',
    ],
    [
      'POST',
      () => `${cluster.at('v1', 'configmaps')}?fieldValidation=Strict`,
      { body: '{"metadata":{"name":"a"},"data":{"a":"b","a":"c"},"extra":1}' },
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a", unknown field "extra"',
    ],
    [
      'POST',
      () => cluster.at('v1', 'configmaps'),
      { body: { metadata: { name: 'a' }, data: { a: 1 } } },
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
    [
      'POST',
      () => cluster.at('v1', 'configmaps'),
      { body: { metadata: {} } },
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
  ]
  test.each(refusals.map((one) => [`${one[0]}: ${one[5]}`, ...one] as const))(
    '%s',
    async (_, method, path, options, code, reason, message) => {
      expect(await cluster.refused(method, path(), options)).toEqual({ code, reason, message })
    },
  )

  test('two writers: the one who is late is told so', async () => {
    const made = await cluster.create('v1', 'configmaps', { metadata: { name: 'raced' }, data: { a: '1' } })
    const path = cluster.at('v1', 'configmaps', 'raced')
    expect((await cluster.ask('PUT', path, { body: { ...made, data: { a: '2' } } })).status).toBe(200)
    expect(await cluster.refused('PUT', path, { body: { ...made, data: { a: '3' } } })).toEqual({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "raced": the object has been modified; please apply your changes to the latest version and try again',
    })
    const other = '00000000-0000-0000-0000-000000000000'
    expect(await cluster.refused('DELETE', path, { body: { preconditions: { uid: other } } })).toEqual({
      code: 409,
      reason: 'Conflict',
      message: `Operation cannot be fulfilled on ConfigMap "raced": the UID in the precondition (${other}) does not match the UID in record (${made.metadata.uid}). The object might have been deleted and then recreated`,
    })
  })

  test('what is there already', async () => {
    await cluster.create('apps/v1', 'deployments', {
      metadata: { name: 'twice' },
      spec: { replicas: 0, selector, template: template({ app: 'a' }) },
    })
    const body = { metadata: { name: 'twice' }, spec: { selector, template: template({ app: 'a' }) } }
    expect(await cluster.refused('POST', cluster.at('apps/v1', 'deployments'), { body })).toEqual({
      code: 409,
      reason: 'AlreadyExists',
      message: 'deployments.apps "twice" already exists',
    })
  })

  test('a definition of custom resources without a schema', async () => {
    const group = `${unique}.parity.example.com`
    const body = {
      metadata: { name: `things.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' },
        versions: [{ name: 'v1', served: true, storage: true }],
      },
    }
    expect(await cluster.refused('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body })).toEqual({
      code: 422,
      reason: 'Invalid',
      message: `CustomResourceDefinition.apiextensions.k8s.io "things.${group}" is invalid: spec.versions[0].schema.openAPIV3Schema: Required value`,
    })
  })
})
