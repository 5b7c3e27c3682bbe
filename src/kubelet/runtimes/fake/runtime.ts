// The fake driver: the verbs of ContainerRuntime over an engine in memory.
import { Duplex, PassThrough } from 'node:stream'
import { deferred } from '../deferred.ts'
import {
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ContainerSummary,
  type ExecOptions,
  type ProcessStreams,
  RuntimeError,
  type RuntimeEvent,
  type Sandbox,
} from '../runtime.ts'
import type { FakeContainer, FakeEngine, FakeSandbox } from './engine.ts'
import type { RunningProcess } from './program.ts'

const outputBytesDefault = 16_384

/** A driver over the engine. Several may be open at once, and one after another: what they see is the engine's. */
export function openFakeRuntime(engine: FakeEngine): ContainerRuntime {
  const { clock } = engine
  const container = (id: string): FakeContainer => {
    const found = engine.containers.get(id)
    if (found === undefined) throw new RuntimeError('notFound', `container "${id}" not found`)
    return found
  }
  const running = (id: string): FakeContainer & { process: RunningProcess } => {
    const found = container(id)
    if (found.process === undefined) throw new RuntimeError('notRunning', `container "${id}" is not running`)
    return found as FakeContainer & { process: RunningProcess }
  }
  const start = async (id: string, options: ExecOptions): Promise<ProcessStreams & { kill(): void }> => {
    const found = running(id)
    return execIn(engine, found, options)
  }
  const closing = new AbortController()

  return {
    info: { name: 'fake', version: '1.0.0', apiVersion: 'v1', cgroupDriver: 'cgroupfs' },
    async readiness() {
      await engine.perform('readiness')
      const networkMessage = engine.networkReady ? '' : 'the node has no pod range yet'
      return { runtimeReady: true, runtimeMessage: '', networkReady: engine.networkReady, networkMessage }
    },
    async setPodCidr(cidr) {
      engine.setPodCidr(cidr)
    },
    async runSandbox(config) {
      await engine.perform('runSandbox', config.podName)
      return sandboxOf(engine.addSandbox(config))
    },
    async stopSandbox(id) {
      await engine.perform('stopSandbox', id)
      const sandbox = engine.sandboxes.get(id)
      if (sandbox !== undefined) engine.stopSandbox(sandbox)
    },
    async removeSandbox(id) {
      await engine.perform('removeSandbox', id)
      const sandbox = engine.sandboxes.get(id)
      if (sandbox !== undefined) engine.removeSandbox(sandbox)
    },
    async sandboxStatus(id) {
      await engine.perform('sandboxStatus', id)
      const sandbox = engine.sandboxes.get(id)
      return sandbox === undefined ? undefined : sandboxOf(sandbox)
    },
    async listSandboxes() {
      await engine.perform('listSandboxes')
      return [...engine.sandboxes.values()].map(sandboxOf)
    },
    async networkNamespace(id) {
      const sandbox = engine.sandboxes.get(id)
      return sandbox?.ready && sandbox.config.network === 'pod' ? `/fake/netns/${id}` : undefined
    },
    async createContainer(sandboxId, config) {
      await engine.perform('createContainer', config.name)
      const sandbox = engine.sandboxes.get(sandboxId)
      if (sandbox === undefined) throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      if (!sandbox.ready) throw new RuntimeError('notRunning', `sandbox "${sandboxId}" is not running`)
      return engine.addContainer(sandbox, config).id
    },
    async startContainer(id) {
      await engine.perform('startContainer', id)
      const found = container(id)
      if (found.state !== 'created') throw new RuntimeError('invalid', `container "${id}" is in state ${found.state}`)
      engine.start(found)
    },
    async stopContainer(id, graceSeconds) {
      await engine.perform('stopContainer', id)
      const found = engine.containers.get(id)
      if (found?.process === undefined) return
      await stop(engine, found, graceSeconds)
    },
    async removeContainer(id) {
      await engine.perform('removeContainer', id)
      const found = engine.containers.get(id)
      if (found !== undefined) engine.removeContainer(found)
    },
    async listContainers() {
      await engine.perform('listContainers')
      return [...engine.containers.values()].map(summaryOf)
    },
    async containerStatus(id) {
      await engine.perform('containerStatus', id)
      const found = engine.containers.get(id)
      return found === undefined ? undefined : statusOf(engine, found)
    },
    async updateResources(id, resources) {
      await engine.perform('updateResources', id)
      const found = container(id)
      found.resources = { ...found.resources, ...resources }
    },
    async reopenLog(id) {
      await engine.perform('reopenLog', id)
      running(id).log?.reopen()
    },
    async execSync(id, command, timeoutMs, outputBytesMax = outputBytesDefault) {
      await engine.perform('execSync', id)
      const streams = await start(id, { command, stdin: false, stdout: true, stderr: true, tty: false })
      const output = { stdout: collect(streams.io, outputBytesMax), stderr: collect(streams.stderr, outputBytesMax) }
      const late = new RuntimeError('timeout', `command "${command.join(' ')}" timed out`)
      let timer: { cancel(): void } | undefined
      const deadline = new Promise<never>((_, reject) => {
        timer = clock.after(timeoutMs, () => {
          reject(late)
          streams.kill()
        })
      })
      try {
        const exitCode = (await Promise.race([streams.exit, deadline])) ?? 0
        return { exitCode, stdout: await output.stdout, stderr: await output.stderr }
      } finally {
        timer?.cancel()
      }
    },
    async exec(id, options) {
      await engine.perform('exec', id)
      return start(id, options)
    },
    async attach(id, options) {
      await engine.perform('attach', id)
      return attachTo(running(id), options)
    },
    async portForward(sandboxId, port) {
      await engine.perform('portForward', sandboxId)
      const sandbox = engine.sandboxes.get(sandboxId)
      if (sandbox === undefined) throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      const accept = sandbox.listeners.get(port)
      if (accept === undefined) throw new RuntimeError('unavailable', `dial tcp4 127.0.0.1:${port}: connect: connection refused`)
      const [near, far] = duplexPair()
      accept(far)
      return near
    },
    async imageStatus(image) {
      await engine.perform('imageStatus', image)
      return engine.image(image)
    },
    async pullImage(image, _auth, signal) {
      await engine.perform('pullImage', image)
      return engine.pull(image, signal)
    },
    async listImages() {
      await engine.perform('listImages')
      return engine.images()
    },
    async removeImage(image) {
      await engine.perform('removeImage', image)
      engine.removeImage(image)
    },
    async imageFilesystem() {
      return { path: '/', usedBytes: engine.images().reduce((sum, i) => sum + i.sizeBytes, 0), inodesUsed: 0 }
    },
    async listStats() {
      await engine.perform('listStats')
      return [...engine.containers.values()].filter((c) => c.state === 'running').map((c) => statsOf(engine, c))
    },
    watch(onEvent: (event: RuntimeEvent) => void, signal) {
      return new Promise((resolve) => {
        const ended = AbortSignal.any([signal, closing.signal])
        if (ended.aborted) return resolve()
        engine.listeners.add(onEvent)
        ended.addEventListener('abort', () => {
          engine.listeners.delete(onEvent)
          resolve()
        })
      })
    },
    async close() {
      closing.abort()
    },
  }
}

