import { describe, expect, test } from 'vitest'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, defaulted, testContext, updateErrors } from '../testing.ts'
import { Pod } from './pod.ts'

type PodSpecManifest = Manifest<coreV1.PodSpec>
type ContainerManifest = Manifest<coreV1.Container>
type StatusManifest = Manifest<coreV1.PodStatus>

const web: ContainerManifest = { name: 'web', image: 'navarch.local/web:v1' }

function pod(spec: PodSpecManifest, metadata: Manifest<coreV1.Pod['metadata']> = {}): Manifest<Pod> {
  return { metadata, spec: { containers: [web], ...spec } }
}

function withContainer(container: ContainerManifest, spec: PodSpecManifest = {}): Manifest<Pod> {
  return pod({ containers: [{ ...web, ...container }], ...spec })
}

describe('new pods', () => {
  test.each<[string, Manifest<Pod>, string[]]>([
    [
      'a resize of a pod that never restarts does not restart it',
      withContainer({ resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }, { restartPolicy: 'Never' }),
      [`spec.containers[0].resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when pod \`restartPolicy\` is 'Never'`],
    ],
    [
      'an init container that ends is not restarted for a resize',
      pod({ initContainers: [{ ...web, name: 'i', resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }] }),
      [
        `spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers`,
      ],
    ],
    [
      'a user namespace of the pod’s own goes with neither the host’s namespaces nor devices',
      pod({
        hostUsers: false,
        hostNetwork: true,
        hostPID: true,
        containers: [{ ...web, volumeDevices: [{ name: 'd', devicePath: '/dev/x' }] }],
        volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'c' } }],
      }),
      [
        'spec.hostNetwork: Forbidden: when `hostUsers` is false',
        'spec.HostPID: Forbidden: when `hostUsers` is false',
        'spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false',
      ],
    ],
    [
      'a whole hostname is short, and the pod’s own',
      pod({ hostnameOverride: 'a'.repeat(65), setHostnameAsFQDN: true, hostNetwork: true }),
      [
        'spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true',
        'spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true',
        'spec.hostnameOverride: Too long: may not be more than 64 bytes',
      ],
    ],
    [
      'addresses need not be in canonical form, but must be addresses',
      pod({ hostAliases: [{ ip: '2001:DB8:0:0::1' }, { ip: 'x' }], dnsConfig: { nameservers: ['1.2.3.04'] } }),
      [
        'spec.dnsConfig.nameservers[0]: Invalid value: "1.2.3.04": must not have leading 0s',
        'spec.hostAliases[1].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      'a mirror has no claims',
      pod(
        { nodeName: 'n', resourceClaims: [{ name: 'c', resourceClaimName: 'c' }] },
        { annotations: { 'kubernetes.io/config.mirror': 'x' } },
      ),
      ['[]: Forbidden: static pods do not support resource claims'],
    ],
    [
      'the pod as a whole asks for no less than its containers',
      pod({
        resources: { requests: { cpu: '1' }, limits: { cpu: '2' } },
        containers: [{ ...web, resources: { requests: { cpu: '1500m', memory: '1Gi' }, limits: { cpu: '3' } } }],
      }),
      [
        'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1500m',
        'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
      ],
    ],
    [
      'it has no claims, and none at all on Windows',
      pod({ os: { name: 'windows' }, resources: { requests: { cpu: '1' } } }),
      ['spec.resources: Forbidden: may not be set for a windows pod'],
    ],
    [
      'operators that compare are known, but off',
      pod({ tolerations: [{ key: 'k', operator: 'Gt', value: '1' } as unknown as coreV1.Toleration] }),
      ['spec.tolerations[0].operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"'],
    ],
    [
      'a key of a spread’s labels is named once',
      pod({
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'zone',
            whenUnsatisfiable: 'DoNotSchedule',
            matchLabelKeys: ['a'],
            labelSelector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'Exists' }] },
          },
        ],
      }),
      ['spec.topologySpreadConstraints[0][0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector'],
    ],
    ['a driver has a name', pod({ volumes: [{ name: 'v', csi: { driver: '' } }] }), ['spec.volumes[0].csi.driver: Required value']],
    [
      'a file of variables lies in an emptyDir',
      withContainer(
        { env: [{ name: 'A', valueFrom: { fileKeyRef: { volumeName: 'v', path: '../x', key: 'A' } } }] },
        { volumes: [{ name: 'v', secret: { secretName: 's' } }] },
      ),
      [
        `spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: "../x": must not contain '..'`,
        'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "v": referenced volume must be of type emptyDir',
      ],
    ],
    [
      'a Windows pod says nothing of users, not even no',
      pod({ os: { name: 'windows' }, hostUsers: false, securityContext: { seLinuxOptions: {}, fsGroup: 1 } }),
      [
        'spec.securityContext.seLinuxOptions: Forbidden: cannot be set for a windows pod',
        'spec.hostUsers: Forbidden: cannot be set for a windows pod',
        'spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod',
      ],
    ],
    [
      'profiles in annotations are known ones, and those of the fields',
      {
        metadata: {
          annotations: {
            'seccomp.security.alpha.kubernetes.io/pod': 'localhost/../x',
            'container.seccomp.security.alpha.kubernetes.io/web': 'odd',
          },
        },
        spec: { containers: [web], securityContext: { seccompProfile: { type: 'RuntimeDefault' } } },
      },
      [
        `metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: "../x": must not contain '..'`,
        'metadata.annotations.container.seccomp.security.alpha.kubernetes.io/web: Invalid value: "odd": must be a valid seccomp profile',
        'spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
      ],
    ],
  ])('%s', (_, manifest, expected) => {
    expect(createErrors(Pod, manifest)).toEqual(expected)
  })

  test('fields of features that are off go', () => {
    const { spec } = created(
      Pod,
      withContainer(
        { lifecycle: { stopSignal: 'SIGUSR1' } },
        {
          schedulingGroup: { podGroupName: 'g' },
          volumes: [{ name: 'v', projected: { sources: [{ clusterTrustBundle: { name: 'b', path: 'p' } }] } }],
        },
      ),
    )
    expect([spec.containers[0]!.lifecycle, spec.schedulingGroup, spec.volumes![0]!.projected!.sources]).toEqual([
      undefined,
      undefined,
      [{}],
    ])
  })

  test('an AppArmor annotation becomes a field, and is warned of', () => {
    const key = 'container.apparmor.security.beta.kubernetes.io/web'
    const warnings: string[] = []
    const object = defaulted(Pod, pod({}, { annotations: { [key]: 'localhost/p' } }))
    Pod.strategy.prepareForCreate!(object, { ...testContext(), warn: (text) => warnings.push(text) })
    expect(object.spec.containers[0]!.securityContext).toEqual({ appArmorProfile: { type: 'Localhost', localhostProfile: 'p' } })
    expect(warnings).toEqual([`metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`])
  })
})

