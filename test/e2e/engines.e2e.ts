// The engines themselves, without a cluster: a private containerd through its life, images in both engines, and a registry.
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { engineTrouble, socketPath } from '#bootstrap/engine/engine'
import { importImages, listImages } from '#bootstrap/engine/engine-images'
import {
  containerdEnded,
  keepPrivateContainerd,
  type PrivateContainerd,
  startPrivateContainerd,
} from '#bootstrap/engine/private-containerd'
import { ensureSandboxImage } from '#bootstrap/engine/sandbox-image'
import { unaryCall } from '#bootstrap/engine/unary-call'
import { isRunning, processIdentity, runChecked, runCommand } from '#platform/process'
import { startContainerd, type TestEngine } from '../tools/containerd.ts'
import { startDockerd, stopDockerd } from '../tools/dockerd.ts'
import { imageFile } from '../tools/images.ts'
import { makeTestDir } from '../tools/names.ts'
import { registryAccount, startRegistry } from '../tools/registry.ts'
import { processesOf } from '../tools/remove-test-dir.ts'

const files = ['pause-1', 'busybox-1', 'web-v1', 'web-v2'].map(imageFile)
const names = ['navarch.local/busybox:1', 'navarch.local/pause:1', 'navarch.local/web:v1', 'navarch.local/web:v2']

describe.each([
  ['containerd', startContainerd],
  ['docker', startDockerd],
] as const)('%s', (kind, start) => {
  const dir = makeTestDir(kind)
  let engine: TestEngine
  beforeAll(async () => {
    engine = await start({ dir })
  })
  afterAll(() => engine.stop())

  test('takes the archives that we build, twice, and shows them by name', async () => {
    for (let round = 0; round < 2; round++) await importImages(engine.engine, files, { clock })
    expect((await listImages(engine.engine, { clock })).flatMap((image) => image.tags)).toEqual(names)
  })

  test('gets the image of sandboxes from code alone, once', async () => {
    const imagesDir = join(dir, 'images')
    for (let round = 0; round < 2; round++) {
      expect(await ensureSandboxImage(engine.engine, { imagesDir, clock })).toBe('navarch.local/pause:1')
    }
    expect(await importImages(engine.engine, [join(imagesDir, 'pause-1.tar')], { clock })).toMatchObject([{ already: true }])
  })

  test('refuses what is no archive, by the name of the file', async () => {
    const file = join(dir, 'no-archive.tar')
    await writeFile(file, 'x'.repeat(2_000))
    await expect(importImages(engine.engine, [file], { clock })).rejects.toThrow(`${file}: `)
  })

  test('leaves nothing when it is stopped, not even after everything was killed', async () => {
    const other = await start({ dir: makeTestDir(kind) })
    const otherDir = socketPath(other.engine.endpoint).replace(/(\/run)?\/[^/]*$/, '')
    await importImages(other.engine, files, { clock })
    const container = await runPause(other, 'left-behind')
    for (const daemon of await processesOf(otherDir)) process.kill(daemon.pid, 'SIGKILL')
    await other.stop()
    expect(isRunning(container)).toBe(false)
    expect(await processesOf(otherDir)).toEqual([])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(otherDir)
  })
})

/** Starts a container of the pause image, with the engine's own client, and says which process it is. */
async function runPause({ engine }: TestEngine, name: string) {
  const socket = socketPath(engine.endpoint)
  if (engine.kind === 'docker') {
    await runChecked('docker', ['-H', engine.endpoint, 'run', '--detach', '--network=none', `--name=${name}`, 'navarch.local/pause:1'])
    const pid = await runChecked('docker', ['-H', engine.endpoint, 'inspect', '--format={{.State.Pid}}', name])
    return processIdentity(Number(pid))!
  }
  const ctr = ['--address', socket, '--namespace', 'k8s.io']
  const runcRoot = join(socket.replace(/\/run\/[^/]*$/, ''), 'containerd/state/runc')
  await runChecked('ctr', [...ctr, 'run', '--detach', '--runc-root', runcRoot, 'navarch.local/pause:1', name])
  const tasks = await runChecked('ctr', [...ctr, 'task', 'list'])
  return processIdentity(Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(tasks)?.[1]))!
}