function identityOf(sandbox: FakeSandbox): { podUid: string; podName: string; podNamespace: string } {
  const { podUid, podName, podNamespace } = sandbox.config
  return { podUid, podName, podNamespace }
}

function sandboxOf(sandbox: FakeSandbox): Sandbox {
  const { id, config, createdAt, ready } = sandbox
  return {
    ...identityOf(sandbox),
    id,
    attempt: config.attempt,
    state: ready ? 'ready' : 'notready',
    createdAt,
    ips: ready ? sandbox.ips : [],
    labels: config.labels,
    annotations: config.annotations,
  }
}

function summaryOf(container: FakeContainer): ContainerSummary {
  const { id, sandbox, config, createdAt, state } = container
  return {
    ...identityOf(sandbox),
    id,
    sandboxId: sandbox.id,
    name: config.name,
    attempt: config.attempt,
    state,
    createdAt,
    image: config.image,
    imageRef: config.imageRef,
    labels: config.labels,
    annotations: config.annotations,
  }
}

function statusOf(engine: FakeEngine, container: FakeContainer): ContainerStatus {
  const { startedAt, finishedAt, exitCode, reason, message, resources, config, sandbox } = container
  return {
    ...summaryOf(container),
    startedAt,
    finishedAt,
    exitCode,
    reason,
    message,
    resources,
    imageId: engine.image(config.imageRef)?.repoDigests[0] ?? config.imageRef,
    logPath: `${sandbox.config.logDirectory}/${config.logPath}`,
    ...(container.state === 'running' ? { pid: 1 } : {}),
  }
}

function statsOf(engine: FakeEngine, container: FakeContainer): ContainerStats {
  const { cpuMillis, memoryBytes } = engine.usage(container)
  const now = engine.clock.now()
  return {
    ...identityOf(container.sandbox),
    id: container.id,
    name: container.config.name,
    timestamp: now,
    cpuUsageNanoSeconds: (now - container.startedAt) * cpuMillis * 1000,
    memoryWorkingSetBytes: memoryBytes,
    memoryUsageBytes: memoryBytes,
    memoryRssBytes: memoryBytes,
    memoryPageFaults: 0,
    memoryMajorPageFaults: 0,
    rootfsUsedBytes: 0,
    rootfsInodesUsed: 0,
  }
}

