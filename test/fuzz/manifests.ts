// A valid manifest of every stored kind, rich in fields: what mutations start from. Names and namespaces are added by `manifestOf`.
import type { Kind } from '#api/kind'
import { allKinds } from '#api/kinds/all'

type Json = Record<string, unknown>

const labels = { app: 'fuzz' }
const selector = { matchLabels: labels }
const selecting = { matchLabels: labels, matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }] }
const when = '2026-01-01T00:00:00Z'

const container = {
  name: 'main',
  image: 'navarch.local/app:1',
  command: ['run'],
  args: ['--fast'],
  ports: [
    { name: 'http', containerPort: 80 },
    { containerPort: 53, protocol: 'UDP' },
  ],
  env: [
    { name: 'A', value: 'b' },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'S', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
  ],
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '128Mi' } },
  volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'x' }],
  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 5 },
  livenessProbe: { exec: { command: ['true'] } },
  lifecycle: { preStop: { sleep: { seconds: 1 } } },
  securityContext: { runAsNonRoot: true, runAsUser: 1000, capabilities: { drop: ['ALL'] } },
}

const podSpec = {
  automountServiceAccountToken: false,
  containers: [container, { name: 'side', image: 'navarch.local/side:1' }],
  initContainers: [{ name: 'init', image: 'navarch.local/init:1' }],
  volumes: [
    { name: 'data', emptyDir: { sizeLimit: '1Gi' } },
    { name: 'all', projected: { sources: [{ configMap: { name: 'c', items: [{ key: 'k', path: 'p' }] } }] } },
  ],
  nodeSelector: { disk: 'fast' },
  tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 }],
  affinity: {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 5, podAffinityTerm: { labelSelector: selecting, topologyKey: 'kubernetes.io/hostname' } },
      ],
    },
  },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: selector }],
  hostAliases: [{ ip: '10.0.0.1', hostnames: ['a.example.com'] }],
  dnsConfig: { nameservers: ['10.0.0.2'], options: [{ name: 'ndots', value: '2' }] },
  terminationGracePeriodSeconds: 5,
}

