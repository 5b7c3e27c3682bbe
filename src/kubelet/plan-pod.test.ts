import { describe, expect, test } from 'vitest'
import type { Container, Pod, PodSpec } from '#api/generated/core-v1'
import { backoffText, type PodPlan, planPod } from './plan-pod.ts'
import type { Sandbox } from './runtimes/runtime.ts'
import { type TestContainer, testContainer, testEngine, testNow, testPod, testProbes, testSandbox } from './test-support/pods.ts'

interface Case {
  readonly name: string
  readonly spec?: Partial<PodSpec>
  readonly status?: Pod['status']
  readonly sandboxes?: readonly Partial<Sandbox>[]
  readonly containers?: readonly TestContainer[]
  readonly probes?: Parameters<typeof testProbes>[0]
  readonly plan: string
}

const sidecar = (name: string, more: Partial<Container> = {}): Container =>
  testContainer(name, { restartPolicy: 'Always', ...more } as never)
const probe = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3, exec: { command: ['true'] } }

// A plan in one line, so that a case reads as a sentence.
function summary(plan: PodPlan): string {
  const parts: string[] = []
  if (plan.deadlineExceeded) parts.push('deadline')
  if (plan.killAll) parts.push('kill all')
  if (plan.sandbox.do === 'create') parts.push(`sandbox ${plan.sandbox.attempt}`)
  for (const k of plan.kill) parts.push(`kill ${k.id} (${k.message})${k.graceSeconds === undefined ? '' : ` in ${k.graceSeconds}s`}`)
  for (const s of plan.start) {
    const discard = s.discard === undefined ? '' : ` discarding ${s.discard}`
    parts.push(`start ${s.container.spec.name}#${s.restartCount} backoff ${backoffText(s.backoffMs)}${discard}`)
  }
  for (const w of plan.waiting) parts.push(`wait ${w.container.spec.name} ${(w.until - testNow) / 1000}s`)
  if (plan.finished) parts.push('finished')
  return parts.join('; ') || 'nothing'
}

