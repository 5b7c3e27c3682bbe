import { describe, expect, test } from 'vitest'
import { containerConfig, type RuntimeHarness, sandboxConfig } from '../contract/harness.ts'
import type { ContainerConfig, SandboxConfig } from '../runtime.ts'
import { containerBody, type Inspected, resolvConfText, resourcesBody, sandboxBody, sandboxFrom, statusFrom } from './convert.ts'
import { containerMeta, dockerName, labelsOf, metaOf, sandboxMeta } from './marks.ts'

const h = { logRoot: '/logs', cgroupRoot: '/c/kubepods', image: 'web:1' } as RuntimeHarness
const sandbox = (overrides: Partial<SandboxConfig> = {}): SandboxConfig => sandboxConfig(h, { podUid: 'u1', ...overrides })
const facts = { image: 'pause:1', labels: {}, cgroupParent: '/c/pod', oomScore: (n: number) => n }

function body(
  overrides: Partial<ContainerConfig>,
  pod: Partial<SandboxConfig> = {},
): Record<string, unknown> & { HostConfig: Record<string, unknown> } {
  const config = { ...containerConfig(h, 'main', ['run'], 'sha256:1'), ...overrides }
  const all = { ...facts, sandboxId: 's1', sandbox: sandbox(pod), resolvConf: '/d/resolv.conf', seccompProfile: undefined }
  return containerBody(config, all) as Record<string, unknown> & { HostConfig: Record<string, unknown> }
}

describe('a sandbox in Docker', () => {
  test('has no Docker network: CNI makes it', () => {
    expect(sandboxBody(sandbox(), facts)).toMatchObject({
      NetworkDisabled: true,
      Hostname: 'pod',
      HostConfig: { NetworkMode: 'none', IpcMode: 'shareable' },
    })
  })

  test('on the node’s network, IPC and process table it uses those', () => {
    expect(sandboxBody(sandbox({ network: 'node', ipc: 'node', pid: 'node' }), facts)).toMatchObject({
      NetworkDisabled: false,
      Hostname: '',
      HostConfig: { NetworkMode: 'host', IpcMode: 'host', PidMode: 'host' },
    })
  })

  test('that runs but was never attached to its network is not ready', () => {
    const meta = sandboxMeta(sandbox(), 1)
    expect(sandboxFrom('s1', 'running', meta, []).state).toBe('notready')
    expect(sandboxFrom('s1', 'running', meta, ['10.0.0.2']).state).toBe('ready')
    expect(sandboxFrom('s1', 'exited', meta, ['10.0.0.2'])).toMatchObject({ state: 'notready', ips: [] })
    expect(sandboxFrom('s1', 'running', sandboxMeta(sandbox({ network: 'node' }), 1), []).state).toBe('ready')
  })
})

