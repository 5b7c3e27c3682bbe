import { describe, expect, test } from 'vitest'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, defaulted, row, testContext, testNowMs, updateErrors } from '../testing.ts'
import { Pod } from './pod.ts'

type PodSpecManifest = Manifest<coreV1.PodSpec>
type ContainerManifest = Manifest<coreV1.Container>

const web: ContainerManifest = { name: 'web', image: 'navarch.local/web:v1' }

function pod(spec: PodSpecManifest, metadata: Manifest<coreV1.Pod['metadata']> = {}): Manifest<Pod> {
  return { metadata, spec: { containers: [web], ...spec } }
}

function withContainer(container: ContainerManifest, spec: PodSpecManifest = {}): Manifest<Pod> {
  return pod({ containers: [{ ...web, ...container }], ...spec })
}

describe('pod defaults', () => {
  test('a pod with one container gets what the API server fills in', () => {
    expect(created(Pod, pod({}))).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x', namespace: 'default' },
      spec: {
        containers: [
          {
            name: 'web',
            image: 'navarch.local/web:v1',
            resources: {},
            imagePullPolicy: 'IfNotPresent',
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
          },
        ],
        dnsPolicy: 'ClusterFirst',
        enableServiceLinks: true,
        restartPolicy: 'Always',
        schedulerName: 'default-scheduler',
        securityContext: {},
        terminationGracePeriodSeconds: 30,
      },
      status: { phase: 'Pending', qosClass: 'BestEffort' },
    })
  })

  test.each([
    ['navarch.local/web', 'Always'],
    ['navarch.local/web:latest', 'Always'],
    ['navarch.local:5000/web', 'Always'],
    ['navarch.local:5000/web:v1', 'IfNotPresent'],
    ['navarch.local/web@sha256:0123', 'IfNotPresent'],
  ])('image %s is pulled %s', (image, policy) => {
    expect(defaulted(Pod, withContainer({ image })).spec.containers[0]!.imagePullPolicy).toBe(policy)
  })

  test('requests follow limits, probes and ports and volumes get their numbers', () => {
    const { spec } = defaulted(
      Pod,
      withContainer(
        {
          ports: [{ containerPort: 80 }],
          resources: { limits: { cpu: '0.5', memory: '64Mi' }, requests: { cpu: '100m' } },
          readinessProbe: { httpGet: { port: 80 } },
          env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        },
        { hostNetwork: true, volumes: [{ name: 'a' }, { name: 'b', configMap: { name: 'c' } }, { name: 'd', hostPath: { path: '/' } }] },
      ),
    )
    expect(spec.containers[0]).toMatchObject({
      ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
      resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '100m', memory: '64Mi' } },
      readinessProbe: {
        httpGet: { path: '/', port: 80, scheme: 'HTTP' },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      },
      env: [{ name: 'A', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }],
    })
    expect(spec.volumes).toEqual([
      { name: 'a', emptyDir: {} },
      { name: 'b', configMap: { name: 'c', defaultMode: 420 } },
      { name: 'd', hostPath: { path: '/', type: '' } },
    ])
  })

  test('defaulting twice changes nothing', () => {
    const once = defaulted(Pod, withContainer({ livenessProbe: { grpc: { port: 1 } } }))
    const twice = structuredClone(once)
    Pod.strategy.setDefaults!(twice)
    expect(twice).toEqual(once)
  })

  test.each<[string, ContainerManifest['resources'], string]>([
    ['none', {}, 'BestEffort'],
    ['requests', { requests: { cpu: '1' } }, 'Burstable'],
    ['limits', { limits: { cpu: '1', memory: '1Gi' } }, 'Guaranteed'],
    ['one limit', { limits: { cpu: '1' } }, 'Burstable'],
  ])('a container with %s of its resources set makes class %#', (_, resources, qosClass) => {
    expect(created(Pod, withContainer({ resources: resources! })).status.qosClass).toBe(qosClass)
  })

  test('gates keep a new pod from being scheduled, and say so', () => {
    expect(created(Pod, pod({ schedulingGates: [{ name: 'example.com/wait' }] })).status.conditions).toEqual([
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ])
  })

  test('matchLabelKeys become expressions with the pod’s own values', () => {
    const constraint = {
      maxSkew: 1,
      topologyKey: 'zone',
      whenUnsatisfiable: 'DoNotSchedule' as const,
      labelSelector: {},
      matchLabelKeys: ['v'],
    }
    const { spec } = created(Pod, pod({ topologySpreadConstraints: [constraint] }, { labels: { v: '1' } }))
    expect(spec.topologySpreadConstraints![0]!.labelSelector).toEqual({ matchExpressions: [{ key: 'v', operator: 'In', values: ['1'] }] })
  })
})

