// Contract: sandboxes.
import { expect, test } from 'vitest'
import { type RuntimeHarness, sandboxConfig, until, withPod } from './harness.ts'

export function describeSandboxes(get: () => RuntimeHarness): void {
  test('a sandbox keeps its identity, labels and annotations; status and list agree', async () => {
    const h = get()
    await withPod(h, {}, async ({ config, sandbox }) => {
      const { podUid, podName, podNamespace, attempt, labels, annotations } = config
      expect(sandbox).toMatchObject({ podUid, podName, podNamespace, attempt, labels, annotations, state: 'ready' })
      expect(sandbox.ips).toHaveLength(1)
      expect(await h.runtime.sandboxStatus(sandbox.id)).toEqual(sandbox)
      expect((await h.runtime.listSandboxes()).find((s) => s.id === sandbox.id)).toEqual(sandbox)
    })
  })

  test('two sandboxes have different addresses', async () => {
    const h = get()
    await withPod(h, {}, async (one) => withPod(h, {}, async (two) => expect(one.sandbox.ips).not.toEqual(two.sandbox.ips)))
  })

  test('a sandbox on the host network has no address of its own and no namespace', async () => {
    const h = get()
    await withPod(h, { network: 'node', hostPorts: [] }, async ({ sandbox }) => {
      expect(sandbox.ips).toEqual([])
      expect(await h.runtime.networkNamespace(sandbox.id)).toBeUndefined()
    })
  })

  test('stopping is repeatable and leaves a sandbox that is not ready and has no address; removing is repeatable', async () => {
    const h = get()
    await withPod(h, {}, async ({ sandbox }) => {
      await h.runtime.stopSandbox(sandbox.id)
      await h.runtime.stopSandbox(sandbox.id)
      expect(await h.runtime.sandboxStatus(sandbox.id)).toMatchObject({ state: 'notready', ips: [] })
      expect((await h.runtime.listSandboxes()).find((s) => s.id === sandbox.id)).toMatchObject({ state: 'notready', ips: [] })
      await h.runtime.removeSandbox(sandbox.id)
      await h.runtime.removeSandbox(sandbox.id)
      expect(await h.runtime.sandboxStatus(sandbox.id)).toBeUndefined()
      expect((await h.runtime.listSandboxes()).some((s) => s.id === sandbox.id)).toBe(false)
    })
  })

  test('a sandbox that never was is stopped and removed without error', async () => {
    const h = get()
    const id = 'f'.repeat(64)
    await h.runtime.stopSandbox(id)
    await h.runtime.removeSandbox(id)
    expect(await h.runtime.sandboxStatus(id)).toBeUndefined()
  })

  test('a pod may have a second sandbox, counted by its attempt', async () => {
    const h = get()
    await withPod(h, {}, async ({ config, sandbox }) => {
      await h.runtime.stopSandbox(sandbox.id)
      const next = await h.runtime.runSandbox({ ...config, attempt: 1 })
      expect(next).toMatchObject({ podUid: config.podUid, attempt: 1, state: 'ready' })
      await h.runtime.removeSandbox(next.id)
    })
  })

  test('a sandbox that could not be made leaves nothing', async () => {
    const h = get()
    const before = await h.residue()
    const config = sandboxConfig(h, { podName: 'fails', sysctls: { 'net.core.no_such_thing': '1' } })
    await expect(h.runtime.runSandbox(config)).rejects.toThrow()
    expect((await h.runtime.listSandboxes()).filter((s) => s.podUid === config.podUid)).toEqual([])
    expect(await until(h, 'a clean node', async () => (await h.residue()).length === before.length)).toBe(true)
  })

  test('stopping a sandbox ends its containers; removing it removes them and everything on the node', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'ignoreTerm' })
      await h.runtime.stopSandbox(pod.sandbox.id)
      expect((await h.runtime.containerStatus(id))?.state).toBe('exited')
      await h.runtime.removeSandbox(pod.sandbox.id)
      expect(await h.runtime.containerStatus(id)).toBeUndefined()
      expect((await h.runtime.listContainers()).filter((c) => c.sandboxId === pod.sandbox.id)).toEqual([])
    })
    await until(h, 'a clean node', async () => (await h.residue()).length === 0)
  })

  test('nothing is created in a sandbox that is stopped or gone', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      await h.runtime.stopSandbox(pod.sandbox.id)
      await expect(pod.run('late', { do: 'run' })).rejects.toMatchObject({ name: 'RuntimeError' })
      await h.runtime.removeSandbox(pod.sandbox.id)
      await expect(pod.create('later', { do: 'run' })).rejects.toMatchObject({ name: 'RuntimeError', code: 'notFound' })
    })
  })
}
