// Healing: what dies is started again, in place and with growing pauses; what probes say decides who lives and who serves.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCgroups } from '#kubelet/cgroups'
import { processIdentity, signalProcess } from '#platform/process'
import { eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { imageFile } from '../../tools/images.ts'
import { apply, busybox, engines, field, pod, podNames, ready, readyEndpoints, service, shell, startKubectl, web } from './scene.ts'

describe.each(engines)('healing, on %s', (engine) => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: ['busybox-1', 'web-v1'].map(imageFile) })
  })
  afterAll(() => cluster?.stop())

  const restarts = (name: string): Promise<string> => field(cluster, `pod/${name}`, '{.status.containerStatuses[0].restartCount}')
  const events = (name: string, reason: string): Promise<string> =>
    cluster.kubectl(
      'get',
      'events',
      '--field-selector',
      `involvedObject.name=${name},reason=${reason}`,
      '-o',
      'jsonpath={range .items[*]}{.message}{"\\n"}{end}',
    )
  const restarted = (name: string): Promise<string> =>
    eventually(
      `${name} to be restarted`,
      () => restarts(name),
      (count) => Number(count) >= 1,
    )

  test.concurrent('a container whose process is killed is started again, in place', async () => {
    await apply(cluster, pod('killed', shell('echo begun; exec sleep 3600')))
    await ready(cluster, 'pod/killed')
    const facts = '{.metadata.uid} {.status.podIP} {.status.hostIP}'
    const before = await field(cluster, 'pod/killed', facts)
    const id = await field(cluster, 'pod/killed', '{.status.containerStatuses[0].containerID}')
    await killContainer(cluster, await field(cluster, 'pod/killed', '{.metadata.uid}'), id)
    await restarted('killed')
    await ready(cluster, 'pod/killed')
    expect(await field(cluster, 'pod/killed', facts)).toBe(before)
    expect(await field(cluster, 'pod/killed', '{.status.containerStatuses[0].containerID}')).not.toBe(id)
    const last = JSON.parse(await field(cluster, 'pod/killed', '{.status.containerStatuses[0].lastState.terminated}'))
    expect(last).toMatchObject({ exitCode: 137, reason: 'Error', containerID: id })
    expect(await cluster.kubectl('logs', 'killed', '--previous')).toBe('begun\n')
  })

  test.concurrent('one that keeps dying waits, ten seconds and then twenty, and says so', async () => {
    await apply(cluster, pod('dying', shell('echo dying; exit 3')))
    const waits = (): Promise<string> =>
      field(
        cluster,
        'pod/dying',
        '{.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}',
      )
    const wait = async (time: string): Promise<void> => {
      const said = await eventually(`a back-off of ${time}`, waits, (text) =>
        text.includes(`back-off ${time} restarting failed container=main`),
      )
      expect(said).toMatch(/^CrashLoopBackOff: back-off \S+ restarting failed container=main pod=dying_default\([0-9a-f-]{36}\)$/)
    }
    await wait('10s')
    expect(await cluster.kubectl('get', 'pod', 'dying', '--no-headers')).toMatch(/^dying\s+0\/1\s+CrashLoopBackOff\s+[01]\s/)
    await wait('20s')
    expect(Number(await restarts('dying'))).toBeGreaterThanOrEqual(2)
    expect(await events('dying', 'BackOff')).toMatch(/^Back-off restarting failed container main in pod dying_default\([0-9a-f-]{36}\)$/m)
    expect(await field(cluster, 'pod/dying', '{.status.containerStatuses[0].lastState.terminated.exitCode}')).toBe('3')
    await cluster.kubectl('delete', 'pod', 'dying', '--wait=false')
  })

  test.concurrent('restartPolicy is obeyed: Never leaves it, OnFailure takes success for the end', async () => {
    await apply(
      cluster,
      pod('once', shell('exit 4'), { restartPolicy: 'Never' }),
      pod(
        'until-done',
        shell('[ -e /data/tried ] && exit 0; touch /data/tried; exit 5', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
        {
          restartPolicy: 'OnFailure',
          volumes: [{ name: 'data', emptyDir: {} }],
        },
      ),
    )
    await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/once', '--timeout=120s')
    await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/until-done', '--timeout=120s')
    expect(await restarts('once')).toBe('0')
    expect(await restarts('until-done')).toBe('1')
  })

  test.concurrent('a deleted pod is replaced, and the Service knows the new one', async () => {
    await apply(cluster, web('replaced', 2), service('replaced'))
    await cluster.kubectl('rollout', 'status', 'deployment/replaced', '--timeout=120s')
    const [victim = '', other = ''] = await podNames(cluster, 'app=replaced')
    await cluster.kubectl('delete', 'pod', victim)
    await cluster.kubectl('rollout', 'status', 'deployment/replaced', '--timeout=120s')
    const names = await podNames(cluster, 'app=replaced')
    expect(names).toHaveLength(2)
    expect(names).toContain(other)
    expect(names).not.toContain(victim)
    await eventually(
      'the endpoints',
      () => readyEndpoints(cluster, 'replaced'),
      (text) => text === names.join(' '),
    )
    await cluster.kubectl('delete', 'deployment/replaced', 'service/replaced', '--wait=false')
  })

  test.concurrent('a failing liveness probe restarts the container, a failing startup probe as well, and both say why', async () => {
    const probe = { periodSeconds: 1, failureThreshold: 1 }
    const live = { livenessProbe: { exec: { command: ['cat', '/tmp/alive'] }, ...probe } }
    const started = {
      startupProbe: { tcpSocket: { port: 81 }, ...probe, failureThreshold: 2 },
      livenessProbe: { exec: { command: ['true'] }, ...probe },
    }
    await apply(
      cluster,
      pod('unwell', shell('[ -e /tmp/alive ] || touch /tmp/alive; exec sleep 3600', live)),
      pod('slow', shell('exec sleep 3600', started)),
    )
    await ready(cluster, 'pod/unwell')
    await cluster.kubectl('exec', 'unwell', '--', 'rm', '/tmp/alive')
    await restarted('unwell')
    expect(await events('unwell', 'Unhealthy')).toContain("Liveness probe failed: cat: can't open '/tmp/alive': No such file or directory")
    expect(await events('unwell', 'Killing')).toBe('Container main failed liveness probe, will be restarted\n')
    await restarted('slow')
    expect(await field(cluster, 'pod/slow', '{.status.containerStatuses[0].started}')).toBe('false')
    expect(await events('slow', 'Unhealthy')).toMatch(/^Startup probe failed: dial tcp [0-9.]+:81: connect: connection refused$/m)
    expect(await events('slow', 'Killing')).toContain('Container main failed startup probe, will be restarted')
    await cluster.kubectl('delete', 'pod', 'unwell', 'slow', '--wait=false')
  })

  test.concurrent('a failing readiness probe takes the pod out of the Service until it passes again, without a restart', async () => {
    const readinessProbe = { exec: { command: ['cat', '/tmp/ready'] }, periodSeconds: 1, failureThreshold: 1 }
    await apply(
      cluster,
      pod('moody', shell('touch /tmp/ready; exec sleep 3600', { readinessProbe }), { labels: { app: 'moody' } }),
      service('moody'),
    )
    const serves = (who: string): Promise<string> =>
      eventually(
        `the Service to lead to "${who}"`,
        () => readyEndpoints(cluster, 'moody'),
        (names) => names === who,
      )
    await serves('moody')
    await cluster.kubectl('exec', 'moody', '--', 'rm', '/tmp/ready')
    await serves('')
    expect(await cluster.kubectl('get', 'pod', 'moody', '--no-headers')).toMatch(/^moody\s+0\/1\s+Running\s+0\s/)
    expect(await events('moody', 'Unhealthy')).toContain("Readiness probe failed: cat: can't open '/tmp/ready': No such file or directory")
    await cluster.kubectl('exec', 'moody', '--', 'touch', '/tmp/ready')
    await serves('moody')
    expect(await restarts('moody')).toBe('0')
    await cluster.kubectl('delete', 'pod/moody', 'service/moody', '--wait=false')
  })

  test.concurrent('init containers run one after the other, a sidecar beside what follows, and it ends last', async () => {
    const volumeMounts = [{ name: 'data', mountPath: '/data' }]
    const step = (name: string, script: string, more = {}) => ({ ...shell(script, { volumeMounts, ...more }), name })
    const sidecar =
      'trap "echo sidecar ends >> /data/order; exit 0" TERM; echo sidecar begins >> /data/order; touch /data/up; while :; do sleep 0.1; done'
    const main = 'trap "echo main ends >> /data/order; exit 0" TERM; echo main >> /data/order; while :; do sleep 0.1; done'
    await apply(
      cluster,
      pod('ordered', step('main', main), {
        initContainers: [
          step('first', 'sleep 1; echo first >> /data/order'),
          step('sidecar', sidecar, { restartPolicy: 'Always', startupProbe: { exec: { command: ['cat', '/data/up'] }, periodSeconds: 1 } }),
          step('second', 'echo second >> /data/order'),
        ],
        volumes: [{ name: 'data', hostPath: { path: join(cluster.dataDir, 'order'), type: 'DirectoryOrCreate' } }],
        terminationGracePeriodSeconds: 20,
      }),
    )
    await ready(cluster, 'pod/ordered')
    expect(await cluster.kubectl('get', 'pod', 'ordered', '--no-headers')).toMatch(/^ordered\s+2\/2\s+Running\s+0\s/)
    await cluster.kubectl('delete', 'pod', 'ordered')
    const order = readFileSync(join(cluster.dataDir, 'order/order'), 'utf8')
    expect(order).toBe('first\nsidecar begins\nsecond\nmain\nmain ends\nsidecar ends\n')
  })

  test.concurrent('an init container that fails holds the pod back', async () => {
    await apply(cluster, pod('held', shell('exec sleep 3600'), { initContainers: [{ ...shell('exit 1'), name: 'fails' }] }))
    const column = async (): Promise<string> => (await cluster.kubectl('get', 'pod', 'held', '--no-headers')).split(/\s+/)[2] ?? ''
    await eventually('the back-off', column, (text) => text === 'Init:CrashLoopBackOff')
    expect(await field(cluster, 'pod/held', '{.status.containerStatuses[0].state.waiting.reason}')).toBe('PodInitializing')
    await cluster.kubectl('delete', 'pod', 'held', '--wait=false')
  })

  test.concurrent('preStop runs before SIGTERM, both within the grace period, and SIGKILL follows it', async () => {
    const preStop = { exec: { command: ['sh', '-c', 'echo preStop > /proc/1/fd/1'] } }
    const script = 'trap "echo SIGTERM; exit 0" TERM; echo runs; while :; do sleep 0.1; done'
    await apply(
      cluster,
      pod('polite', shell(script, { lifecycle: { preStop } }), { terminationGracePeriodSeconds: 30 }),
      pod(
        'deaf',
        { name: 'main', image: busybox, command: ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'] },
        { terminationGracePeriodSeconds: 2 },
      ),
    )
    await ready(cluster, 'pod/polite')
    await ready(cluster, 'pod/deaf')
    const logs = startKubectl(cluster, ['logs', '-f', 'polite'])
    await eventually(
      'the log',
      async () => logs.stdout(),
      (text) => text === 'runs\n',
    )
    await cluster.kubectl('delete', 'pod', 'polite', 'deaf')
    expect(await logs.ended).toBe(0)
    expect(logs.stdout()).toBe('runs\npreStop\nSIGTERM\n')
    expect(await events('polite', 'Killing')).toBe('Stopping container main\n')
  })
})

/** Kills the first process of a container as its own cgroup lists it. */
async function killContainer(cluster: TestCluster, uid: string, containerId: string): Promise<void> {
  const cgroups = await openCgroups()
  const pids = await cgroups.processes(`/${cluster.name}/kubepods/besteffort/pod${uid}/${containerId.replace(/^\w+:\/\//, '')}`)
  const identity = processIdentity(pids[0] ?? 0)
  expect(identity !== undefined && signalProcess(identity, 'SIGKILL')).toBe(true)
}