const labelRegex = "'[a-z0-9]([-a-z0-9]*[a-z0-9])?'"
const cases: [string, Manifest<Pod>, string[]][] = [
  ['a plain pod is fine', pod({}), []],
  ['a pod needs containers', pod({ containers: [] }), ['spec.containers: Required value']],
  [
    'a container needs a name and an image',
    pod({ containers: [{}] }),
    ['spec.containers[0].name: Required value', 'spec.containers[0].image: Required value'],
  ],
  [
    'names of containers are labels, and unique',
    pod({ containers: [{ ...web, name: 'Web' }, web, web] }),
    [
      `spec.containers[0].name: Invalid value: "Web": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is ${labelRegex})`,
      'spec.containers[2].name: Duplicate value: "web"',
    ],
  ],
  [
    'ports are numbers from 1 to 65535 with a known protocol',
    withContainer({ ports: [{ containerPort: 70000, protocol: 'XTP' as 'TCP', name: 'a' }, { name: 'a', containerPort: 1 }, {}] }),
    [
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.containers[0].ports[0].protocol: Unsupported value: "XTP": supported values: "SCTP", "TCP", "UDP"',
      'spec.containers[0].ports[1].name: Duplicate value: "a"',
      'spec.containers[0].ports[2].containerPort: Required value',
    ],
  ],
  [
    'host ports are taken once',
    withContainer({
      ports: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 2, hostPort: 5 },
      ],
    }),
    ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//5"'],
  ],
  [
    'an environment variable has one source',
    withContainer({
      env: [
        { name: '' },
        { name: 'A=B', value: 'x' },
        { name: 'C', valueFrom: {} },
        { name: 'D', value: 'x', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
        { name: 'E', valueFrom: { fieldRef: { fieldPath: 'spec.nothing' } } },
        { name: 'F', valueFrom: { fieldRef: { fieldPath: 'status.phase' } } },
        { name: 'G', valueFrom: { secretKeyRef: { name: 's', key: '' } } },
      ],
    }),
    [
      'spec.containers[0].env[0].name: Required value',
      'spec.containers[0].env[1].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
      'spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      'spec.containers[0].env[3].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      'spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nothing": error converting fieldPath: field label not supported: spec.nothing',
      'spec.containers[0].env[5].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      'spec.containers[0].env[6].valueFrom.secretKeyRef.key: Required value',
    ],
  ],
  [
    'requests stay within limits',
    withContainer({
      resources: { limits: { cpu: '1', 'example.com/gpu': '2' }, requests: { cpu: '2', 'example.com/gpu': '1', memory: '-1' } },
    }),
    [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      'spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2',
      'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ],
  ],
  [
    'resource names are standard or have a domain',
    withContainer({ resources: { limits: { gpu: '1', pods: '1', cpu: '1' } } }),
    [
      'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
      'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
      'spec.containers[0].resources.limits[pods]: Invalid value: "pods": must be a standard resource for containers',
      'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
      'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers',
      'spec.containers[0].resources.requests[pods]: Invalid value: "pods": must be a standard resource for containers',
    ],
  ],
  [
    'a probe has one handler and sane numbers',
    withContainer({
      livenessProbe: { exec: { command: [] }, tcpSocket: { port: 80 }, successThreshold: 2, periodSeconds: -1 },
      readinessProbe: { terminationGracePeriodSeconds: 1, httpGet: { port: 'not a port', scheme: 'FTP' as 'HTTP' } },
    }),
    [
      'spec.containers[0].livenessProbe.exec.command: Required value',
      'spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      'spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
      'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
      'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "not a port": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
      'spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
      'spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes',
    ],
  ],
  [
    'a sleeping hook ends within the grace period',
    withContainer({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
    [
      'spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
    ],
  ],
  [
    'mounts name volumes that are there',
    withContainer(
      {
        volumeMounts: [
          { name: 'a', mountPath: '/a' },
          { name: 'b', mountPath: '/a', subPath: '../x' },
        ],
      },
      { volumes: [{ name: 'a' }] },
    ),
    [
      'spec.containers[0].volumeMounts[1].name: Not found: "b"',
      'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
      'spec.containers[0].volumeMounts.subPath: Invalid value: "../x": must not contain \'..\'',
    ],
  ],
  [
    'a volume has one type and a name of its own',
    pod({
      volumes: [
        { name: 'a', emptyDir: {}, hostPath: { path: '/' } },
        { name: 'b', secret: {} },
        { name: 'c', hostPath: { path: '/a/../b' } },
        { name: 'd', configMap: { name: 'c', items: [{ key: 'k', path: '/abs' }], defaultMode: 0o1777 } },
        { name: 'e' },
        { name: 'e' },
      ],
    }),
    [
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
      'spec.volumes[1].secret.secretName: Required value',
      'spec.volumes[2].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'',
      'spec.volumes[3].configMap.defaultMode: Invalid value: 1023: must be a number between 0 and 0777 (octal), both inclusive',
      'spec.volumes[3].configMap.items[0].path: Invalid value: "/abs": must be a relative path',
      'spec.volumes[5].name: Duplicate value: "e"',
    ],
  ],
  [
    'init containers have no probes unless they are sidecars',
    pod({
      initContainers: [
        { ...web, name: 'i', readinessProbe: { tcpSocket: { port: 1 } } },
        { ...web, name: 's', restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 1 } } },
      ],
    }),
    ['spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always'],
  ],
  [
    'tolerations say what they tolerate',
    pod({
      tolerations: [
        { key: 'a', operator: 'Exists', value: 'x' },
        { operator: 'Equal' },
        { key: 'a', tolerationSeconds: 1 },
        { key: 'a', operator: 'Lt', value: '1' },
        { key: 'a', operator: 'Exists', effect: 'Never' as 'NoExecute' },
      ],
    }),
    [
      'spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\'',
      'spec.tolerations[1].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      'spec.tolerations[2].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
      'spec.tolerations[3].operator: Unsupported value: "Lt": supported values: "Equal", "Exists", "Lt", "Gt"',
      'spec.tolerations[4].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    'affinity terms are whole',
    pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In' }] }] },
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 101, preference: { matchFields: [{ key: 'x', operator: 'In', values: ['a'] }] } },
          ],
        },
        podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: '' }] },
      },
    }),
    [
      "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
      'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100',
      'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].key: Invalid value: "x": not a valid field selector key',
      'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty',
      'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty',
      "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ],
  ],
  [
    'spread constraints are positive and differ',
    pod({
      topologySpreadConstraints: [
        { maxSkew: 0, topologyKey: 'z', whenUnsatisfiable: 'ScheduleAnyway', minDomains: 1 },
        { maxSkew: 1, topologyKey: 'z', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
    }),
    [
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
      'spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, ScheduleAnyway}"',
      'spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
    ],
  ],
  [
    'policies are known ones',
    pod({ restartPolicy: 'Sometimes' as 'Always', dnsPolicy: 'None', hostUsers: false, hostNetwork: true }),
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
      'spec.hostNetwork: Forbidden: when `hostUsers` is false',
    ],
  ],
  [
    'security contexts do not contradict themselves',
    pod({
      securityContext: {
        runAsUser: -1,
        sysctls: [
          { name: 'Net', value: '1' },
          { name: 'net.ipv4.ip_forward', value: '1' },
        ],
        seccompProfile: { type: 'Localhost' },
      },
      hostNetwork: true,
      containers: [{ ...web, securityContext: { privileged: true, allowPrivilegeEscalation: false } }],
    }),
    [
      'spec.containers[0].securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      'spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      'spec.securityContext.sysctls[0].name: Invalid value: "Net": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      'spec.securityContext.sysctls[1].name: Invalid value: "net.ipv4.ip_forward": may not be specified when \'hostNetwork\' is true',
      'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
    ],
  ],
  [
    'a new pod has no ephemeral containers and no node while gated',
    pod({ nodeName: 'n', schedulingGates: [{ name: 'example.com/g' }], ephemeralContainers: [{ ...web, name: 'e' }] }),
    [
      'spec.ephemeralContainers: Forbidden: cannot be set on create',
      'spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared',
    ],
  ],
  [
    'tokens need a service account',
    pod({ volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 60 } }] } }] }),
    [
      'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
      'spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set',
    ],
  ],
]

