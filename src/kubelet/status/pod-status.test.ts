import { describe, expect, test } from 'vitest'
import type { ContainerState, Pod, PodSpec, PodStatus } from '#api/generated/core-v1'
import type { Sandbox } from '../runtimes/runtime.ts'
import { type TestContainer, testContainer, testEngine, testNow, testPod, testProbes, testSandbox } from '../test-support/pods.ts'
import type { WaitReason } from './container-status.ts'
import { podStatus, type StatusFacts } from './pod-status.ts'
import { statusPatch } from './status-patch.ts'

interface Case {
  readonly name: string
  readonly spec?: Partial<PodSpec>
  readonly last?: PodStatus
  readonly sandboxes?: readonly Partial<Sandbox>[]
  readonly containers?: readonly TestContainer[]
  readonly probes?: Parameters<typeof testProbes>[0]
  readonly waits?: Readonly<Record<string, WaitReason>>
  readonly facts?: Partial<StatusFacts>
  /** Phase; containers; conditions that are not True. */
  readonly status: string
}

const probe = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3, exec: { command: ['true'] } }

function stateText(state: ContainerState): string {
  if (state.running !== undefined) return 'running'
  if (state.terminated !== undefined) return `exited ${state.terminated.exitCode} ${state.terminated.reason}`
  return state.waiting === undefined ? '' : `waiting ${state.waiting.reason}`
}

function text(status: PodStatus): string {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const containers = all.map((c) => {
    const last = stateText(c.lastState)
    return `${c.name}#${c.restartCount} ${stateText(c.state)}${c.ready ? ' ready' : ''}${last === '' ? '' : ` (last ${last})`}`
  })
  const conditions = (status.conditions ?? []).filter((c) => c.status !== 'True').map((c) => `${c.type} ${c.reason ?? ''}`.trim())
  return [status.phase, status.reason, ...containers, ...conditions].filter((t) => t !== undefined).join('; ')
}

const unready = 'Ready ContainersNotReady; ContainersReady ContainersNotReady'
const failed = 'Ready PodFailed; ContainersReady PodFailed'

const cases: readonly Case[] = [
  { name: 'nothing yet', sandboxes: [], status: `Pending; app#0 waiting ContainerCreating; PodReadyToStartContainers; ${unready}` },
  { name: 'the sandbox is ready', status: `Pending; app#0 waiting ContainerCreating; ${unready}` },
  { name: 'running', containers: [{ name: 'app' }], status: 'Running; app#0 running ready' },
  {
    name: 'running, not ready',
    spec: { containers: [testContainer('app', { readinessProbe: probe })] },
    containers: [{ name: 'app' }],
    status: `Running; app#0 running; ${unready}`,
  },
  {
    name: 'running and ready by its probe, but a gate is closed',
    spec: { containers: [testContainer('app', { readinessProbe: probe })], readinessGates: [{ conditionType: 'x/y' }] },
    containers: [{ name: 'app' }],
    probes: { 'app-0': { readiness: 'success' } },
    status: 'Running; app#0 running ready; Ready ReadinessGatesNotReady',
  },
  {
    name: 'one of two never started',
    spec: { containers: [testContainer('a'), testContainer('b')] },
    containers: [{ name: 'a' }],
    waits: { b: { reason: 'ErrImagePull', message: 'no' } },
    status: `Pending; a#0 running ready; b#0 waiting ErrImagePull; ${unready}`,
  },
  {
    name: 'in a crash loop',
    containers: [{ name: 'app', state: 'exited', exitCode: 1, restartCount: 2 }],
    waits: { app: { reason: 'CrashLoopBackOff', message: 'back-off' } },
    status: `Running; app#2 waiting CrashLoopBackOff (last exited 1 Error); ${unready}`,
  },
  {
    name: 'restarted',
    containers: [
      { name: 'app', state: 'exited', exitCode: 1, createdAt: testNow - 90_000 },
      { name: 'app', restartCount: 1 },
    ],
    status: 'Running; app#1 running ready (last exited 1 Error)',
  },
  {
    name: 'succeeded',
    spec: { restartPolicy: 'Never' },
    sandboxes: [{ state: 'notready', ips: [] }],
    containers: [{ name: 'app', state: 'exited' }],
    facts: { over: true, ending: true },
    status: 'Succeeded; app#0 exited 0 Completed; PodReadyToStartContainers; Ready PodCompleted; ContainersReady PodCompleted',
  },
  {
    name: 'failed',
    spec: { restartPolicy: 'Never' },
    sandboxes: [{ state: 'notready', ips: [] }],
    containers: [{ name: 'app', state: 'exited', exitCode: 2 }],
    facts: { over: true, ending: true },
    status: `Failed; app#0 exited 2 Error; PodReadyToStartContainers; ${failed}`,
  },
  {
    name: 'a final phase stays, with its reason',
    last: { phase: 'Failed', reason: 'Evicted', message: 'no room' },
    sandboxes: [],
    facts: { over: true, ending: true },
    status: `Failed; Evicted; app#0 waiting ContainerCreating; PodReadyToStartContainers; ${failed}`,
  },
  {
    name: 'an end from outside',
    containers: [{ name: 'app', state: 'exited', exitCode: 137 }],
    facts: { over: true, ending: true, end: { phase: 'Failed', reason: 'DeadlineExceeded', message: 'late' } },
    status: `Failed; DeadlineExceeded; app#0 exited 137 Error; ${failed}`,
  },
  {
    name: 'the first init container runs',
    spec: { initContainers: [testContainer('one'), testContainer('two')] },
    containers: [{ name: 'one' }],
    status: `Pending; one#0 running; two#0 waiting PodInitializing; app#0 waiting PodInitializing; Initialized ContainersNotInitialized; ${unready}`,
  },
  {
    name: 'init containers are done',
    spec: { initContainers: [testContainer('one')] },
    containers: [{ name: 'one', state: 'exited' }, { name: 'app' }],
    status: 'Running; one#0 exited 0 Completed ready; app#0 running ready',
  },
  {
    name: 'policy Never: an init container failed',
    spec: { restartPolicy: 'Never', initContainers: [testContainer('one')] },
    containers: [{ name: 'one', state: 'exited', exitCode: 1 }],
    facts: { over: true, ending: true },
    status: `Failed; one#0 exited 1 Error; app#0 waiting PodInitializing; Initialized ContainersNotInitialized; ${failed}`,
  },
  {
    name: 'a sidecar runs beside',
    spec: { initContainers: [testContainer('proxy', { restartPolicy: 'Always' })] },
    containers: [{ name: 'proxy' }, { name: 'app' }],
    status: 'Running; proxy#0 running ready; app#0 running ready',
  },
  {
    name: 'the engine has lost a container that ran',
    last: {
      containerStatuses: [
        {
          name: 'app',
          containerID: 'fake://x',
          restartCount: 1,
          image: '',
          imageID: '',
          ready: true,
          state: { running: {} },
          lastState: {},
        },
      ],
    },
    status: `Running; app#2 waiting ContainerCreating (last exited 137 ContainerStatusUnknown); ${unready}`,
  },
]