async function stop(engine: FakeEngine, container: FakeContainer, graceSeconds: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      engine.listeners.delete(listen)
      timer?.cancel()
      resolve()
    }
    const listen = (event: RuntimeEvent): void => {
      if (event.type === 'containerExited' && event.containerId === container.id) done()
    }
    engine.listeners.add(listen)
    const timer = graceSeconds > 0 ? engine.clock.after(graceSeconds * 1000, () => container.process?.signal('SIGKILL')) : undefined
    const { stopSignal } = container.config
    container.process?.signal(graceSeconds > 0 ? stopSignal || 'SIGTERM' : 'SIGKILL')
  })
}

function execIn(engine: FakeEngine, container: FakeContainer, options: ExecOptions): ProcessStreams & { kill(): void } {
  const { command, tty } = options
  // An exec that the fake knows nothing about succeeds at once: a probe or hook of a simulated pod.
  const program = engine.programFor(command, (process) => process.exit(0))
  if (program === undefined) throw new RuntimeError('startFailed', `exec: "${command[0]}": stat ${command[0]}: no such file or directory`)
  const stdout = new PassThrough()
  const stderr = tty ? undefined : new PassThrough()
  const exit = deferred<number>()
  const process = engine.launch(container, command, {
    tty,
    hasStdin: options.stdin,
    onOutput(stream, data) {
      if (stream === 'stdout' && options.stdout) stdout.write(data)
      if (stream === 'stderr' && options.stderr) stderr?.write(data)
    },
    onExit(code) {
      stdout.end()
      stderr?.end()
      exit.resolve(code)
    },
  })
  const io = streamOf(stdout, options.stdin ? process : undefined)
  program(process)
  return {
    io,
    ...(stderr === undefined ? {} : { stderr }),
    exit: exit.promise,
    async resize(columns, rows) {
      process.resize({ columns, rows })
    },
    close: () => process.signal('SIGKILL'),
    kill: () => process.signal('SIGKILL'),
  }
}

function attachTo(container: FakeContainer & { process: RunningProcess }, options: Omit<ExecOptions, 'command'>): ProcessStreams {
  const { process } = container
  const stdout = new PassThrough()
  const stderr = options.tty ? undefined : new PassThrough()
  const exit = deferred<undefined>()
  const watcher = (stream: 'stdout' | 'stderr', data: Buffer | undefined): void => {
    if (data === undefined) {
      stdout.end()
      stderr?.end()
      exit.resolve(undefined)
    } else if (stream === 'stdout' && options.stdout) stdout.write(data)
    else if (stream === 'stderr' && options.stderr) stderr?.write(data)
  }
  container.watchers.add(watcher)
  // Ending the attach ends the process's stdin only when it was meant for one client.
  const io = streamOf(stdout, options.stdin && container.config.stdin ? process : undefined, container.config.stdinOnce)
  return {
    io,
    ...(stderr === undefined ? {} : { stderr }),
    exit: exit.promise,
    async resize(columns, rows) {
      process.resize({ columns, rows })
    },
    close() {
      container.watchers.delete(watcher)
      stdout.end()
      stderr?.end()
      exit.resolve(undefined)
    },
  }
}

function streamOf(stdout: PassThrough, process: RunningProcess | undefined, endsStdin = true): Duplex {
  const io = new Duplex({
    read: () => stdout.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (process !== undefined && !process.ended) process.stdin.write(chunk)
      done()
    },
    final(done) {
      if (endsStdin && process !== undefined && !process.ended) process.stdin.end()
      done()
    },
  })
  stdout.on('data', (chunk: Buffer) => {
    if (!io.push(chunk)) stdout.pause()
  })
  stdout.on('end', () => io.push(null))
  stdout.pause()
  return io
}

async function collect(stream: NodeJS.ReadableStream | undefined, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream ?? []) {
    const data = Buffer.from(chunk).subarray(0, bytesMax - bytes)
    bytes += data.length
    chunks.push(data)
  }
  return Buffer.concat(chunks)
}

function duplexPair(): [Duplex, Duplex] {
  const waiting: [(() => void)?, (() => void)?] = []
  const half = (index: number, other: () => Duplex): Duplex =>
    new Duplex({
      read() {
        const go = waiting[index]
        waiting[index] = undefined
        go?.()
      },
      write(chunk, _encoding, done) {
        if (other().push(chunk)) return done()
        waiting[1 - index] = () => done()
      },
      final(done) {
        other().push(null)
        done()
      },
      destroy(error, done) {
        // As a reset connection: the other side ends too.
        if (!other().destroyed) other().destroy()
        done(error)
      },
    })
  const near: Duplex = half(0, () => far)
  const far: Duplex = half(1, () => near)
  return [near, far]
}