describe('pod validation', () => {
  test.each(cases)('%s', (_, manifest, expected) => {
    expect(createErrors(Pod, manifest)).toEqual(expected)
  })
})

describe('pod update', () => {
  test('an image may change', () => {
    expect(updateErrors(Pod, pod({}), withContainer({ image: 'navarch.local/web:v2' }))).toEqual([])
  })

  test('anything else is refused, with the difference', () => {
    expect(updateErrors(Pod, pod({ hostname: 'a' }), pod({ hostname: 'b' }))).toEqual([
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n' +
        '  core.PodSpec{\n  \t... // 1 identical field\n- \tHostname: "a",\n+ \tHostname: "b",\n  \t... // 6 identical fields\n  }\n',
    ])
  })

  test('containers may not come or go', () => {
    expect(updateErrors(Pod, pod({}), pod({ containers: [web, { ...web, name: 'b' }] }))).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ])
  })

  test('tolerations are only added, deadlines only shortened, gates only removed', () => {
    const before = pod({ activeDeadlineSeconds: 5, tolerations: [{ key: 'a', operator: 'Exists' }], schedulingGates: [{ name: 'a.b/c' }] })
    const after = pod({ activeDeadlineSeconds: 4, tolerations: [{ key: 'b', operator: 'Exists' }], schedulingGates: [{ name: 'a.b/d' }] })
    expect(updateErrors(Pod, before, after)).toEqual([
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.b/d'",
    ])
  })

  test('resources change by resize only, and not the class', () => {
    const before = withContainer({ resources: { requests: { cpu: '1' } } })
    expect(updateErrors(Pod, before, withContainer({ resources: { requests: { cpu: '2' } } }), 'resize')).toEqual([])
    expect(updateErrors(Pod, before, withContainer({ resources: {} }), 'resize')).toEqual([
      'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
      'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
    ])
  })

  test('a status is warned of addresses that are not written as they should be', () => {
    const warned: string[] = []
    const old = created(Pod, pod({}))
    const after = structuredClone(old)
    after.status = { podIPs: [{ ip: '10.0.0.1' }, { ip: '2001:DB8::1' }], hostIPs: [{ ip: '010.0.0.1' }] }
    Pod.strategy.prepareForStatusUpdate!(after, old, { ...testContext('status'), warn: (text) => warned.push(text) })
    expect(warned).toEqual([
      'status.podIPs[1].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
      'status.hostIPs[0].ip: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"',
    ])
  })

  test('a finished container of a pod that does not restart stays finished', () => {
    const state = (containerState: Manifest<coreV1.ContainerState>): Manifest<Pod> => ({
      ...pod({ restartPolicy: 'Never' }),
      status: { containerStatuses: [{ name: 'web', state: containerState, restartCount: 0, ready: false }] },
    })
    const old = created(Pod, pod({ restartPolicy: 'Never' }))
    const after = defaulted(Pod, state({ running: {} }))
    old.status.containerStatuses = defaulted(Pod, state({ terminated: { exitCode: 0 } })).status.containerStatuses!
    const errors = Pod.strategy.validateStatusUpdate!(after, old, { nowMs: 0, user: { name: '', groups: [] }, subresource: 'status' })
    expect(errors).toContainEqual({
      type: 'FieldValueForbidden',
      field: 'status.containerStatuses[0].state',
      detail: 'Forbidden: may not be transitioned to non-terminated state',
    })
  })
})