describe('a private containerd', () => {
  const dataDir = makeTestDir('private')
  const log = (): void => {}
  const started: PrivateContainerd[] = []
  let engine: TestEngine
  beforeAll(async () => {
    engine = await startContainerd({ dir: dataDir })
    await importImages(engine.engine, files, { clock })
  })
  afterAll(() => engine.stop())

  test('is taken over, not started again, by whoever comes next', async () => {
    const again = await startPrivateContainerd({ dataDir, clock, log })
    expect(again).toMatchObject({ adopted: true, process: { pid: engine.pid } })
  })

  test('is restarted when what its configuration says changes, and its containers go on', async () => {
    const container = await runPause(engine, 'through-a-restart')
    const changed = await startPrivateContainerd({ dataDir, clock, log, sandboxImage: 'navarch.local/other:1' })
    expect(changed.adopted).toBe(false)
    expect(isRunning(container)).toBe(true)
  })

  test('is kept running: killed, it is back, with its containers, and nobody had to ask', async () => {
    const container = await runPause(engine, 'through-a-kill')
    const stop = new AbortController()
    const waiting: (() => void)[] = []
    const next = (count: number): Promise<void> => new Promise((resolve) => (started.length >= count ? resolve() : waiting.push(resolve)))
    const onStart = (containerd: PrivateContainerd): void => {
      started.push(containerd)
      for (const resolve of waiting.splice(0)) resolve()
    }
    const keeping = keepPrivateContainerd({ dataDir, clock, log, signal: stop.signal, onStart })
    await next(1)
    const ended = containerdEnded(started[0]!, stop.signal)
    process.kill(started[0]!.process.pid, 'SIGKILL')
    await ended
    await next(2)
    expect(started[1]!.process.pid).not.toBe(started[0]!.process.pid)
    expect(isRunning(container)).toBe(true)
    expect(await engineTrouble(engine.engine, clock)).toBeUndefined()
    stop.abort()
    await keeping
    expect(isRunning(started[1]!.process)).toBe(true)
  })

  test('works where the data directory has a path too long for a socket', async () => {
    const long = await startContainerd({ dir: join(makeTestDir('long'), 'd'.repeat(120)) })
    expect(long.engine.endpoint).toMatch(/^unix:\/\/\/run\/navarch\//)
    expect(await engineTrouble(long.engine, clock)).toBeUndefined()
    await long.stop()
    await rm(join(long.dir, '..'), { recursive: true })
  })
})

describe('a registry', () => {
  const containerdDir = makeTestDir('ctd')
  const dockerDir = makeTestDir('docker')
  let containerd: TestEngine
  let docker: TestEngine
  beforeAll(async () => {
    containerd = await startContainerd({ dir: containerdDir })
    docker = await startDockerd({ dir: dockerDir })
  })
  afterAll(async () => {
    await containerd.stop()
    await stopDockerd(dockerDir)
  })

  test.each(['none', 'password', 'token'] as const)('with authentication "%s" gives both engines what was pushed', async (auth) => {
    const registry = await startRegistry({ dir: makeTestDir('registry'), auth })
    const reference = await registry.push(imageFile('web-v1'), 'team/web:v1')
    const { username, password } = registryAccount
    await pullThroughCri(containerd, reference, auth === 'none' ? undefined : registryAccount)
    const config = makeTestDir('docker-config')
    const client = ['--config', config, '-H', docker.engine.endpoint]
    if (auth !== 'none') {
      await expect(runChecked('docker', [...client, 'pull', reference])).rejects.toThrow()
      const { code } = await runCommand('docker', [...client, 'login', '-u', username, '--password-stdin', registry.host], {
        input: password,
      })
      expect(code).toBe(0)
    }
    await runChecked('docker', [...client, 'pull', reference])
    for (const { engine } of [containerd, docker])
      expect((await listImages(engine, { clock })).flatMap(({ tags }) => tags)).toContain(reference)
    await registry.stop()
    await rm(config, { recursive: true })
  })

  test('over HTTPS is trusted by the certificate of its authority', async () => {
    const registry = await startRegistry({ dir: makeTestDir('registry'), tls: true })
    const reference = await registry.push(imageFile('web-v1'), 'team/web:v1')
    await expect(pullThroughCri(containerd, reference)).rejects.toThrow()
    await registry.trustIn(join(containerdDir, 'containerd/certs.d'))
    await pullThroughCri(containerd, reference)
    await registry.stop()
  })
})

/** runtime.v1.ImageService/PullImage: image = 1 (ImageSpec: image = 1), auth = 2 (AuthConfig: username = 1, password = 2). */
async function pullThroughCri(engine: TestEngine, reference: string, account?: { username: string; password: string }): Promise<void> {
  const field = (number: number, bytes: Uint8Array | string): Buffer => {
    const body = Buffer.from(bytes)
    return Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body])
  }
  const auth = account === undefined ? Buffer.alloc(0) : field(2, Buffer.concat([field(1, account.username), field(2, account.password)]))
  const message = Buffer.concat([field(1, field(1, reference)), auth])
  await unaryCall(socketPath(engine.engine.endpoint), '/runtime.v1.ImageService/PullImage', message, { clock, timeoutMs: 60_000 })
}