const cases: readonly Case[] = [
  { name: 'a new pod gets a sandbox first', sandboxes: [], plan: 'sandbox 0' },
  { name: 'with its sandbox ready the container starts', plan: 'start app#0 backoff 0s' },
  { name: 'a running container is left alone', containers: [{ name: 'app' }], plan: 'nothing' },
  {
    name: 'the first exit is followed by a restart at once',
    containers: [{ name: 'app', state: 'exited', exitCode: 1 }],
    plan: 'start app#1 backoff 10s',
  },
  {
    name: 'the second exit waits ten seconds',
    containers: [{ name: 'app', state: 'exited', exitCode: 1, restartCount: 1, backoffMs: 10_000 }],
    plan: 'wait app 5s',
  },
  {
    name: 'after its wait it starts and the next wait is twice as long',
    containers: [{ name: 'app', state: 'exited', exitCode: 1, restartCount: 1, backoffMs: 10_000, finishedAt: testNow - 10_000 }],
    plan: 'start app#2 backoff 20s',
  },
  {
    name: 'the wait never exceeds five minutes',
    containers: [{ name: 'app', state: 'exited', exitCode: 1, restartCount: 9, backoffMs: 300_000, finishedAt: testNow - 300_000 }],
    plan: 'start app#10 backoff 5m0s',
  },
  {
    name: 'a container that ran for more than ten minutes begins again without a wait',
    containers: [
      {
        name: 'app',
        state: 'exited',
        exitCode: 1,
        restartCount: 5,
        backoffMs: 160_000,
        createdAt: testNow - 700_000,
        finishedAt: testNow - 1_000,
      },
    ],
    plan: 'start app#6 backoff 10s',
  },
  {
    name: 'policy Never: an exit finishes the pod',
    spec: { restartPolicy: 'Never' },
    containers: [{ name: 'app', state: 'exited', exitCode: 1 }],
    plan: 'kill all; finished',
  },
  {
    name: 'policy OnFailure: success finishes the pod',
    spec: { restartPolicy: 'OnFailure' },
    containers: [{ name: 'app', state: 'exited', exitCode: 0 }],
    plan: 'kill all; finished',
  },
  {
    name: 'policy OnFailure: failure restarts',
    spec: { restartPolicy: 'OnFailure' },
    containers: [{ name: 'app', state: 'exited', exitCode: 3 }],
    plan: 'start app#1 backoff 10s',
  },
  {
    name: 'policy Never: one of two containers ended, the pod goes on',
    spec: { restartPolicy: 'Never', containers: [testContainer('a'), testContainer('b')] },
    containers: [{ name: 'a', state: 'exited', exitCode: 1 }, { name: 'b' }],
    plan: 'nothing',
  },
  {
    name: 'a restart rule restarts on its exit code although the policy says Never',
    spec: {
      restartPolicy: 'Never',
      containers: [
        testContainer('app', {
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        }),
      ],
    },
    containers: [{ name: 'app', state: 'exited', exitCode: 42 }],
    plan: 'start app#1 backoff 10s',
  },
  {
    name: 'a dead sandbox is replaced, with everything in it',
    sandboxes: [{ state: 'notready', ips: [] }],
    containers: [{ name: 'app' }],
    plan: 'kill all; sandbox 1',
  },
  {
    name: 'policy Never: a dead sandbox ends the pod whose containers had run',
    spec: { restartPolicy: 'Never' },
    sandboxes: [{ state: 'notready', ips: [] }],
    containers: [{ name: 'app', state: 'exited', exitCode: 0 }],
    plan: 'kill all; finished',
  },
  { name: 'a sandbox without an address is replaced', sandboxes: [{ ips: [] }], plan: 'kill all; sandbox 1' },
  { name: 'host network needs no address', spec: { hostNetwork: true }, sandboxes: [{ ips: [] }], plan: 'start app#0 backoff 0s' },
  { name: 'two ready sandboxes are one too many', sandboxes: [{}, { id: 'sandbox-1', attempt: 1 }], plan: 'kill all; sandbox 2' },
  {
    name: 'in a new sandbox the containers of the old one count as history',
    sandboxes: [
      { state: 'notready', ips: [] },
      { id: 'sandbox-1', attempt: 1, createdAt: testNow },
    ],
    containers: [{ name: 'app', state: 'exited', exitCode: 137 }],
    plan: 'start app#1 backoff 10s',
  },
  {
    name: 'a failed liveness probe kills and restarts',
    spec: { containers: [testContainer('app', { livenessProbe: { ...probe, terminationGracePeriodSeconds: 7 } })] },
    containers: [{ name: 'app' }],
    probes: { 'app-0': { liveness: 'failure' } },
    plan: 'kill app-0 (Container app failed liveness probe, will be restarted) in 7s; start app#1 backoff 10s',
  },
  {
    name: 'policy Never: a failed liveness probe kills only',
    spec: { restartPolicy: 'Never', containers: [testContainer('app', { livenessProbe: probe })] },
    containers: [{ name: 'app' }],
    probes: { 'app-0': { liveness: 'failure' } },
    plan: 'kill app-0 (Container app failed liveness probe)',
  },
  {
    name: 'a failed startup probe kills and restarts',
    spec: { containers: [testContainer('app', { startupProbe: probe })] },
    containers: [{ name: 'app' }],
    probes: { 'app-0': { startup: 'failure' } },
    plan: 'kill app-0 (Container app failed startup probe, will be restarted); start app#1 backoff 10s',
  },
  {
    name: 'a changed image restarts the container whatever the policy',
    spec: { restartPolicy: 'Never' },
    containers: [{ name: 'app', hash: 'other' }],
    plan: 'kill app-0 (Container app definition changed, will be restarted); start app#1 backoff 10s',
  },
  {
    name: 'a container that was made but never started is made again under its number',
    containers: [{ name: 'app', state: 'created', startedAt: 0 }],
    plan: 'start app#0 backoff 0s discarding app-0',
  },
  {
    name: 'a container in unknown state is killed before it starts again',
    containers: [{ name: 'app', state: 'unknown' }],
    plan: 'kill app-0 (Container is in unknown state, try killing it before restart); start app#1 backoff 10s',
  },
  {
    name: 'restart counts go on from the reported status when the engine has lost the container',
    status: {
      containerStatuses: [
        { name: 'app', containerID: 'x://1', restartCount: 4, image: '', imageID: '', ready: true, state: { running: {} }, lastState: {} },
      ],
    },
    plan: 'start app#5 backoff 10s',
  },
  {
    name: 'a loss that was reported already is counted once',
    status: {
      containerStatuses: [
        {
          name: 'app',
          restartCount: 5,
          image: '',
          imageID: '',
          ready: false,
          state: { waiting: { reason: 'ContainerCreating' } },
          lastState: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } },
        },
      ],
    },
    plan: 'start app#5 backoff 10s',
  },
  {
    name: 'init containers start one at a time',
    spec: { initContainers: [testContainer('one'), testContainer('two')] },
    plan: 'start one#0 backoff 0s',
  },
  {
    name: 'the next init container waits for the one before',
    spec: { initContainers: [testContainer('one'), testContainer('two')] },
    containers: [{ name: 'one' }],
    plan: 'nothing',
  },
  {
    name: 'an init container that succeeded lets the next one start',
    spec: { initContainers: [testContainer('one'), testContainer('two')] },
    containers: [{ name: 'one', state: 'exited' }],
    plan: 'start two#0 backoff 0s',
  },
  {
    name: 'an earlier init container that is gone from the engine is not run again',
    spec: { initContainers: [testContainer('one'), testContainer('two')] },
    containers: [{ name: 'two', state: 'exited' }],
    plan: 'start app#0 backoff 0s',
  },
  {
    name: 'a failed init container is tried again',
    spec: { initContainers: [testContainer('one')] },
    containers: [{ name: 'one', state: 'exited', exitCode: 1 }],
    plan: 'start one#1 backoff 10s',
  },
  {
    name: 'policy Never: a failed init container ends the pod',
    spec: { restartPolicy: 'Never', initContainers: [testContainer('one')] },
    containers: [{ name: 'one', state: 'exited', exitCode: 1 }],
    plan: 'kill all; finished',
  },
  {
    name: 'init containers do not run again once a main container has started',
    spec: { initContainers: [testContainer('one')] },
    containers: [{ name: 'app' }],
    plan: 'nothing',
  },
  {
    name: 'a sidecar without a startup probe lets the next start as soon as it runs',
    spec: { initContainers: [sidecar('proxy'), testContainer('one')] },
    containers: [{ name: 'proxy' }],
    plan: 'start one#0 backoff 0s',
  },
  {
    name: 'a sidecar with a startup probe holds back the rest until it succeeds',
    spec: { initContainers: [sidecar('proxy', { startupProbe: probe })] },
    containers: [{ name: 'proxy' }],
    plan: 'nothing',
  },
  {
    name: 'a started sidecar lets the main containers start',
    spec: { initContainers: [sidecar('proxy', { startupProbe: probe })] },
    containers: [{ name: 'proxy' }],
    probes: { 'proxy-0': { startup: 'success' } },
    plan: 'start app#0 backoff 0s',
  },
  {
    name: 'a sidecar that dies beside the main containers is restarted, policy Never notwithstanding',
    spec: { restartPolicy: 'Never', initContainers: [sidecar('proxy')] },
    containers: [{ name: 'proxy', state: 'exited', exitCode: 0 }, { name: 'app' }],
    plan: 'start proxy#1 backoff 10s',
  },
  {
    name: 'a sidecar does not keep the pod alive when the main containers are done',
    spec: { restartPolicy: 'Never', initContainers: [sidecar('proxy')] },
    containers: [{ name: 'proxy' }, { name: 'app', state: 'exited' }],
    plan: 'kill all; finished',
  },
  {
    name: 'an ephemeral container starts even while init containers run, and only once',
    spec: { initContainers: [testContainer('one')], ephemeralContainers: [testContainer('debug'), testContainer('past')] },
    containers: [{ name: 'one' }, { name: 'past', state: 'exited', exitCode: 1 }],
    plan: 'start debug#0 backoff 0s',
  },
  {
    name: 'the deadline of the pod ends it',
    spec: { activeDeadlineSeconds: 30 },
    status: { startTime: new Date(testNow - 30_000).toISOString() },
    containers: [{ name: 'app' }],
    plan: 'deadline',
  },
]

describe('planPod', () => {
  test.each(cases)('$name', ({ spec, status, sandboxes = [{}], containers = [], probes, plan }) => {
    const pod = testPod(spec, status === undefined ? {} : { status })
    const engine = testEngine(
      pod,
      sandboxes.map((s) => testSandbox(pod, s)),
      containers,
    )
    const facts = { pod, engine, probes: testProbes(probes), lastStatus: pod.status, now: testNow }
    expect(summary(planPod(facts))).toBe(plan)
  })

  test('a wait and a deadline say when to look again', () => {
    const status = { startTime: new Date(testNow - 10_000).toISOString() }
    const pod = testPod({ activeDeadlineSeconds: 13 }, { status })
    const crashed = { name: 'app', state: 'exited', exitCode: 1, restartCount: 1, backoffMs: 10_000 } as const
    const engine = testEngine(pod, [testSandbox(pod)], [crashed])
    const plan = planPod({ pod, engine, probes: testProbes(), lastStatus: status, now: testNow })
    expect(plan.lookAgainAt).toBe(testNow + 3_000)
    expect(plan.waiting[0]?.message).toBe('back-off 10s restarting failed container=app pod=web_default(uid-web)')
  })
})