const template = { metadata: { labels, annotations: { note: 'x' } }, spec: podSpec }
const jobTemplate = { metadata: { labels }, spec: { ...podSpec, restartPolicy: 'Never' } }
const rules = [{ apiGroups: ['', 'apps'], resources: ['pods', 'deployments/scale'], verbs: ['get', 'list'], resourceNames: ['a'] }]
const subjects = [
  { kind: 'User', name: 'jane', apiGroup: 'rbac.authorization.k8s.io' },
  { kind: 'ServiceAccount', name: 'robot', namespace: 'default' },
]
const claim = {
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '1Gi' } },
  storageClassName: 'fast',
  selector: selecting,
}
const webhook = {
  name: 'check.example.com',
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
  failurePolicy: 'Ignore',
  clientConfig: { service: { namespace: 'default', name: 'check', path: '/x' } },
  rules: [{ operations: ['CREATE'], apiGroups: ['none.example.com'], apiVersions: ['v1'], resources: ['nothings'] }],
  matchConditions: [{ name: 'all', expression: 'true' }],
}
const policyMatch = {
  resourceRules: [{ operations: ['CREATE'], apiGroups: ['none.example.com'], apiVersions: ['v1'], resources: ['nothings'] }],
}
const device = { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com', count: 2 } }] }

const bodies: Readonly<Record<string, Json>> = {
  'core/v1/configmaps': { data: { a: '1', 'b.txt': 'two' }, binaryData: { c: 'AAEC' } },
  'core/v1/endpoints': { subsets: [{ addresses: [{ ip: '10.0.0.9' }], ports: [{ name: 'http', port: 80 }] }] },
  'core/v1/events': {
    involvedObject: { kind: 'Pod', namespace: 'NS', name: 'p' },
    reason: 'Tested',
    type: 'Normal',
    message: 'x',
    lastTimestamp: when,
  },
  'core/v1/limitranges': {
    spec: { limits: [{ type: 'Container', max: { cpu: '64' }, default: { cpu: '2' }, defaultRequest: { cpu: '1m' } }] },
  },
  'core/v1/namespaces': { spec: { finalizers: ['kubernetes'] } },
  'core/v1/nodes': {
    spec: { podCIDR: '10.244.0.0/24', taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }], providerID: 'x://y' },
    status: {
      capacity: { cpu: '4', memory: '8Gi' },
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '192.0.2.9' }],
    },
  },
  'core/v1/persistentvolumeclaims': { spec: claim },
  'core/v1/persistentvolumes': {
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: '/data' },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] }] } },
    },
  },
  'core/v1/pods': { spec: podSpec },
  'core/v1/podtemplates': { template },
  'core/v1/replicationcontrollers': { spec: { replicas: 1, selector: labels, template } },
  'core/v1/resourcequotas': {
    spec: {
      hard: { pods: '1000', 'count/leases.coordination.k8s.io': '1000' },
      scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] },
    },
  },
  'core/v1/secrets': { type: 'Opaque', data: { a: 'AAEC' }, stringData: { b: 'c' } },
  'core/v1/serviceaccounts': { secrets: [{ name: 's' }], imagePullSecrets: [{ name: 'p' }] },
  'core/v1/services': {
    spec: {
      type: 'ClusterIP',
      selector: labels,
      ports: [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 5353 },
      ],
      sessionAffinity: 'ClientIP',
      externalIPs: ['192.0.2.3'],
    },
  },
  'apps/v1/controllerrevisions': { revision: 1, data: { spec: { a: [1, 'x', { b: null }] } } },
  'apps/v1/daemonsets': {
    spec: { selector, template, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } } },
  },
  'apps/v1/deployments': { spec: { replicas: 2, selector, template, strategy: { rollingUpdate: { maxSurge: '25%', maxUnavailable: 1 } } } },
  'apps/v1/replicasets': { spec: { replicas: 1, selector, template } },
  'apps/v1/statefulsets': {
    spec: { replicas: 1, serviceName: 's', selector, template, volumeClaimTemplates: [{ metadata: { name: 'disk' }, spec: claim }] },
  },
  'batch/v1/cronjobs': { spec: { schedule: '*/5 * * * *', timeZone: 'Etc/UTC', jobTemplate: { spec: { template: jobTemplate } } } },
  'batch/v1/jobs': {
    spec: {
      parallelism: 1,
      completions: 2,
      template: jobTemplate,
      podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1, 2] } }] },
    },
  },
  'autoscaling/v1/horizontalpodautoscalers': {
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
      maxReplicas: 5,
      targetCPUUtilizationPercentage: 60,
    },
  },
  'autoscaling/v2/horizontalpodautoscalers': {
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }],
      behavior: { scaleDown: { policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] } },
    },
  },
  'policy/v1/poddisruptionbudgets': { spec: { minAvailable: '50%', selector: selecting } },
  'networking.k8s.io/v1/ingressclasses': {
    spec: { controller: 'example.com/c', parameters: { kind: 'P', name: 'p', apiGroup: 'k.example.com', scope: 'Cluster' } },
  },
  'networking.k8s.io/v1/ingresses': {
    spec: {
      ingressClassName: 'x',
      tls: [{ hosts: ['a.example.com'], secretName: 's' }],
      rules: [
        {
          host: 'a.example.com',
          http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }] },
        },
      ],
    },
  },
  'networking.k8s.io/v1/networkpolicies': {
    spec: {
      podSelector: selecting,
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { namespaceSelector: {} }],
          ports: [{ port: 80, endPort: 90 }],
        },
      ],
      egress: [{}],
    },
  },
  'networking.k8s.io/v1/servicecidrs': { spec: { cidrs: ['10.200.0.0/24'] } },
  'rbac.authorization.k8s.io/v1/clusterroles': {
    rules: [...rules, { nonResourceURLs: ['/x/*'], verbs: ['get'] }],
    aggregationRule: undefined,
  },
  'rbac.authorization.k8s.io/v1/clusterrolebindings': {
    subjects,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
  },
  'rbac.authorization.k8s.io/v1/roles': { rules },
  'rbac.authorization.k8s.io/v1/rolebindings': { subjects, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' } },
  'storage.k8s.io/v1/csidrivers': {
    spec: { attachRequired: true, volumeLifecycleModes: ['Persistent'], tokenRequests: [{ audience: 'a', expirationSeconds: 3600 }] },
  },
  'storage.k8s.io/v1/csinodes': {
    spec: { drivers: [{ name: 'disks.example.com', nodeID: 'one', topologyKeys: ['zone'], allocatable: { count: 3 } }] },
  },
  'storage.k8s.io/v1/csistoragecapacities': { storageClassName: 'fast', capacity: '10Gi', nodeTopology: selecting },
  'storage.k8s.io/v1/storageclasses': {
    provisioner: 'example.com/disks',
    parameters: { kind: 'ssd' },
    allowedTopologies: [{ matchLabelExpressions: [{ key: 'zone', values: ['a'] }] }],
  },
  'storage.k8s.io/v1/volumeattachments': { spec: { attacher: 'disks.example.com', nodeName: 'n', source: { persistentVolumeName: 'pv' } } },
  'storage.k8s.io/v1/volumeattributesclasses': { driverName: 'disks.example.com', parameters: { iops: '100' } },
  'scheduling.k8s.io/v1/priorityclasses': { value: 1000, description: 'x', preemptionPolicy: 'Never' },
  'coordination.k8s.io/v1/leases': {
    spec: { holderIdentity: 'a', leaseDurationSeconds: 15, acquireTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 1 },
  },
  'discovery.k8s.io/v1/endpointslices': {
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.9'], conditions: { ready: true }, targetRef: { kind: 'Pod', name: 'p' }, hints: { forZones: [{ name: 'a' }] } },
    ],
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  },
  'events.k8s.io/v1/events': {
    regarding: { kind: 'Pod', namespace: 'NS', name: 'p' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reason: 'Tested',
    type: 'Normal',
    action: 'Test',
    reportingController: 'test.example.com/x',
    reportingInstance: 'x-1',
    note: 'hello',
  },
  'node.k8s.io/v1/runtimeclasses': { handler: 'fast', overhead: { podFixed: { cpu: '10m' } }, scheduling: { nodeSelector: { a: 'b' } } },
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations': { webhooks: [webhook] },
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': { webhooks: [webhook] },
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies': {
    spec: {
      matchConstraints: policyMatch,
      validations: [{ expression: 'object.spec.replicas <= 5', message: 'too many' }],
      variables: [{ name: 'x', expression: '1 + 1' }],
    },
  },
  'admissionregistration.k8s.io/v1/validatingadmissionpolicybindings': { spec: { policyName: 'check', validationActions: ['Deny'] } },
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicies': {
    spec: {
      matchConstraints: policyMatch,
      reinvocationPolicy: 'Never',
      mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{}' } }],
    },
  },
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings': { spec: { policyName: 'check' } },
  'flowcontrol.apiserver.k8s.io/v1/flowschemas': {
    spec: {
      priorityLevelConfiguration: { name: 'p' },
      matchingPrecedence: 100,
      rules: [{ subjects: [{ kind: 'Group', group: { name: 'g' } }], nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] }],
    },
  },
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations': {
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: 5,
        limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 6, queueLengthLimit: 50 } },
      },
    },
  },
  'apiregistration.k8s.io/v1/apiservices': {
    spec: {
      group: 'none.example.com',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 10,
      service: { namespace: 'default', name: 's' },
    },
  },
  'networking.k8s.io/v1/ipaddresses': { spec: { parentRef: { resource: 'services', namespace: 'default', name: 's' } } },
  'resource.k8s.io/v1/resourceslices': {
    spec: {
      driver: 'gpu.example.com',
      pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
      nodeName: 'n',
      devices: [{ name: 'gpu-0', attributes: { model: { string: 'x' }, cores: { int: 4 } }, capacity: { memory: { value: '8Gi' } } }],
    },
  },
  'resource.k8s.io/v1/deviceclasses': { spec: { selectors: [{ cel: { expression: 'device.driver == "x"' } }] } },
  'resource.k8s.io/v1/resourceclaims': { spec: { devices: device } },
  'resource.k8s.io/v1/resourceclaimtemplates': { spec: { spec: { devices: device } } },
}

