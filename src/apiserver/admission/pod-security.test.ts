import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Container, PodSpec } from '#api/generated/core-v1'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'
import { type Level, violations, violationText } from './pod-security-checks.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

async function namespace(labels: Record<string, string>): Promise<void> {
  await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns', labels } } })
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
  await api.ok('POST', '/api/v1/namespaces/ns/serviceaccounts', { body: account })
}

const create = (spec: object, container: object = {}): Promise<Answer> =>
  api.call('POST', '/api/v1/namespaces/ns/pods', {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a', image: 'i', ...container }], ...spec },
    },
  })

const enforce = 'pod-security.kubernetes.io/enforce'

test.each([
  ['host namespaces (hostNetwork=true, hostPID=true)', { hostNetwork: true, hostPID: true }, {}],
  ['privileged (container "a" must not set securityContext.privileged=true)', {}, { securityContext: { privileged: true } }],
  [
    'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    {},
    { securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } },
  ],
  ['hostPath volumes (volume "v")', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, {}],
  ['hostPort (container "a" uses hostPort 80)', {}, { ports: [{ containerPort: 80, hostPort: 80 }] }],
  [
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    {},
  ],
  ['forbidden sysctls (kernel.msgmax)', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, {}],
])('baseline refuses %s', async (text, spec, container) => {
  await namespace({ [enforce]: 'baseline' })
  const { status, json } = await create(spec, container)
  expect([status, json.message]).toEqual([403, `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${text}`])
})

test('restricted asks for what a careful pod says', async () => {
  await namespace({ [enforce]: 'restricted', [`${enforce}-version`]: 'v1.36' })
  const { json } = await create({})
  expect(json.message).toBe(
    'pods "p" is forbidden: violates PodSecurity "restricted:v1.36": allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  )
  const careful = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
  const pod = { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } }
  expect((await create(pod, { securityContext: careful })).status).toBe(201)
})

test('MUSTHOLD 9: ephemeral containers are judged like the others', async () => {
  await namespace({ [enforce]: 'baseline' })
  await create({})
  const { status, json } = await api.call('PATCH', '/api/v1/namespaces/ns/pods/p/ephemeralcontainers', {
    body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'i', securityContext: { privileged: true } }] } },
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
  })
  expect([status, json.message]).toEqual([
    403,
    'pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged (container "debug" must not set securityContext.privileged=true)',
  ])
})

test('what is warned of comes as a warning, for templates too', async () => {
  await namespace({ 'pod-security.kubernetes.io/warn': 'baseline' })
  const { status, warnings } = await create({ hostNetwork: true })
  expect([status, warnings]).toEqual([201, ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']])
  const template = { metadata: { labels: { a: 'b' } }, spec: { hostPID: true, containers: [{ name: 'a', image: 'i' }] } }
  const deployment = await api.ok('POST', '/apis/apps/v1/namespaces/ns/deployments', {
    body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } },
  })
  expect(deployment.warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'])
})

test('a namespace without labels allows everything', async () => {
  await namespace({})
  expect((await create({ hostNetwork: true }, { securityContext: { privileged: true } })).status).toBe(201)
})

const prefix = 'pod-security.kubernetes.io/'

describe('labels', () => {
  test('that make no sense are refused when they are set, and only then', async () => {
    const labels = { [`${prefix}enforce`]: 'strict', [`${prefix}warn-version`]: '1.30' }
    const refused = await api.call('POST', '/api/v1/namespaces', {
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns', labels } },
    })
    expect(refused.json).toMatchObject({
      code: 422,
      message:
        'Namespace "ns" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.30": must be "latest" or "v1.x"]',
    })
  })

  test('that enforce warn as well, of what workloads would make', async () => {
    await namespace({ [enforce]: 'baseline', [`${enforce}-version`]: 'v1.20' })
    const template = { metadata: { labels: { a: 'b' } }, spec: { hostPID: true, containers: [{ name: 'a', image: 'i' }] } }
    const spec = { selector: { matchLabels: { a: 'b' } }, template }
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec }
    const { warnings } = await api.ok('POST', '/apis/apps/v1/namespaces/ns/deployments', { body })
    expect(warnings).toEqual(['would violate PodSecurity "baseline:v1.20": host namespaces (hostPID=true)'])
  })

  test('that become stricter tell of the pods that stand there', async () => {
    await namespace({})
    for (const [name, spec] of [
      ['b', { hostNetwork: true }],
      ['a', { hostNetwork: true }],
      ['c', { hostPID: true, securityContext: { runAsUser: 0 } }],
      ['d', {}],
    ] as const) {
      const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'x', image: 'i' }], ...spec } }
      await api.ok('POST', '/api/v1/namespaces/ns/pods', { body })
    }
    const label = (level: string) =>
      api.ok('PATCH', '/api/v1/namespaces/ns', {
        headers: { 'content-type': 'application/merge-patch+json' },
        body: { metadata: { labels: { [enforce]: level } } },
      })
    const restricted = 'allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true'
    expect((await label('restricted')).warnings).toEqual([
      'existing pods in namespace "ns" violate the new PodSecurity enforce level "restricted:latest"',
      `a (and 1 other pod): host namespaces, ${restricted}, seccompProfile`,
      `c: host namespaces, ${restricted}, runAsUser=0, seccompProfile`,
      `d: ${restricted}, seccompProfile`,
    ])
    expect((await label('baseline')).warnings).toEqual([])
  })
})