function statusOf({ spec, last = {}, sandboxes = [{}], containers = [], probes, waits = {}, facts }: Case): PodStatus {
  const pod: Pod = testPod(spec)
  const engine = testEngine(
    pod,
    sandboxes.map((s) => testSandbox(pod, s)),
    containers,
  )
  return podStatus({
    pod,
    engine,
    probes: testProbes(probes),
    lastStatus: last,
    waitReasons: new Map(Object.entries(waits)),
    starting: new Set(),
    messageOf: () => undefined,
    runtimeName: 'fake',
    ending: false,
    over: false,
    nodeIps: ['192.0.2.1'],
    now: testNow,
    end: undefined,
    ...facts,
  })
}

describe('podStatus', () => {
  test.each(cases)('$name', (given) => {
    expect(text(statusOf(given))).toBe(given.status)
  })

  test('conditions keep the time of their last change; the address outlives the sandbox', () => {
    const first = statusOf({ name: '', status: '', containers: [{ name: 'app' }] })
    const later = statusOf({
      name: '',
      status: '',
      last: first,
      sandboxes: [{ state: 'notready', ips: [] }],
      containers: [{ name: 'app', state: 'exited' }],
      facts: { now: testNow + 60_000, ending: true },
    })
    const time = (status: PodStatus, type: string) => status.conditions?.find((c) => c.type === type)?.lastTransitionTime
    expect(time(later, 'Initialized')).toBe(time(first, 'Initialized'))
    expect(time(later, 'Ready')).toBe('2026-01-01T12:01:00Z')
    expect(later.podIP).toBe('10.244.0.5')
    expect(later.startTime).toBe(first.startTime)
  })
})

describe('statusPatch', () => {
  test('nothing changed: no patch', () => {
    const status = statusOf({ name: '', status: '', containers: [{ name: 'app' }] })
    expect(statusPatch(status, structuredClone(status))).toBeUndefined()
  })

  test('only what changed; addresses as a whole, conditions one by one, what is gone as null', () => {
    const from: PodStatus = {
      phase: 'Running',
      reason: 'x',
      podIPs: [{ ip: '1' }],
      conditions: [
        { type: 'A', status: 'True' },
        { type: 'B', status: 'True' },
      ],
    }
    const to: PodStatus = {
      phase: 'Running',
      podIPs: [{ ip: '2' }],
      conditions: [
        { type: 'A', status: 'True' },
        { type: 'B', status: 'False' },
      ],
    }
    expect(statusPatch(from, to)).toEqual({
      reason: null,
      podIPs: [{ $patch: 'replace' }, { ip: '2' }],
      conditions: [{ type: 'B', status: 'False' }],
    })
  })
})