/** The manifest's name where the kind rules over it. */
const names: Readonly<Record<string, string>> = {
  'apiregistration.k8s.io/v1/apiservices': 'v1.none.example.com',
  'networking.k8s.io/v1/ipaddresses': '10.96.200.1',
  'apiextensions.k8s.io/v1/customresourcedefinitions': 'things.fuzz.example.com',
}

const definition: Json = {
  spec: {
    group: 'fuzz.example.com',
    scope: 'Namespaced',
    names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList', shortNames: ['th'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: '.spec.count', statusReplicasPath: '.status.count' } },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 0, maximum: 10 },
                  count: { type: 'integer' },
                  name: { type: 'string', pattern: '^[a-z]+$', default: 'x' },
                  list: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  port: { 'x-kubernetes-int-or-string': true },
                  map: { type: 'object', additionalProperties: { type: 'string' } },
                },
              },
              status: { type: 'object', properties: { count: { type: 'integer' } } },
            },
          },
        },
      },
    ],
  },
}

/** A resource as requests name it. */
export interface Resource {
  readonly id: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly kind: string
  readonly apiVersion: string
  readonly namespaced: boolean
  readonly subresources: readonly string[]
  readonly builtIn: Kind | undefined
}

const custom: Resource = {
  id: 'fuzz.example.com/v1/things',
  group: 'fuzz.example.com',
  version: 'v1',
  resource: 'things',
  kind: 'Thing',
  apiVersion: 'fuzz.example.com/v1',
  namespaced: true,
  subresources: ['status', 'scale'],
  builtIn: undefined,
}

