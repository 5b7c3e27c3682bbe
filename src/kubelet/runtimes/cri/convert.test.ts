import { describe, expect, test } from 'vitest'
import { containerConfig, type RuntimeHarness, sandboxConfig } from '../contract/harness.ts'
import { containerMessage, resourcesFrom, sandboxFrom, sandboxMessage, statsFrom, statusFrom } from './convert.ts'
import { netnsFrom, networkNameFrom } from './engine-facts.ts'
import { compareWorlds } from './events.ts'
import type { ContainerItem, PodSandboxItem } from './messages.ts'
import { exitCodeFrom } from './streams.ts'

const h = { logRoot: '/logs', cgroupRoot: '/c/kubepods', image: 'web:1' } as RuntimeHarness
const facts = { cluster: 'c', cgroupParent: '/c/pod', portMappings: false }

describe('messages', () => {
  test('a sandbox comes back as it was meant, without our marks', () => {
    const config = sandboxConfig(h, { podUid: 'u1', attempt: 2 })
    const { metadata, labels, annotations } = sandboxMessage(config, facts) as PodSandboxItem
    const sandbox = sandboxFrom({ id: 's1', metadata, labels, annotations, state: 0, createdAt: 1_700_000_000_000_000_000 }, ['10.0.0.2'])
    const { podUid, podName, podNamespace, attempt } = config
    expect(sandbox).toEqual({
      id: 's1',
      podUid,
      podName,
      podNamespace,
      attempt,
      state: 'ready',
      createdAt: 1_700_000_000_000,
      ips: ['10.0.0.2'],
      labels: config.labels,
      annotations: config.annotations,
    })
    expect(labels['navarch.dev/cluster']).toBe('c')
  })

  test('host ports are the engine’s business only when the network is', () => {
    const config = sandboxConfig(h, { hostPorts: [{ protocol: 'UDP', containerPort: 53, hostPort: 5353 }] })
    expect(sandboxMessage(config, facts)).toMatchObject({ portMappings: [] })
    expect(sandboxMessage(config, { ...facts, portMappings: true })).toMatchObject({
      portMappings: [{ protocol: 1, containerPort: 53, hostPort: 5353, hostIp: '' }],
    })
  })

  test('a container comes back with the image that the user wrote', () => {
    const sandbox = sandboxConfig(h, { podUid: 'u1' })
    const config = { ...containerConfig(h, 'main', ['x'], 'sha256:1'), stopSignal: 'SIGUSR1', env: [{ name: 'A', value: 'ü' }] }
    const message = containerMessage(config, sandbox, 'c') as ContainerItem & { stopSignal: number; envs: unknown }
    expect(message).toMatchObject({
      image: { image: 'sha256:1', userSpecifiedImage: 'web:1' },
      stopSignal: 29,
      envs: [{ key: 'A', value: Buffer.from('ü') }],
    })
    const { metadata, labels, annotations } = message
    const status = statusFrom(
      {
        id: 'c1',
        metadata,
        labels,
        annotations,
        image: { image: 'sha256:1' },
        imageRef: 'web@sha256:2',
        state: 2,
        createdAt: 1e15,
        startedAt: 2e15,
        finishedAt: 3e15,
        exitCode: 4,
        reason: 'Error',
        message: '',
        logPath: '/logs/x',
        resources: null,
      },
      's1',
      undefined,
    )
    expect(status).toMatchObject({
      podUid: 'u1',
      image: 'web:1',
      imageRef: 'sha256:1',
      imageId: 'web@sha256:2',
      state: 'exited',
      exitCode: 4,
      startedAt: 2e9,
      labels: config.labels,
      annotations: config.annotations,
    })
  })

  test('a user name and a user number exclude each other; what nobody set is absent', () => {
    const base = containerConfig(h, 'main', [], 'i')
    const of = (security: object) =>
      (
        containerMessage({ ...base, security: { ...base.security, ...security } }, sandboxConfig(h), 'c') as {
          linux: { securityContext: object }
        }
      ).linux.securityContext
    expect(of({ runAsUser: 0 })).toMatchObject({ runAsUser: { value: 0 }, runAsUsername: '' })
    expect(of({ runAsUser: 5, runAsUsername: 'web' })).not.toHaveProperty('runAsUser')
    expect(of({})).not.toHaveProperty('runAsGroup')
    expect(of({ seccomp: { type: 'Localhost', path: '/p.json' } })).toMatchObject({ seccomp: { profileType: 2, localhostRef: '/p.json' } })
  })

  test('statistics of containers that are none of ours are left out', () => {
    const cpu = { timestamp: 1e15, usageCoreNanoSeconds: { value: 7 } }
    expect(
      statsFrom({ attributes: { id: 'c', metadata: { name: 'x' }, annotations: {} }, cpu, memory: null, writableLayer: null }),
    ).toBeUndefined()
  })

  test('resources that the engine does not set are not reported', () => {
    const zeros = { cpuPeriod: 0, cpuQuota: 0, oomScoreAdj: 0, cpusetCpus: '', cpusetMems: '', memorySwapLimitInBytes: 0 }
    expect(resourcesFrom({ ...zeros, cpuShares: 2, memoryLimitInBytes: 100 })).toEqual({ cpuShares: 2, memoryLimitBytes: 100 })
  })
})