type StatusManifest = Manifest<coreV1.PodStatus>

describe('pod row', () => {
  const rows: [string, PodSpecManifest, StatusManifest, Record<string, unknown>][] = [
    ['a new pod', {}, { phase: 'Pending' }, { Ready: '0/1', Status: 'Pending', Restarts: '0', IP: '<none>', Node: '<none>' }],
    [
      'a running one',
      { nodeName: 'n1' },
      { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }], containerStatuses: [{ ready: true, restartCount: 0, state: { running: {} } }] },
      { Ready: '1/1', Status: 'Running', IP: '10.0.0.1', Node: 'n1' },
    ],
    [
      'one that keeps crashing',
      {},
      {
        phase: 'Running',
        containerStatuses: [
          {
            ready: false,
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 1, finishedAt: '2025-12-31T23:55:00Z' } },
          },
        ],
      },
      { Ready: '0/1', Status: 'CrashLoopBackOff', Restarts: '3 (5m ago)' },
    ],
    [
      'one whose first init container runs',
      { initContainers: [{ name: 'i' }, { name: 'j' }] },
      {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', restartCount: 0, state: { running: {} } }],
        containerStatuses: [{ restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } }],
      },
      { Status: 'Init:0/2' },
    ],
    [
      'one whose init container failed',
      { initContainers: [{ name: 'i' }] },
      { phase: 'Pending', initContainerStatuses: [{ name: 'i', restartCount: 2, state: { terminated: { exitCode: 3 } } }] },
      { Status: 'Init:ExitCode:3', Restarts: '2' },
    ],
    [
      'one with a sidecar',
      { initContainers: [{ name: 's', restartPolicy: 'Always' }] },
      {
        phase: 'Running',
        initContainerStatuses: [{ name: 's', restartCount: 0, started: true, ready: true, state: { running: {} } }],
        containerStatuses: [{ ready: true, restartCount: 0, state: { running: {} } }],
      },
      { Ready: '2/2', Status: 'Running' },
    ],
    [
      'a finished one',
      {},
      { phase: 'Succeeded', containerStatuses: [{ restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } }] },
      { Ready: '0/1', Status: 'Completed' },
    ],
    [
      'one killed by a signal',
      {},
      { phase: 'Failed', containerStatuses: [{ restartCount: 0, state: { terminated: { exitCode: 137, signal: 9 } } }] },
      { Status: 'Signal:9' },
    ],
    [
      'one of whose containers is done, not ready',
      { containers: [web, web] },
      {
        phase: 'Running',
        containerStatuses: [
          { restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
          { ready: true, restartCount: 0, state: { running: {} } },
        ],
      },
      { Ready: '1/2', Status: 'NotReady' },
    ],
    [
      'one of whose containers failed before the last was done',
      { containers: [web, web] },
      {
        phase: 'Failed',
        containerStatuses: [
          { restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
          { restartCount: 0, state: { terminated: { exitCode: 1, reason: 'Error' } } },
        ],
      },
      { Ready: '0/2', Status: 'Error' },
    ],
    ['an evicted one', {}, { phase: 'Failed', reason: 'Evicted' }, { Status: 'Evicted' }],
    [
      'a gated one',
      {},
      { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
      { Status: 'SchedulingGated' },
    ],
    [
      'one with readiness gates',
      { readinessGates: [{ conditionType: 'a' }, { conditionType: 'b' }] },
      { phase: 'Running', conditions: [{ type: 'a', status: 'True' }] },
      { 'Readiness Gates': '1/2' },
    ],
  ]
  test.each(rows)('%s', (_, spec, status, expected) => {
    const object = defaulted(Pod, { ...pod(spec), status })
    object.metadata.creationTimestamp = '2025-12-31T23:00:00Z'
    expect(row(Pod, object)).toMatchObject({ Name: 'x', Age: '60m', ...expected })
  })

  test('one being deleted says Terminating, unless it is finished', () => {
    const object = defaulted(Pod, { ...pod({}), status: { phase: 'Running' } })
    object.metadata.deletionTimestamp = new Date(testNowMs).toISOString()
    expect(row(Pod, object)['Status']).toBe('Terminating')
    const finished = { ...object, status: { phase: 'Succeeded' as const } }
    expect(row(Pod, finished)['Status']).toBe('Succeeded')
  })
})

