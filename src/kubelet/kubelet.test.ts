import { afterEach, describe, expect, test } from 'vitest'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
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
    agent.api.put(Pod, testPod({ containers: [run()] }))
    await agent.until('the pod is ready', () => ready('web'))
    agent.api.away = true
    await agent.restart()
    await agent.pass(2_000)
    const [container] = [...agent.engine.containers.values()]
    container!.process!.exit(1)
    const running = () => [...agent.engine.containers.values()].filter((c) => c.state === 'running')
    await agent.until('a new container runs', () => running().some((c) => c.id !== container!.id))
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
