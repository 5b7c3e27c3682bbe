// What is added to an object that says only what it must.
import { describe, expect, test } from 'vitest'
import { type AnyObject, useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()

const selector = { matchLabels: { app: 'a' } }
const labels = { app: 'a' }
const container = { name: 'c', image: 'navarch.local/web:1' }
const containerDefaults = {
  ...container,
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'IfNotPresent',
}
const podDefaults = {
  containers: [containerDefaults],
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  securityContext: {},
  schedulerName: 'default-scheduler',
}
const template = { metadata: { labels }, spec: { containers: [container] } }
const templateDefaults = { metadata: { labels }, spec: podDefaults }

/** Kind, where it lives, what is sent beside the metadata, and what comes back beside it. */
type Case = readonly [kind: string, groupVersion: string, resource: string, sent: object, shown: object]

const cases: readonly Case[] = [
  [
    'Deployment',
    'apps/v1',
    'deployments',
    { spec: { replicas: 0, selector, template } },
    {
      spec: {
        replicas: 0,
        selector,
        template: templateDefaults,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
      },
      status: {},
    },
  ],
  [
    'StatefulSet',
    'apps/v1',
    'statefulsets',
    {
      spec: {
        replicas: 0,
        selector,
        template,
        volumeClaimTemplates: [
          { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
        ],
      },
    },
    {
      spec: {
        replicas: 0,
        selector,
        template: templateDefaults,
        volumeClaimTemplates: [
          {
            kind: 'PersistentVolumeClaim',
            apiVersion: 'v1',
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, volumeMode: 'Filesystem' },
            status: { phase: 'Pending' },
          },
        ],
        serviceName: '',
        podManagementPolicy: 'OrderedReady',
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        revisionHistoryLimit: 10,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      },
      status: { replicas: 0, availableReplicas: 0 },
    },
  ],
  [
    'DaemonSet',
    'apps/v1',
    'daemonsets',
    { spec: { selector, template: { ...template, spec: { ...template.spec, nodeSelector: { nowhere: 'here' } } } } },
    {
      spec: {
        selector,
        template: { ...templateDefaults, spec: { ...podDefaults, nodeSelector: { nowhere: 'here' } } },
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        revisionHistoryLimit: 10,
      },
      status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
    },
  ],
  [
    'ReplicationController',
    'v1',
    'replicationcontrollers',
    { spec: { replicas: 0, template } },
    { spec: { replicas: 0, selector: labels, template: templateDefaults }, status: { replicas: 0 } },
  ],
  [
    'CronJob',
    'batch/v1',
    'cronjobs',
    {
      spec: {
        schedule: '0 0 1 1 *',
        jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } } },
      },
    },
    {
      spec: {
        schedule: '0 0 1 1 *',
        concurrencyPolicy: 'Allow',
        suspend: false,
        jobTemplate: {
          metadata: {},
          spec: { template: { metadata: {}, spec: { ...podDefaults, restartPolicy: 'Never' } } },
        },
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 1,
      },
      status: {},
    },
  ],
  [
    'HorizontalPodAutoscaler',
    'autoscaling/v2',
    'horizontalpodautoscalers',
    { spec: { scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' }, maxReplicas: 3 } },
    {
      spec: {
        scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' },
        minReplicas: 1,
        maxReplicas: 3,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
      },
      status: { desiredReplicas: 0, currentMetrics: null },
    },
  ],
  [
    'PersistentVolumeClaim',
    'v1',
    'persistentvolumeclaims',
    { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: '' } },
    {
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
        storageClassName: '',
        volumeMode: 'Filesystem',
      },
      status: { phase: 'Pending' },
    },
  ],
  ['Secret', 'v1', 'secrets', { stringData: { a: 'b' } }, { data: { a: 'Yg==' }, type: 'Opaque' }],
  [
    'LimitRange',
    'v1',
    'limitranges',
    { spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '10Gi' } }] } },
    { spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '10Gi' } }] } },
  ],
  [
    'Ingress',
    'networking.k8s.io/v1',
    'ingresses',
    { spec: { ingressClassName: 'none', defaultBackend: { service: { name: 'x', port: { number: 80 } } } } },
    {
      spec: { ingressClassName: 'none', defaultBackend: { service: { name: 'x', port: { number: 80 } } } },
      status: { loadBalancer: {} },
    },
  ],
  [
    'NetworkPolicy',
    'networking.k8s.io/v1',
    'networkpolicies',
    { spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] } },
    { spec: { podSelector: {}, egress: [{ ports: [{ protocol: 'TCP', port: 53 }] }], policyTypes: ['Ingress', 'Egress'] } },
  ],
  [
    'PodDisruptionBudget',
    'policy/v1',
    'poddisruptionbudgets',
    { spec: { selector, maxUnavailable: '50%' } },
    {
      spec: { selector, maxUnavailable: '50%' },
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    },
  ],
  [
    'EndpointSlice',
    'discovery.k8s.io/v1',
    'endpointslices',
    { addressType: 'IPv4', endpoints: [{ addresses: ['192.0.2.7'] }], ports: [{ port: 80 }] },
    {
      addressType: 'IPv4',
      endpoints: [{ addresses: ['192.0.2.7'], conditions: {} }],
      ports: [{ name: '', protocol: 'TCP', port: 80 }],
    },
  ],
  [
    'RoleBinding',
    'rbac.authorization.k8s.io/v1',
    'rolebindings',
    { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' }, subjects: [{ kind: 'User', name: 'jane' }] },
    {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }],
    },
  ],
  ['PodTemplate', 'v1', 'podtemplates', { template }, { template: templateDefaults }],
  [
    'ResourceQuota',
    'v1',
    'resourcequotas',
    { spec: { hard: { pods: '100', cpu: '1000' } } },
    { spec: { hard: { pods: '100', cpu: '1k' } }, status: {} },
  ],
]

