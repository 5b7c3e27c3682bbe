// Contract: images, news, and what a fresh driver finds.
import { expect, test } from 'vitest'
import type { RuntimeEvent } from '../runtime.ts'
import { exited, type RuntimeHarness, until, withPod } from './harness.ts'

export function describeEngine(get: () => RuntimeHarness): void {
  test('the engine is ready, with its network', async () => {
    const h = get()
    const ready = await until(h, 'the network', async () => {
      const state = await h.runtime.readiness()
      return state.networkReady && state
    })
    expect(ready).toMatchObject({ runtimeReady: true, networkReady: true })
    expect(h.runtime.info.version).not.toBe('')
  })

  test('an image on the node is found by its name and its id, and listed', async () => {
    const h = get()
    const image = await h.runtime.imageStatus(h.image)
    expect(image?.repoTags).toContain(h.image)
    expect(image?.sizeBytes).toBeGreaterThan(0)
    expect((await h.runtime.imageStatus(image!.id))?.id).toBe(image!.id)
    expect((await h.runtime.listImages()).map((i) => i.id)).toContain(image!.id)
  })

  test('an image that is not there has no status, and is removed without error', async () => {
    const h = get()
    expect(await h.runtime.imageStatus('navarch.local/never:1')).toBeUndefined()
    await h.runtime.removeImage('navarch.local/never:1')
  })

  test('a pull that fails says why, by code', async () => {
    const h = get()
    for (const { image, code } of h.unpullable) await expect(h.runtime.pullImage(image, undefined)).rejects.toMatchObject({ code })
  })

  test('news of starts, exits and removals name the pod and the container; by then the status agrees', async () => {
    const h = get()
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    const statesAtExit: Promise<string | undefined>[] = []
    const watching = h.runtime.watch((event) => {
      events.push(event)
      if (event.type === 'containerExited' && event.containerId !== undefined)
        statesAtExit.push(h.runtime.containerStatus(event.containerId).then((s) => s?.state))
    }, stop.signal)
    await withPod(h, {}, async (pod) => {
      const of = (type: string, id: string) => events.some((e) => e.type === type && e.containerId === id && e.podUid === pod.config.podUid)
      const id = await pod.run('main', { do: 'exit', code: 0, afterMs: 200 })
      await exited(h, id)
      await until(h, 'news of the exit', async () => of('containerExited', id))
      expect(await statesAtExit[0]).toBe('exited')
      await h.runtime.removeContainer(id)
      await until(h, 'news of the removal', async () => of('containerRemoved', id))
      await until(h, 'news of the start', async () => of('containerStarted', id))
      await h.runtime.stopSandbox(pod.sandbox.id)
      await until(h, 'news of the sandbox', async () => events.some((e) => e.type === 'sandboxChanged' && e.podUid === pod.config.podUid))
    })
    stop.abort()
    await watching
  })

  test('a fresh driver finds everything again, with the same identity', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const running = await pod.run('main', { do: 'run' })
      const ended = await pod.run('done', { do: 'exit', code: 5 })
      await exited(h, ended)
      const look = async () => ({
        sandbox: (await h.runtime.listSandboxes()).find((s) => s.id === pod.sandbox.id),
        containers: (await h.runtime.listContainers()).filter((c) => c.sandboxId === pod.sandbox.id).sort((a, b) => (a.id < b.id ? -1 : 1)),
        statuses: await Promise.all([running, ended].map((id) => h.runtime.containerStatus(id))),
        netns: await h.runtime.networkNamespace(pod.sandbox.id),
      })
      const before = await look()
      await h.reopen()
      expect(await look()).toEqual(before)
      expect(before.containers).toHaveLength(2)
    })
  })
}