describe('what an engine says in passing', () => {
  test('the name of its pod network, whoever wrote it', () => {
    const info = { cniconfig: JSON.stringify({ Networks: [{ Config: { Name: 'cni-loopback' } }, { Config: { Name: 'navarch-c' } }] }) }
    expect(networkNameFrom(info)).toBe('navarch-c')
    expect(networkNameFrom({})).toBeUndefined()
    expect(networkNameFrom({ cniconfig: 'not JSON' })).toBeUndefined()
  })

  test('the network namespace of a sandbox', () => {
    const info = {
      info: JSON.stringify({ runtimeSpec: { linux: { namespaces: [{ type: 'pid' }, { type: 'network', path: '/run/netns/x' }] } } }),
    }
    expect(netnsFrom(info)).toBe('/run/netns/x')
    expect(netnsFrom({})).toBeUndefined()
  })

  test.each([
    ['{"metadata":{},"status":"Success"}', 0],
    ['{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}', 7],
  ])('%s is exit code %i', (text, code) => {
    expect(exitCodeFrom(text)).toBe(code)
  })
  test.each([
    ['', 'unknown'],
    ['{"status":"Failure","message":"error executing command: failed to exec: OCI runtime exec failed: no such file"}', 'startFailed'],
    ['{"status":"Failure","message":"it broke"}', 'unknown'],
  ])('%j is an error', (text, code) => {
    expect(() => exitCodeFrom(text)).toThrow(expect.objectContaining({ code }))
  })
})

test('two lists differ by what started, exited, went, and by sandboxes that changed', () => {
  const sandbox = (id: string, state: number): PodSandboxItem => ({
    id,
    state,
    metadata: { name: id, uid: `uid-${id}`, namespace: 'n', attempt: 0 },
    createdAt: 0,
    labels: {},
    annotations: {},
  })
  const container = (id: string, podSandboxId: string, state: number): ContainerItem => ({
    id,
    podSandboxId,
    state,
    metadata: { name: id, attempt: 0 },
    image: null,
    imageRef: '',
    createdAt: 0,
    labels: {},
    annotations: {},
  })
  const before = {
    sandboxes: [sandbox('a', 0), sandbox('b', 0)],
    containers: [container('1', 'a', 0), container('2', 'a', 1), container('3', 'b', 2)],
  }
  const now = {
    sandboxes: [sandbox('a', 1), sandbox('c', 0)],
    containers: [container('1', 'a', 1), container('2', 'a', 2), container('4', 'c', 0)],
  }
  expect(compareWorlds(before, now, new Map())).toEqual([
    { type: 'containerStarted', podUid: 'uid-a', containerId: '1' },
    { type: 'containerExited', podUid: 'uid-a', containerId: '2' },
    { type: 'containerRemoved', podUid: 'uid-b', containerId: '3' },
    { type: 'sandboxChanged', podUid: 'uid-a' },
    { type: 'sandboxChanged', podUid: 'uid-c' },
    { type: 'sandboxChanged', podUid: 'uid-b' },
  ])
})