/** All that can be created and read, and the custom kind of `customDefinition`. */
export const resources: readonly Resource[] = [
  ...allKinds
    .filter((kind) => bodies[kind.id] !== undefined || Object.hasOwn(names, kind.id))
    .map((kind) => ({ ...kind, subresources: kind.subresources.map(({ name }) => name), builtIn: kind })),
  custom,
]

/** Kinds that change what the server does with other objects: their mutations are tried without being kept. */
export const farReaching: ReadonlySet<string> = new Set(
  allKinds.filter(({ group }) => /^(admissionregistration|apiextensions|apiregistration)\.k8s\.io$/.test(group)).map(({ id }) => id),
)

/** The definition of `fuzz.example.com/v1/things`. */
export const customDefinition: Json = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.fuzz.example.com' },
  ...definition,
}

const customBody: Json = {
  spec: { size: 3, count: 1, list: ['a', 'b'], free: { a: { b: [1, null, 'x'] } }, port: 80, map: { k: 'v' } },
}

/** A fresh, complete and valid manifest. */
export function manifestOf(resource: Resource, namespace: string, name: string): Json {
  const own = resource.id === custom.id ? customBody : resource.resource === 'customresourcedefinitions' ? definition : bodies[resource.id]!
  const body = JSON.parse(JSON.stringify(own).replaceAll('"NS"', JSON.stringify(namespace))) as Json
  const metadata = {
    name: names[resource.id] ?? name,
    ...(resource.namespaced ? { namespace } : {}),
    labels: { ...labels, tier: 'a' },
    annotations: { 'fuzz.example.com/note': 'x' },
  }
  return { apiVersion: resource.apiVersion, kind: resource.kind, metadata, ...body }
}

/** The path of a resource's collection. */
export function collectionPath({ group, version, resource, namespaced }: Resource, namespace: string): string {
  const prefix = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return `${prefix}${namespaced ? `/namespaces/${namespace}` : ''}/${resource}`
}

/** The path of one object. */
export function objectPath(resource: Resource, namespace: string, name: string): string {
  return `${collectionPath(resource, namespace)}/${names[resource.id] ?? name}`
}