describe('the standards', () => {
  const container = (more: object = {}): Container => ({ name: 'a', image: 'i', ...more }) as Container
  const context = (securityContext: object): Container => container({ securityContext })
  type Spec = Partial<PodSpec> & { containers?: Container[] }
  const found = (level: Level, minor: number, spec: Spec, annotations: Record<string, string> = {}): string =>
    violationText(violations(level, minor, { spec: { containers: [container()], ...spec } as PodSpec, annotations }))
  const latest = Number.POSITIVE_INFINITY
  const both = [context({ privileged: true }), { ...context({ privileged: true }), name: 'b' }]

  test.each<[string, string, Spec, Record<string, string>?]>([
    [
      'AppArmor, by field and by annotation',
      'forbidden AppArmor profiles (pod and container "a" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/a="unconfined"")',
      { securityContext: { appArmorProfile: { type: 'Unconfined' } }, containers: [context({ appArmorProfile: { type: 'Unconfined' } })] },
      { 'container.apparmor.security.beta.kubernetes.io/a': 'unconfined' },
    ],
    ['several containers', 'privileged (containers "a", "b" must not set securityContext.privileged=true)', { containers: both }],
    [
      'ports, as texts',
      'hostPort (container "a" uses hostPorts 100, 80)',
      {
        containers: [
          container({
            ports: [
              { containerPort: 1, hostPort: 80 },
              { containerPort: 2, hostPort: 100 },
            ],
          }),
        ],
      },
    ],
    [
      'hosts of probes and handlers',
      'probe or lifecycle host (container "a" uses probe or lifecycle hosts "10.0.0.1", "example.com")',
      {
        containers: [
          container({
            livenessProbe: { httpGet: { host: '10.0.0.1', port: 1 } },
            lifecycle: { preStop: { tcpSocket: { host: 'example.com', port: 1 } } },
          }),
        ],
      },
    ],
    [
      'SELinux',
      'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: types "x", "y"; user may not be set; role may not be set)',
      {
        securityContext: { seLinuxOptions: { type: 'x', user: 'u' } },
        containers: [context({ seLinuxOptions: { type: 'y', role: 'r' } })],
      },
    ],
    [
      'Windows host processes',
      'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
      { securityContext: { windowsOptions: { hostProcess: true } }, containers: [context({ windowsOptions: { hostProcess: true } })] },
    ],
    [
      'the order of all',
      'host namespaces (hostNetwork=true), hostPath volumes (volumes "v", "w")',
      {
        hostNetwork: true,
        volumes: [
          { name: 'v', hostPath: { path: '/' } },
          { name: 'w', hostPath: { path: '/' } },
        ],
      },
    ],
  ])('of baseline forbid %s', (_, text, spec, annotations) => {
    expect(found('baseline', latest, spec, annotations)).toBe(text)
  })

  const fine = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
  test.each<[string, string, Spec]>([
    [
      'volumes in place of host paths',
      'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
      {
        volumes: [
          { name: 'v', hostPath: { path: '/' } },
          { name: 'w', nfs: { server: 's', path: '/' } },
        ],
        containers: [context(fine)],
      },
    ],
    [
      'capabilities beyond one',
      'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; container "a" must not include "CHOWN" in securityContext.capabilities.add)',
      { containers: [context({ ...fine, capabilities: { add: ['CHOWN', 'NET_BIND_SERVICE'], drop: ['KILL'] } })] },
    ],
    [
      'root, said by pod and container',
      'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false), runAsUser=0 (pod must not set runAsUser=0)',
      { securityContext: { runAsNonRoot: false, runAsUser: 0 }, containers: [context({ ...fine, runAsNonRoot: false })] },
    ],
    [
      'a pod that says so, although its containers do better',
      'runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)',
      { securityContext: { runAsNonRoot: false }, containers: [context(fine)] },
    ],
    [
      'nothing of root with users of its own',
      '',
      { hostUsers: false, securityContext: { runAsUser: 0 }, containers: [context({ ...fine, runAsNonRoot: false })] },
    ],
    [
      'unmasked /proc, with users of its own too',
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
      {
        hostUsers: false,
        containers: [context({ ...fine, procMount: 'Unmasked' })],
      },
    ],
    ['nothing that Windows does not know', '', { os: { name: 'windows' }, containers: [context({ runAsNonRoot: true })] }],
  ])('of restricted forbid %s', (_, text, spec) => {
    expect(found('restricted', latest, spec)).toBe(text)
  })

  test.each<[string, Level, number, Spec, string]>([
    ['hosts of probes', 'baseline', 33, { containers: [container({ livenessProbe: { httpGet: { host: 'h', port: 1 } } })] }, ''],
    [
      'a type of SELinux',
      'baseline',
      30,
      { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } },
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
    ],
    [
      'a sysctl',
      'baseline',
      28,
      { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } },
      'forbidden sysctls (net.ipv4.tcp_rmem)',
    ],
    ['seccomp by field', 'baseline', 18, { securityContext: { seccompProfile: { type: 'Unconfined' } } }, ''],
    [
      'capabilities',
      'restricted',
      21,
      {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [context({ allowPrivilegeEscalation: false })],
      },
      '',
    ],
    [
      'Windows',
      'restricted',
      24,
      { os: { name: 'windows' }, containers: [context({ ...fine, allowPrivilegeEscalation: undefined })] },
      'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)',
    ],
    [
      'unmasked /proc with users of its own',
      'baseline',
      34,
      { hostUsers: false, containers: [context({ procMount: 'Unmasked' })] },
      'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
    ],
  ])('knew otherwise in older versions: %s', (_, level, minor, spec, text) => {
    expect(found(level, minor, spec)).toBe(text)
  })

  test('before fields looked at annotations for seccomp', () => {
    const key = 'container.seccomp.security.alpha.kubernetes.io/a'
    expect(found('baseline', 18, {}, { [key]: 'unconfined' })).toBe(`seccompProfile (forbidden annotation ${key}="unconfined")`)
  })
})