describe('grace period of a deletion', () => {
  test.each<[string, PodSpecManifest, StatusManifest, number | undefined, number]>([
    ['a running pod has its own', { nodeName: 'n' }, { phase: 'Running' }, undefined, 30],
    ['the caller may say another', { nodeName: 'n' }, { phase: 'Running' }, 5, 5],
    ['a pod without a node goes at once', {}, { phase: 'Pending' }, 5, 0],
    ['so does a finished one', { nodeName: 'n' }, { phase: 'Failed' }, 5, 0],
    ['a negative one counts as 1', { nodeName: 'n', terminationGracePeriodSeconds: -3 }, { phase: 'Running' }, undefined, 1],
  ])('%s', (_, spec, status, requested, expected) => {
    expect(Pod.strategy.gracePeriod!(defaulted(Pod, { ...pod(spec), status }), requested)).toBe(expected)
  })
})

describe('what users are warned of', () => {
  test.each<[string, Manifest<Pod>, string[]]>([
    ['nothing', pod({}), []],
    [
      'a name that is no host’s',
      pod({}, { name: 'a.b' }),
      [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
      ],
    ],
    [
      'labels of old',
      pod({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
      ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
    ],
    [
      'variables that hide others',
      withContainer({
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
      }),
      ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
    ],
    [
      'parts of bytes',
      withContainer({ resources: { requests: { memory: '1500m' } } }),
      ['spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is invalid, must be an integer'],
    ],
    [
      'ports that are there twice',
      withContainer({ ports: [{ containerPort: 80 }, { containerPort: 80 }] }),
      ['spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]'],
    ],
    [
      'a spread of nothing',
      pod({ topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }] }),
      ['spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod'],
    ],
    [
      'annotations that do nothing',
      pod({}, { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'runtime/default' } }),
      ['metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead'],
    ],
  ])('%s', (_what, manifest, warnings) => {
    expect(Pod.strategy.warnings!(created(Pod, manifest), undefined)).toEqual(warnings)
  })
})