describe('resize', () => {
  const before = withContainer(
    { resources: { requests: { cpu: '1', memory: '1Gi' } } },
    { initContainers: [{ ...web, name: 'i', resources: { requests: { cpu: '1' } } }] },
  )
  const init = (resources: coreV1.ResourceRequirements, more: ContainerManifest = {}): Manifest<Pod> =>
    withContainer({ resources: { requests: { cpu: '1', memory: '1Gi' } } }, { initContainers: [{ ...web, name: 'i', resources, ...more }] })
  test.each<[string, Manifest<Pod>, Manifest<Pod>, string[]]>([
    [
      'a memory limit may be added',
      before,
      withContainer(
        { resources: { requests: { cpu: '2', memory: '1Gi' }, limits: { memory: '2Gi' } } },
        before.spec!.initContainers === undefined ? {} : { initContainers: before.spec!.initContainers },
      ),
      [],
    ],
    ['init containers too', before, init({ requests: { cpu: '2' } }), []],
    [
      'not when a resize restarts them',
      before,
      init({ requests: { cpu: '2' } }, { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }),
      [
        `spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers`,
        'spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable',
        'spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer cannot be resized',
      ],
    ],
    [
      'containers stay',
      before,
      withContainer({}),
      [
        'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
        'spec.initContainers: Forbidden: initContainers may not be added or removed on resize',
      ],
    ],
    [
      'in their order',
      pod({ containers: [web, { ...web, name: 'b' }] }),
      pod({ containers: [{ ...web, name: 'b' }, web] }),
      [
        'spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize',
        'spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize',
      ],
    ],
    [
      'the pod as a whole may grow',
      pod({ resources: { requests: { cpu: '1' }, limits: { cpu: '2' } } }),
      pod({ resources: { requests: { cpu: '2' }, limits: { cpu: '3' } } }),
      [],
    ],
    [
      'but not lose what it has',
      pod({ resources: { requests: { cpu: '1', memory: '1Gi' } } }),
      pod({ resources: { requests: { cpu: '1' } } }),
      ['spec.resources.requests: Forbidden: pod-level resource requests cannot be removed'],
    ],
    [
      'other resources stay',
      withContainer({ resources: { requests: { cpu: '1', 'ephemeral-storage': '1Gi' } } }),
      withContainer({ resources: { requests: { cpu: '1', 'ephemeral-storage': '2Gi' } } }),
      ['spec: Forbidden: only cpu and memory resources are mutable'],
    ],
  ])('%s', (_, old, now, expected) => {
    expect(updateErrors(Pod, old, now, 'resize')).toEqual(expected)
  })
})

