import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { PodSpec } from '#api/generated/core-v1'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Secret } from '#api/kinds/core/secret'
import { behaviourCommand, startAgent, type TestAgent } from './test-support/agent.ts'
import { testContainer, testPod } from './test-support/pods.ts'

let agent: TestAgent

afterEach(async () => {
  await agent.close()
})

const run = (name = 'app', more: object = {}) => testContainer(name, { command: behaviourCommand({ do: 'run' }), ...more })
const phase = (name: string) => agent.api.get(Pod, 'default', name)?.status.phase
const status = (name: string) => agent.api.get(Pod, 'default', name)?.status
const ready = (name: string) => status(name)?.conditions?.find((c) => c.type === 'Ready')?.status === 'True'

describe('the node agent', () => {
  test('registers its node and says it is ready', async () => {
    agent = await startAgent()
    const node = agent.api.get(Node, '', 'node-1')!
    expect(node.metadata.labels).toMatchObject({ 'kubernetes.io/hostname': 'node-1', 'kubernetes.io/os': 'linux' })
    expect(node.status.conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`)).toEqual([
      'MemoryPressure=False KubeletHasSufficientMemory',
      'DiskPressure=False KubeletHasNoDiskPressure',
      'PIDPressure=False KubeletHasSufficientPID',
      'Ready=True KubeletReady',
    ])
  })

  test('runs a pod and reports it', async () => {
    agent = await startAgent()
    agent.api.put(Pod, testPod({ containers: [run()] }))
    await agent.until('the pod is ready', () => ready('web'))
    expect(status('web')).toMatchObject({
      phase: 'Running',
      hostIP: '192.0.2.1',
      podIP: '10.244.1.2',
      observedGeneration: 1,
      containerStatuses: [{ name: 'app', ready: true, started: true, restartCount: 0, state: { running: {} }, lastState: {} }],
    })
    expect(status('web')?.containerStatuses?.[0]?.containerID).toMatch(/^fake:\/\//)
    expect(agent.events.filter((e) => !e.startsWith('Node') && !e.startsWith('Starting'))).toEqual([
      'Pulled: Container image "navarch.local/app:1" already present on machine and can be accessed by the pod',
      'Created: Container created',
      'Started: Container started',
    ])
  })

  test('removes a deleted pod from the engine, then from the API', async () => {
    agent = await startAgent()
    agent.api.put(Pod, testPod({ containers: [run()] }))
    await agent.until('the pod is ready', () => ready('web'))
    agent.api.remove(Pod, 'default', 'web')
    await agent.until('the pod is gone', () => agent.api.get(Pod, 'default', 'web') === undefined)
    await agent.until('the engine is empty', () => agent.engine.containers.size === 0 && agent.engine.sandboxes.size === 0)
    expect(agent.events).toContain('Killing: Stopping container app')
  })

  test('a job that succeeds ends as Succeeded and keeps its container for its log', async () => {
    agent = await startAgent()
    const job = testContainer('app', { command: behaviourCommand({ do: 'exit', code: 0, stdout: 'done\n' }) })
    agent.api.put(Pod, testPod({ containers: [job], restartPolicy: 'Never' }))
    await agent.until('it succeeds', () => phase('web') === 'Succeeded')
    expect(status('web')?.containerStatuses?.[0]).toMatchObject({
      ready: false,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
    })
    expect(status('web')?.conditions?.find((c) => c.type === 'Ready')).toMatchObject({ status: 'False', reason: 'PodCompleted' })
    expect(agent.engine.containers.size).toBe(1)
  })

  test('a container that keeps dying is restarted, then waits in CrashLoopBackOff', async () => {
    agent = await startAgent()
    const dying = testContainer('app', { command: behaviourCommand({ do: 'exit', code: 3 }) })
    agent.api.put(Pod, testPod({ containers: [dying] }))
    const waiting = () => status('web')?.containerStatuses?.[0]?.state?.waiting
    await agent.until('it waits', () => waiting()?.reason === 'CrashLoopBackOff')
    expect(waiting()?.message).toBe('back-off 10s restarting failed container=app pod=web_default(uid-web)')
    expect(status('web')?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    })
    expect(phase('web')).toBe('Running')
    await agent.until('it is restarted again', () => status('web')?.containerStatuses?.[0]?.restartCount === 2)
    expect(agent.events).toContain('BackOff: Back-off restarting failed container app in pod web_default(uid-web)')
  })

  test('a restart of the agent touches no container and makes nothing unready', async () => {
    agent = await startAgent()
    const probe = { exec: { command: ['true'] }, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
    agent.api.put(Pod, testPod({ containers: [run('app', { readinessProbe: probe })] }))
    await agent.until('the pod is ready', () => ready('web'))
    const before = status('web')
    const patches = () => agent.api.calls.filter((c) => c === 'patch pods default/web status').length
    const patched = patches()
    await agent.restart()
    await agent.pass(30_000)
    expect(status('web')).toEqual(before)
    expect(patches()).toBe(patched)
    expect(agent.engine.containers.size).toBe(1)
  })

  test('while the API is away what runs keeps running, and dead containers are restarted', async () => {
    agent = await startAgent()
    agent.api.put(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'cm', namespace: 'default' } as never,
      data: { a: '1' },
    })
    const sources = [{ configMap: { name: 'cm' } }, { serviceAccountToken: { path: 'token' } }]
    const container = run('app', { volumeMounts: [{ name: 'api', mountPath: '/api' }] })
    agent.api.put(Pod, testPod({ containers: [container], volumes: [{ name: 'api', projected: { sources } }] }))
    await agent.until('the pod is ready', () => ready('web'))
    agent.api.away = true
    await agent.restart()
    await agent.pass(2_000)
    const [first] = [...agent.engine.containers.values()]
    first!.process!.exit(1)
    const running = () => [...agent.engine.containers.values()].filter((c) => c.state === 'running')
    await agent.until('a new container runs', () => running().some((c) => c.id !== first!.id))
    agent.api.away = false
    await agent.until('it is reported', () => status('web')?.containerStatuses?.[0]?.restartCount === 1 && ready('web'))
  })

  test('a pod that was deleted while the agent was down is ended when it is back', async () => {
    agent = await startAgent()
    agent.api.put(Pod, testPod({ containers: [run()] }))
    await agent.until('the pod is ready', () => ready('web'))
    await agent.stop()
    agent.api.remove(Pod, 'default', 'web', 0)
    await agent.restart()
    await agent.until('the engine is empty', () => agent.engine.containers.size === 0 && agent.engine.sandboxes.size === 0)
  })
})

describe('what a pod may ask for', () => {
  const containerState = (name: string, index = 0) => status(name)?.containerStatuses?.[index]
  const put = (spec: Partial<PodSpec>, name = 'web') => agent.api.put(Pod, testPod(spec, { name }))
  const exits = (code: number, more: object = {}) => ({ command: behaviourCommand({ do: 'exit', code, ...more }) })
  const started = () => agent.events.filter((e) => e.startsWith('Started')).length

  test('init containers one after the other, then sidecars and main containers; sidecars end last', async () => {
    agent = await startAgent()
    const order: string[] = []
    agent.engine.fault = (operation, subject) => {
      if (operation === 'createContainer' || operation === 'stopContainer')
        order.push(`${operation} ${agent.engine.containers.get(subject)?.config.name ?? subject}`)
      return undefined
    }
    put({
      initContainers: [
        testContainer('one', exits(0)),
        run('proxy', { restartPolicy: 'Always' }),
        testContainer('two', exits(0, { afterMs: 500 })),
      ],
      containers: [run('a'), run('b')],
    })
    await agent.until('the pod is ready', () => ready('web'))
    expect(order).toEqual(['one', 'proxy', 'two', 'a', 'b'].map((n) => `createContainer ${n}`))
    expect(status('web')?.initContainerStatuses?.map((c) => `${c.name} ${c.ready} ${c.started}`)).toEqual([
      'one true false',
      'proxy true true',
      'two true false',
    ])
    order.length = 0
    agent.api.remove(Pod, 'default', 'web')
    await agent.until('the pod is gone', () => agent.api.get(Pod, 'default', 'web') === undefined)
    expect(order.slice(0, 2).sort()).toEqual(['stopContainer a', 'stopContainer b'])
    expect(order[2]).toBe('stopContainer proxy')
  })

  test('a missing config map holds the pod back until it is there', async () => {
    agent = await startAgent()
    const volumes = [{ name: 'cm', configMap: { name: 'settings', defaultMode: 0o644 } }]
    put({ containers: [run('app', { volumeMounts: [{ name: 'cm', mountPath: '/cm' }] })], volumes })
    await agent.until('it says so', () => agent.events.some((e) => e.startsWith('FailedMount')))
    expect(agent.events).toContain('FailedMount: MountVolume.SetUp failed for volume "cm" : configmap "settings" not found')
    agent.api.put(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' } as never,
      data: { a: '1' },
    })
    await agent.until('the pod is ready', () => ready('web'), 400)
    const file = join(agent.dataDir, 'memory/uid-web/volumes/cm/a')
    expect(await readFile(file, 'utf8')).toBe('1')
    const before = agent.api.get(ConfigMap, 'default', 'settings')!
    agent.api.put(ConfigMap, { ...before, data: { a: '2' } })
    await agent.until('the volume follows', async () => (await readFile(file, 'utf8')) === '2', 100)
    expect(started()).toBe(1)
  })

  test('a container whose configuration cannot be made waits and says why', async () => {
    agent = await startAgent()
    put({ containers: [run('app', { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] })] })
    await agent.until('it waits', () => containerState('web')?.state?.waiting?.reason === 'CreateContainerConfigError')
    expect(containerState('web')?.state).toEqual({ waiting: { reason: 'CreateContainerConfigError', message: 'secret "s" not found' } })
    expect(phase('web')).toBe('Pending')
    agent.api.put(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'default' } as never, data: { k: 'dg==' } })
    await agent.until('the pod is ready', () => ready('web'), 400)
  })

  test('an image that cannot be pulled is tried again, and the pod starts when it can', async () => {
    agent = await startAgent()
    put({ containers: [run('app', { image: 'navarch.local/later:1' })] })
    await agent.until('it fails', () => containerState('web')?.state?.waiting?.reason === 'ErrImagePull')
    await agent.until(
      'it backs off',
      () =>
        agent.events.includes('BackOff: Back-off pulling image "navarch.local/later:1"') ||
        containerState('web')?.state?.waiting?.reason === 'ErrImagePull',
    )
    agent.engine.addImage({ name: 'navarch.local/later:1' })
    await agent.until('the pod is ready', () => ready('web'), 30_000)
  })

  test('a failing liveness probe kills and restarts', async () => {
    agent = await startAgent()
    const livenessProbe = {
      exec: { command: behaviourCommand({ do: 'exit', code: 1 }) },
      timeoutSeconds: 1,
      periodSeconds: 1,
      successThreshold: 1,
      failureThreshold: 3,
    }
    put({ containers: [run('app', { livenessProbe })] })
    await agent.until('it is restarted', () => containerState('web')?.restartCount === 1)
    expect(agent.events).toContain('Killing: Container app failed liveness probe, will be restarted')
    expect(agent.events.filter((e) => e.startsWith('Unhealthy: Liveness probe failed'))).toHaveLength(3)
  })

  test('readiness comes and goes with its probe, and touches nothing else', async () => {
    agent = await startAgent()
    let healthy = true
    const server = createServer((_request, response) => response.writeHead(healthy ? 200 : 503).end('x')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const port = (server.address() as AddressInfo).port
    const readinessProbe = {
      httpGet: { host: '127.0.0.1', port, scheme: 'HTTP' as const },
      timeoutSeconds: 1,
      periodSeconds: 1,
      successThreshold: 1,
      failureThreshold: 2,
    }
    put({ containers: [run('app', { readinessProbe })] })
    await agent.untilReal('it is ready', () => ready('web'))
    healthy = false
    await agent.untilReal('it is not ready', () => !ready('web'))
    expect(agent.events).toContain('Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503')
    healthy = true
    await agent.untilReal('it is ready again', () => ready('web'))
    expect(containerState('web')?.restartCount).toBe(0)
    server.close()
  })

  test('hooks: postStart before anything is shown as running, preStop before the end', async () => {
    agent = await startAgent()
    const lifecycle = { postStart: { sleep: { seconds: 2 } }, preStop: { sleep: { seconds: 3 } } }
    put({ containers: [run('app', { lifecycle })] })
    await agent.until('it has started in the engine', () => started() === 1)
    await agent.pass(1_000)
    expect(containerState('web')?.state).toEqual({ waiting: { reason: 'ContainerCreating' } })
    await agent.until('the pod is ready', () => ready('web'), 1_500)
    const asked = agent.clock.now()
    agent.api.remove(Pod, 'default', 'web')
    await agent.until('the pod is gone', () => agent.api.get(Pod, 'default', 'web') === undefined)
    expect(agent.clock.now() - asked).toBeGreaterThanOrEqual(3_000)
  })

  test('a failed postStart hook kills the container', async () => {
    agent = await startAgent()
    put({ containers: [run('app', { lifecycle: { postStart: { exec: { command: behaviourCommand({ do: 'exit', code: 1 }) } } } })] })
    await agent.until('it says so', () => agent.events.includes('FailedPostStartHook: PostStartHook failed'))
    await agent.until('it was ended', () => agent.events.includes('Killing: FailedPostStartHook'))
  })

  test('a second, shorter deletion shortens the wait', async () => {
    agent = await startAgent()
    put({ containers: [testContainer('app', { command: behaviourCommand({ do: 'ignoreTerm' }) })] })
    await agent.until('the pod is ready', () => ready('web'))
    agent.api.remove(Pod, 'default', 'web', 600)
    await agent.pass(5_000)
    expect(phase('web')).toBe('Running')
    agent.api.remove(Pod, 'default', 'web', 1)
    await agent.until('the pod is gone', () => agent.api.get(Pod, 'default', 'web') === undefined, 5_000)
  })

  test('the deadline of a pod ends it', async () => {
    agent = await startAgent()
    put({ containers: [run()], activeDeadlineSeconds: 5 })
    await agent.until('the pod is ready', () => ready('web'))
    await agent.until('it has failed', () => phase('web') === 'Failed', 10_000)
    expect(status('web')).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    })
  })

  test('a pod that does not fit is refused', async () => {
    agent = await startAgent()
    put({ containers: [run('app', { resources: { requests: { cpu: '10000' } } })] })
    await agent.until('it has failed', () => phase('web') === 'Failed')
    expect(status('web')?.reason).toBe('OutOfcpu')
    expect(agent.engine.sandboxes.size).toBe(0)
  })

  test('last words: the termination message, or the log’s end when there is none', async () => {
    agent = await startAgent()
    const container = testContainer('app', { terminationMessagePolicy: 'FallbackToLogsOnError', ...exits(1, { stdout: 'all is lost\n' }) })
    put({ containers: [container], restartPolicy: 'Never' })
    await agent.until('it has failed', () => phase('web') === 'Failed')
    expect(containerState('web')?.state?.terminated).toMatchObject({ exitCode: 1, reason: 'Error', message: 'all is lost\n' })
  })

  test('a machine that restarted: the sandbox is made anew, counts go on', async () => {
    agent = await startAgent()
    put({ initContainers: [testContainer('one', exits(0))], containers: [run()] })
    await agent.until('the pod is ready', () => ready('web'))
    await agent.stop()
    agent.engine.reboot()
    await agent.restart()
    await agent.until('the pod is ready again', () => ready('web') && containerState('web')?.restartCount === 1)
    expect(agent.events).toContain('SandboxChanged: Pod sandbox changed, it will be killed and re-created.')
    expect(status('web')?.initContainerStatuses?.[0]).toMatchObject({ restartCount: 1, ready: true })
  })

  test('a hundred pods at once', async () => {
    agent = await startAgent()
    for (let i = 0; i < 100; i++) put({ containers: [run()] }, `p${i}`)
    await agent.until('all are ready', () => agent.api.list(Pod).every((p) => ready(p.metadata.name)))
    for (const pod of agent.api.list(Pod)) agent.api.remove(Pod, 'default', pod.metadata.name)
    await agent.until('all are gone', () => agent.api.list(Pod).length === 0 && agent.engine.sandboxes.size === 0)
  })

  test('statuses get through once the API is back', async () => {
    agent = await startAgent()
    put({ containers: [run()] })
    await agent.until('the pod is ready', () => ready('web'))
    agent.api.away = true
    for (const container of agent.engine.containers.values()) container.process?.exit(1)
    await agent.pass(5_000)
    agent.api.away = false
    await agent.until('the restart is reported', () => containerState('web')?.restartCount === 1 && ready('web'))
  })
})

describe('static pods', () => {
  const manifest = (image: string) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'own' },
      spec: { containers: [{ name: 'app', image, command: behaviourCommand({ do: 'run' }) }] },
    })

  test('run from a directory, are mirrored in the API, and follow their files', async () => {
    const manifestDir = await mkdtemp(join(tmpdir(), 'nvt-manifests-'))
    await writeFile(join(manifestDir, 'own.json'), manifest('navarch.local/app:1'))
    await writeFile(join(manifestDir, 'broken.yaml'), 'kind: [')
    agent = await startAgent({ manifestDir })
    agent.engine.addImage({ name: 'navarch.local/app:2', present: true })
    await agent.until('its mirror is ready', () => ready('own-node-1'))
    const mirror = agent.api.get(Pod, 'default', 'own-node-1')!
    expect(mirror.metadata.annotations?.['kubernetes.io/config.mirror']).toBe(mirror.metadata.annotations?.['kubernetes.io/config.hash'])
    expect(mirror.metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: 'node-1', controller: true }])
    expect(agent.warnings.some((w) => w.includes('broken.yaml'))).toBe(true)

    agent.api.remove(Pod, 'default', 'own-node-1', 0)
    await agent.until('the mirror is back', () => ready('own-node-1'))
    expect(agent.engine.containers.size).toBe(1)

    await agent.restart()
    await agent.pass(2_000)
    expect(agent.engine.containers.size).toBe(1)

    await writeFile(join(manifestDir, 'own.json'), manifest('navarch.local/app:2'))
    const images = () => [...agent.engine.containers.values()].map((c) => c.config.image)
    await agent.until('the changed one runs alone', () => images().join() === 'navarch.local/app:2' && ready('own-node-1'))
    await rm(join(manifestDir, 'own.json'))
    await agent.until(
      'nothing is left',
      () => agent.engine.sandboxes.size === 0 && agent.api.get(Pod, 'default', 'own-node-1') === undefined,
    )
    await rm(manifestDir, { recursive: true })
  })
})
