// Contract: containers, from creation to removal.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exited, type RuntimeHarness, readLog, settled, until, withPod } from './harness.ts'

export function describeContainers(get: () => RuntimeHarness): void {
  test('a container goes from created to running to exited, each with its time', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.create('main', { do: 'exit', code: 0, afterMs: 300 })
      const created = await h.runtime.containerStatus(id)
      expect(created).toMatchObject({ state: 'created', startedAt: 0, finishedAt: 0, name: 'main', attempt: 0, sandboxId: pod.sandbox.id })
      expect(created).toMatchObject({ podUid: pod.config.podUid, podName: 'pod', podNamespace: 'default', image: h.image })
      expect(created?.labels).toEqual({ 'io.kubernetes.container.name': 'main' })
      expect(created?.annotations).toEqual({ 'example.com/hash': 'abc' })
      expect(created?.logPath).toBe(join(pod.config.logDirectory, 'main/0.log'))
      await h.runtime.startContainer(id)
      const running = await h.runtime.containerStatus(id)
      expect(running).toMatchObject({ state: 'running', finishedAt: 0, exitCode: 0, reason: '' })
      expect(running!.startedAt).toBeGreaterThanOrEqual(Math.floor(created!.createdAt))
      expect((await h.runtime.listContainers()).find((c) => c.id === id)).toMatchObject({
        state: 'running',
        name: 'main',
        podUid: pod.config.podUid,
      })
      const done = await exited(h, id)
      expect(done).toMatchObject({ exitCode: 0, reason: 'Completed', createdAt: created!.createdAt, startedAt: running!.startedAt })
      expect(done.finishedAt).toBeGreaterThanOrEqual(done.startedAt)
    })
  })

  test('an exit code other than 0 is an Error with that code', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'exit', code: 42 })
      expect(await exited(h, id)).toMatchObject({ exitCode: 42, reason: 'Error' })
    })
  })

  test('environment, working directory, arguments and mounts reach the process', async () => {
    const h = get()
    const dir = await mkdtemp(join(tmpdir(), 'nvt-mount-'))
    await writeFile(join(dir, 'note'), 'from the host\n')
    await withPod(h, {}, async (pod) => {
      const id = await pod.run(
        'main',
        { do: 'describe', variable: 'GREETING', file: '/data/note' },
        {
          args: ['two words', 'end'],
          env: [{ name: 'GREETING', value: 'a=b c' }],
          workingDir: '/tmp',
          mounts: [{ hostPath: dir, containerPath: '/data', readOnly: true, propagation: 'private' }],
        },
      )
      const { logPath } = await exited(h, id)
      expect((await readLog(logPath)).map((l) => l.text)).toEqual(['a=b c', '/tmp', 'from the host', 'two words end'])
    })
    await rm(dir, { recursive: true })
  })

  test('a program that is not there fails to start and says so', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.create('main', ['/no/such/program'])
      await expect(h.runtime.startContainer(id)).rejects.toMatchObject({
        code: 'startFailed',
        message: expect.stringContaining('no such file'),
      })
      const status = await exited(h, id)
      expect(['StartError', 'ContainerCannotRun']).toContain(status.reason)
      expect(status.exitCode).toBeGreaterThan(0)
      expect(status.message).toContain('/no/such/program')
      expect((await h.runtime.listContainers()).find((c) => c.id === id)?.state).toBe('exited')
    })
  })

  test('an image that the engine lacks is imageNotFound', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const imageRef = `sha256:${'0'.repeat(64)}`
      await expect(pod.create('main', { do: 'run' }, { imageRef })).rejects.toMatchObject({ code: 'imageNotFound' })
    })
  })

  test('one name and attempt is created once', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      await pod.create('main', { do: 'run' })
      await expect(pod.create('main', { do: 'run' })).rejects.toMatchObject({ code: 'alreadyExists' })
      const next = await pod.create('main', { do: 'run' }, { attempt: 1 })
      expect(await h.runtime.containerStatus(next)).toMatchObject({ attempt: 1 })
    })
  })

  test('a process that heeds the stop signal ends before the grace period does', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run', stdout: 'up\n' })
      const { logPath } = (await h.runtime.containerStatus(id))!
      await until(h, 'the first word', async () => (await readLog(logPath)).length > 0)
      await settled(h, h.runtime.stopContainer(id, 600))
      expect(await h.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 0, reason: 'Completed' })
      await h.runtime.stopContainer(id, 600)
    })
  })

  test('a process that does not is killed after it', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'ignoreTerm' })
      const { logPath } = (await h.runtime.containerStatus(id))!
      await until(h, 'the first word', async () => (await readLog(logPath)).length > 0)
      await settled(h, h.runtime.stopContainer(id, 1))
      const status = (await h.runtime.containerStatus(id))!
      expect(status).toMatchObject({ state: 'exited', exitCode: 137, reason: 'Error' })
      expect(status.finishedAt - status.startedAt).toBeGreaterThanOrEqual(1000)
    })
  })

  test('without grace it is killed at once', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'ignoreTerm' })
      await settled(h, h.runtime.stopContainer(id, 0))
      expect(await h.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 137 })
    })
  })

  test('what never was is stopped and removed without error, and has no status', async () => {
    const h = get()
    const id = 'e'.repeat(64)
    await h.runtime.stopContainer(id, 1)
    await h.runtime.removeContainer(id)
    expect(await h.runtime.containerStatus(id)).toBeUndefined()
    await expect(h.runtime.startContainer(id)).rejects.toMatchObject({ code: 'notFound' })
  })

  test('a running container is removed by force, twice', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'ignoreTerm' })
      await h.runtime.removeContainer(id)
      await h.runtime.removeContainer(id)
      expect(await h.runtime.containerStatus(id)).toBeUndefined()
    })
  })

  test('a container that takes more memory than its limit is OOMKilled', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'takeMemory' }, { resources: { memoryLimitBytes: 33_554_432 } })
      expect(await exited(h, id)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
    })
  })

  test('resources are read back and can be changed while it runs', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const resources = { cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, memoryLimitBytes: 67_108_864 }
      const id = await pod.run('main', { do: 'run' }, { resources })
      expect((await h.runtime.containerStatus(id))?.resources).toMatchObject(resources)
      await h.runtime.updateResources(id, { cpuShares: 256, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 100_663_296 })
      expect((await h.runtime.containerStatus(id))?.resources).toMatchObject({
        cpuShares: 256,
        cpuQuota: 20_000,
        memoryLimitBytes: 100_663_296,
      })
    })
  })

  test('statistics name the running container and count what it uses', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      await h.pass(50)
      const stats = await until(h, 'statistics', async () =>
        (await h.runtime.listStats()).find((s) => s.id === id && s.cpuUsageNanoSeconds > 0),
      )
      expect(stats).toMatchObject({ podUid: pod.config.podUid, name: 'main' })
      expect(stats.memoryWorkingSetBytes).toBeGreaterThan(0)
    })
  })
}