describe('status', () => {
  const bound = (status: StatusManifest, spec: PodSpecManifest = {}): Manifest<Pod> => ({
    ...pod({ nodeName: 'n', ...spec }),
    status: { qosClass: 'BestEffort', ...status },
  })
  const state = (containerState: Manifest<coreV1.ContainerState>): StatusManifest => ({
    containerStatuses: [{ name: 'web', restartCount: 0, ready: false, state: containerState }],
  })
  const restarting = {
    containers: [
      { ...web, restartPolicy: 'Never', restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [3] } }] },
    ],
  }
  test.each<[string, Manifest<Pod>, Manifest<Pod>, string[]]>([
    [
      'a bound pod is nominated for no other node',
      bound({}),
      bound({ nominatedNodeName: 'b' }),
      ['status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node'],
    ],
    [
      'generations count up',
      bound({}),
      bound({ observedGeneration: -1, conditions: [{ type: 'Ready', status: 'True', observedGeneration: -1 }] }),
      [
        'status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer',
        'status.observedGeneration: Invalid value: -1: must be a non-negative integer',
      ],
    ],
    [
      'a rule that does not match leaves the container finished',
      bound(state({ terminated: { exitCode: 4 } }), restarting),
      bound(state({ running: {} }), restarting),
      ['status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state'],
    ],
    ['one that does restarts it', bound(state({ terminated: { exitCode: 3 } }), restarting), bound(state({ running: {} }), restarting), []],
    [
      'addresses are of two families',
      bound({}),
      bound({ podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] }),
      ['status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than one IP for each IP family'],
    ],
    [
      'users and devices are real',
      bound({}),
      bound({
        containerStatuses: [
          {
            name: 'web',
            restartCount: 0,
            user: { linux: { uid: -1, gid: 0 } },
            allocatedResourcesStatus: [{ name: 'navarch.local/gpu', resources: [{ resourceID: 'a', health: 'Odd' }] }],
          },
        ],
      }),
      [
        'status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive',
        `status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "navarch.local/gpu": must match one of the container's resource requests`,
        'status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "Odd": supported values: "Healthy", "Unhealthy", "Unknown"',
      ],
    ],
  ])('%s', (_, old, now, expected) => {
    expect(updateErrors(Pod, old, now, 'status')).toEqual(expected)
  })
})

describe('warnings', () => {
  test.each<[string, Manifest<Pod>, string[]]>([
    [
      'a variable that builds on its namesake hides nothing',
      withContainer({
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '$(A):2' },
        ],
      }),
      [],
    ],
    [
      'ports of two containers',
      pod({
        containers: [
          { ...web, ports: [{ containerPort: 80, name: 'http' }] },
          { ...web, name: 'b', ports: [{ containerPort: 80, hostPort: 8080, name: 'http' }] },
        ],
      }),
      [
        'spec.containers[1].ports[0]: overlapping port definition with spec.containers[0].ports[0]',
        'spec.containers[1].ports[0]: duplicate port name "http" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]',
      ],
    ],
    [
      'files in each other’s way',
      pod({
        volumes: [
          {
            name: 'c',
            configMap: {
              name: 'm',
              items: [
                { key: 'a', path: 'x' },
                { key: 'b', path: 'x/y' },
              ],
            },
          },
          {
            name: 'p',
            projected: {
              sources: [{ secret: { name: 's', items: [{ key: 'a', path: 't' }] } }, { serviceAccountToken: { path: 't' } }, {}],
            },
          },
        ],
        serviceAccountName: 'sa',
      }),
      [
        'volume "c" (ConfigMap "m"): overlapping paths: "x/y" with "x"',
        'volume "p" (Projected) has no sources provided',
        'volume "p" (Projected): overlapping paths: "t" (ServiceAccountToken) with "t" (Secret "s")',
      ],
    ],
    [
      'what is there twice, and addresses in odd form',
      pod({ imagePullSecrets: [{ name: 'a' }, { name: 'a' }], hostAliases: [{ ip: '::0001' }, { ip: '::0001' }] }),
      [
        'spec.hostAliases[1].ip: duplicate ip "::0001"',
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.hostAliases[0].ip: IPv6 address "::0001" should be in RFC 5952 canonical format ("::1")',
        'spec.hostAliases[1].ip: IPv6 address "::0001" should be in RFC 5952 canonical format ("::1")',
      ],
    ],
  ])('%s', (_, manifest, expected) => {
    expect(Pod.strategy.warnings!(created(Pod, manifest), undefined)).toEqual(expected)
  })
})