describe('a container in Docker', () => {
  test.each([
    [
      { command: ['a'], args: ['b'] },
      { Entrypoint: ['a'], Cmd: ['b'] },
    ],
    [{ command: [], args: ['b'] }, { Cmd: ['b'] }],
    [
      { command: ['a'], args: [] },
      { Entrypoint: ['a'], Cmd: [] },
    ],
    [{ command: [], args: [] }, {}],
  ])('%j overrides the image’s own by %j', (config, expected) => {
    const { Entrypoint, Cmd } = body(config)
    expect(JSON.parse(JSON.stringify({ Entrypoint, Cmd }))).toEqual(expected)
  })

  test('joins the sandbox’s namespaces, and its process table when the pod shares it', () => {
    expect(body({}).HostConfig).toMatchObject({ NetworkMode: 'container:s1', IpcMode: 'container:s1', PidMode: '' })
    expect(body({}, { pid: 'pod' }).HostConfig).toMatchObject({ PidMode: 'container:s1' })
    expect(body({ processesOf: 'c9' }, { pid: 'pod' }).HostConfig).toMatchObject({ PidMode: 'container:c9', NetworkMode: 'container:s1' })
    expect(body({}, { pid: 'node', ipc: 'node' }).HostConfig).toMatchObject({ PidMode: 'host', IpcMode: 'host' })
  })

  test('gets the pod’s resolv.conf unless something of its own is mounted there', () => {
    const targets = (b: ReturnType<typeof body>): unknown[] => (b.HostConfig['Mounts'] as { Target: string }[]).map((m) => m.Target)
    expect(targets(body({}))).toEqual(['/etc/resolv.conf'])
    const own = { hostPath: '/mine', containerPath: '/etc/resolv.conf', readOnly: true, propagation: 'private' as const }
    expect(body({ mounts: [own] }).HostConfig['Mounts']).toEqual([
      { Type: 'bind', Source: '/mine', Target: '/etc/resolv.conf', ReadOnly: true, BindOptions: { Propagation: 'rprivate' } },
    ])
  })

  test('security is passed on as Docker spells it; a privileged one has nothing masked', () => {
    const base = containerConfig(h, 'main', [], '').security
    const asked = body({
      security: { ...base, runAsUser: 5, runAsGroup: 6, noNewPrivileges: true, supplementalGroups: [7], selinux: { level: 's0' } },
    })
    expect(asked['User']).toBe('5:6')
    expect(asked.HostConfig).toMatchObject({ GroupAdd: ['7'], SecurityOpt: ['seccomp=unconfined', 'no-new-privileges', 'label=level:s0'] })
    expect(asked.HostConfig['MaskedPaths']).toEqual(base.maskedPaths)
    expect(body({ security: { ...base, privileged: true } }).HostConfig).not.toHaveProperty('MaskedPaths')
  })

  test('swap is bounded by the memory limit, and what is not asked for is not sent', () => {
    expect(resourcesBody({ memoryLimitBytes: 10 })).toEqual({ Memory: 10, MemorySwap: 10 })
  })

  test('what was meant is read back from its labels', () => {
    const meta = containerMeta('s1', containerConfig(h, 'main', [], 'sha256:1'), sandbox(), 5)
    const labels = labelsOf('c', meta)
    expect(metaOf(labels)).toEqual(meta)
    expect(labels).toMatchObject({ 'navarch.dev/cluster': 'c', 'navarch.dev/sandbox': 's1', 'io.kubernetes.pod.uid': 'u1' })
    expect(dockerName(meta)).toBe('k8s_main_pod_default_u1_0')
    expect(metaOf({ other: 'x' })).toBeUndefined()
  })
})

describe('the status of a container', () => {
  const meta = containerMeta('s1', containerConfig(h, 'main', [], 'sha256:1'), sandbox(), Date.UTC(2026, 0, 1))
  const never = '0001-01-01T00:00:00Z'
  const inspected = (state: Partial<Inspected['State']>): Inspected => ({
    Id: 'c1',
    Image: 'sha256:1',
    State: {
      Status: 'exited',
      Running: false,
      OOMKilled: false,
      Pid: 0,
      ExitCode: 0,
      Error: '',
      StartedAt: '2026-01-01T00:00:01.5Z',
      FinishedAt: '2026-01-01T00:00:02Z',
      ...state,
    },
    Config: { Tty: false, OpenStdin: false },
    HostConfig: {},
  })
  test.each([
    ['exited with 0', { ExitCode: 0 }, { state: 'exited', reason: 'Completed', exitCode: 0 }],
    ['exited with 3', { ExitCode: 3 }, { state: 'exited', reason: 'Error', exitCode: 3 }],
    ['killed for memory', { ExitCode: 137, OOMKilled: true }, { state: 'exited', reason: 'OOMKilled', exitCode: 137 }],
    ['running', { Status: 'running', Running: true, Pid: 9, FinishedAt: never }, { state: 'running', reason: '', finishedAt: 0, pid: 9 }],
    ['created', { Status: 'created', StartedAt: never, FinishedAt: never }, { state: 'created', startedAt: 0, finishedAt: 0, reason: '' }],
    [
      'created but failed to start',
      { Status: 'created', ExitCode: 127, Error: 'no such file', StartedAt: never, FinishedAt: never },
      { state: 'exited', reason: 'ContainerCannotRun', exitCode: 127, message: 'no such file', finishedAt: meta.createdAt },
    ],
  ])('%s', (_name, state, expected) => {
    expect(statusFrom(inspected(state), meta, 'sha256:1')).toMatchObject(expected)
  })
})

test('resolv.conf has one line per server and leaves out what is empty', () => {
  expect(resolvConfText({ servers: ['10.0.0.1', '10.0.0.2'], searches: [], options: ['ndots:5', 'timeout:1'] })).toBe(
    'nameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5 timeout:1\n',
  )
})