function beside({ apiVersion, kind, metadata, ...rest }: AnyObject): object {
  return rest
}

describe('what is added to', () => {
  test.each(cases)('a %s', async (_kind, groupVersion, resource, sent, shown) => {
    expect(beside(await cluster.create(groupVersion, `${resource}?dryRun=All`, { metadata: { name: 'bare' }, ...sent }))).toEqual(shown)
  })

  test('the metadata of an object', async () => {
    const { metadata } = await cluster.create('v1', 'configmaps', { metadata: { generateName: 'made-', labels: { a: 'b' } } })
    expect(metadata).toEqual({
      name: expect.stringMatching(/^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/),
      generateName: 'made-',
      namespace: cluster.namespace,
      uid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      resourceVersion: expect.stringMatching(/^[1-9][0-9]*$/),
      creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      labels: { a: 'b' },
      managedFields: [
        {
          manager: 'unknown',
          operation: 'Update',
          apiVersion: 'v1',
          time: expect.stringMatching(/Z$/),
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:metadata': { 'f:generateName': {}, 'f:labels': { '.': {}, 'f:a': {} } } },
        },
      ],
    })
  })

  test('a Pod', async () => {
    const made = await cluster.create('v1', 'pods?dryRun=All', {
      metadata: { name: 'bare' },
      spec: {
        containers: [
          {
            name: 'c',
            image: 'navarch.local/web',
            ports: [{ containerPort: 80 }],
            resources: { limits: { cpu: '0.5', memory: '64Mi' } },
            readinessProbe: { httpGet: { port: 80 } },
            env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          },
        ],
        volumes: [
          { name: 'c', configMap: { name: 'x' } },
          { name: 'h', hostPath: { path: '/x' } },
          { name: 'p', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        ],
        automountServiceAccountToken: false,
      },
    })
    expect(beside(made)).toEqual({
      spec: {
        volumes: [
          { name: 'c', configMap: { name: 'x', defaultMode: 420 } },
          { name: 'h', hostPath: { path: '/x', type: '' } },
          { name: 'p', projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3600, path: 't' } }], defaultMode: 420 } },
        ],
        containers: [
          {
            name: 'c',
            image: 'navarch.local/web',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            env: [{ name: 'IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } }],
            resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '500m', memory: '64Mi' } },
            readinessProbe: {
              httpGet: { path: '/', port: 80, scheme: 'HTTP' },
              timeoutSeconds: 1,
              periodSeconds: 10,
              successThreshold: 1,
              failureThreshold: 3,
            },
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            imagePullPolicy: 'Always',
          },
        ],
        restartPolicy: 'Always',
        terminationGracePeriodSeconds: 30,
        dnsPolicy: 'ClusterFirst',
        serviceAccountName: 'default',
        serviceAccount: 'default',
        automountServiceAccountToken: false,
        securityContext: {},
        schedulerName: 'default-scheduler',
        tolerations: [
          { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
          { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        ],
        priority: 0,
        enableServiceLinks: true,
        preemptionPolicy: 'PreemptLowerPriority',
      },
      status: { phase: 'Pending', qosClass: 'Guaranteed' },
    })
  })

  test('a Job', async () => {
    const made = await cluster.create('batch/v1', 'jobs?dryRun=All', {
      metadata: { name: 'bare' },
      spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } },
    })
    const { uid } = made.metadata
    const jobLabels = {
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': 'bare',
      'controller-uid': uid,
      'job-name': 'bare',
    }
    expect([made.metadata['labels'], beside(made)]).toEqual([
      jobLabels,
      {
        spec: {
          parallelism: 1,
          completions: 1,
          backoffLimit: 6,
          selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
          template: { metadata: { labels: jobLabels }, spec: { ...podDefaults, restartPolicy: 'Never' } },
          manualSelector: false,
          completionMode: 'NonIndexed',
          suspend: false,
          podReplacementPolicy: 'TerminatingOrFailed',
        },
        status: {},
      },
    ])
  })

  test('a Service', async () => {
    const made = await cluster.create('v1', 'services', {
      metadata: { name: 'bare' },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }], selector: labels },
    })
    const { clusterIP } = made['spec'] as { clusterIP: string }
    expect(beside(made)).toEqual({
      spec: {
        ports: [{ protocol: 'TCP', port: 80, targetPort: 80, nodePort: expect.any(Number) }],
        selector: labels,
        clusterIP: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
        clusterIPs: [clusterIP],
        type: 'LoadBalancer',
        sessionAffinity: 'None',
        externalTrafficPolicy: 'Cluster',
        ipFamilies: ['IPv4'],
        ipFamilyPolicy: 'SingleStack',
        allocateLoadBalancerNodePorts: true,
        internalTrafficPolicy: 'Cluster',
      },
      status: { loadBalancer: {} },
    })
  })
})
