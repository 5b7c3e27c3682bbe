// Pods, sandboxes and containers for tests: short to write, complete enough to be real.
import type { Container, Pod, PodSpec, PodStatus } from '#api/generated/core-v1'
import type { Manifest } from '#api/object'
import { newestFirst, type PodEngineState } from '../engine-state.ts'
import { containerAnnotations, containerHash, containerLabels } from '../marks.ts'
import type { ProbeOutcome, ProbeOutcomes } from '../plan-pod.ts'
import type { ContainerStatus, Sandbox } from '../runtimes/runtime.ts'

export const testNow = Date.UTC(2026, 0, 1, 12)

export function testContainer(name: string, more: Manifest<Container> = {}): Container {
  return {
    name,
    image: 'navarch.local/app:1',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    ...(more as Partial<Container>),
  }
}

export function testPod(
  spec: Partial<PodSpec> = {},
  more: { name?: string; uid?: string; namespace?: string; status?: PodStatus } = {},
): Pod {
  const name = more.name ?? 'web'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: more.namespace ?? 'default',
      uid: more.uid ?? `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T11:00:00Z',
    },
    spec: {
      containers: [testContainer('app')],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
      nodeName: 'node-1',
      ...spec,
    },
    status: more.status ?? { phase: 'Pending', qosClass: 'BestEffort' },
  }
}

export function testSandbox(pod: Pod, more: Partial<Sandbox> = {}): Sandbox {
  return {
    id: 'sandbox-0',
    podUid: pod.metadata.uid,
    podName: pod.metadata.name,
    podNamespace: pod.metadata.namespace ?? '',
    attempt: 0,
    state: 'ready',
    createdAt: testNow - 60_000,
    ips: ['10.244.0.5'],
    labels: {},
    annotations: {},
    ...more,
  }
}

export interface TestContainer extends Partial<ContainerStatus> {
  readonly name: string
  readonly restartCount?: number
  readonly backoffMs?: number
  readonly hash?: string
}

export function testEngineContainer(pod: Pod, more: TestContainer): ContainerStatus {
  const { restartCount = 0, backoffMs = 0, hash, ...rest } = more
  const spec = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((c) => c.name === more.name) ?? testContainer(more.name)
  const marks = { hash: hash ?? containerHash(spec), restartCount, backoffMs, messagePath: '', messagePolicy: 'File', messageFile: '' }
  return {
    id: `${more.name}-${restartCount}`,
    sandboxId: 'sandbox-0',
    podUid: pod.metadata.uid,
    podName: pod.metadata.name,
    podNamespace: pod.metadata.namespace ?? '',
    attempt: restartCount,
    state: 'running',
    createdAt: testNow - 50_000,
    startedAt: testNow - 50_000,
    finishedAt: rest.state === 'exited' ? testNow - 5_000 : 0,
    exitCode: 0,
    reason: rest.state === 'exited' ? ((rest.exitCode ?? 0) === 0 ? 'Completed' : 'Error') : '',
    message: '',
    image: spec.image,
    imageRef: 'sha256:1',
    imageId: 'navarch.local/app@sha256:1',
    logPath: `/logs/${more.name}/${restartCount}.log`,
    labels: containerLabels(pod, more.name),
    annotations: containerAnnotations(pod, marks),
    ...rest,
  }
}

export function testEngine(pod: Pod, sandboxes: readonly Sandbox[], containers: readonly TestContainer[]): PodEngineState {
  return {
    uid: pod.metadata.uid,
    name: pod.metadata.name,
    namespace: pod.metadata.namespace ?? '',
    sandboxes: newestFirst(sandboxes),
    containers: newestFirst(containers.map((c) => testEngineContainer(pod, c))),
  }
}

/** Outcomes by container id and kind; all others have not run. */
export function testProbes(
  outcomes: Readonly<Record<string, Partial<Record<'liveness' | 'readiness' | 'startup', ProbeOutcome>>>> = {},
): ProbeOutcomes {
  return {
    liveness: (id) => outcomes[id]?.liveness,
    readiness: (id) => outcomes[id]?.readiness,
    startup: (id) => outcomes[id]?.startup,
  }
}
