// Contract: exec, attach and port-forward.
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { ExecOptions } from '../runtime.ts'
import { drain, type RuntimeHarness, readLog, settled, until, withPod } from './harness.ts'

const piped: Omit<ExecOptions, 'command'> = { stdin: false, stdout: true, stderr: true, tty: false }

export function describeStreams(get: () => RuntimeHarness): void {
  test('execSync gives output and exit code, apart by stream', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const command = h.command({ do: 'exit', code: 3, stdout: 'out\n', stderr: 'err\n' })
      const result = await settled(h, h.runtime.execSync(id, command, 30_000))
      expect({ ...result, stdout: `${result.stdout}`, stderr: `${result.stderr}` }).toEqual({
        exitCode: 3,
        stdout: 'out\n',
        stderr: 'err\n',
      })
    })
  })

  test('execSync cuts output at its limit', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const result = await settled(h, h.runtime.execSync(id, h.command({ do: 'longLine', bytes: 50_000 }), 30_000, 1000))
      expect(result.stdout.toString()).toBe('x'.repeat(1000))
      expect(result.exitCode).toBe(0)
    })
  })

  test('execSync that takes too long is a timeout', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const late = h.runtime.execSync(id, h.command({ do: 'exit', code: 0, afterMs: 30_000 }), 1000)
      await expect(settled(h, late)).rejects.toMatchObject({ code: 'timeout' })
    })
  })

  test('a command that is not there is startFailed, in execSync and exec', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const failure = { code: 'startFailed', message: expect.stringContaining('no such file') }
      await expect(h.runtime.execSync(id, ['/no/such/command'], 30_000)).rejects.toMatchObject(failure)
      const exec = h.runtime.exec(id, { ...piped, command: ['/no/such/command'] }).then(async (streams) => {
        streams.io.resume()
        return streams.exit
      })
      await expect(exec).rejects.toMatchObject(failure)
    })
  })

  test('exec keeps stdout and stderr apart and tells the exit code', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const command = h.command({ do: 'exit', code: 9, stdout: 'out\n', stderr: 'err\n' })
      const streams = await h.runtime.exec(id, { ...piped, command })
      const [stdout, stderr, code] = await settled(h, Promise.all([drain(streams.io), drain(streams.stderr), streams.exit]))
      expect([`${stdout}`, `${stderr}`, code]).toEqual(['out\n', 'err\n', 9])
    })
  })

  test('the end of stdin reaches the process, and everything sent before it comes back unchanged', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const sent = randomBytes(3_000_000)
      const streams = await h.runtime.exec(id, { ...piped, stdin: true, command: h.command({ do: 'cat' }) })
      streams.io.end(sent)
      const [stdout, code] = await settled(h, Promise.all([drain(streams.io), streams.exit, drain(streams.stderr)]))
      expect(stdout.equals(sent)).toBe(true)
      expect(code).toBe(0)
    })
  })

  test('exec with a terminal: one stream, the size that was set, the exit code', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const options = { stdin: true, stdout: true, stderr: false, tty: true, command: h.command({ do: 'terminal' }) }
      const streams = await h.runtime.exec(id, options)
      expect(streams.stderr).toBeUndefined()
      let seen = ''
      streams.io.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
      })
      await until(h, 'the terminal', async () => seen.includes('tty\r\n'))
      await streams.resize(101, 37)
      // The size needs a moment to reach the process on some engines.
      await until(h, 'the size', async () => {
        streams.io.write('again\n')
        await h.pass(50)
        return seen.includes('37 101\r\n')
      })
      streams.io.write('end\n')
      expect(await settled(h, streams.exit)).toBe(7)
    })
  })

  test('a terminal without stdin still shows its output', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const command = h.command({ do: 'exit', code: 0, stdout: 'seen\n' })
      const streams = await h.runtime.exec(id, { stdin: false, stdout: true, stderr: false, tty: true, command })
      const [stdout, code] = await settled(h, Promise.all([drain(streams.io), streams.exit]))
      expect([`${stdout}`, code]).toEqual(['seen\r\n', 0])
    })
  })

  test('nothing is run in a container that does not run', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.create('main', { do: 'run' })
      await expect(h.runtime.execSync(id, ['true'], 1000)).rejects.toMatchObject({ code: 'notRunning' })
      await expect(h.runtime.exec(id, { ...piped, command: ['true'] })).rejects.toMatchObject({ code: 'notRunning' })
      await expect(h.runtime.attach(id, piped)).rejects.toMatchObject({ code: 'notRunning' })
    })
  })

  test('attach sees the output from now on and feeds stdin; letting go leaves the process alone', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'cat' }, { stdin: true })
      const first = await h.runtime.attach(id, { ...piped, stdin: true })
      let seen = ''
      first.io.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
      })
      first.io.write('hello\n')
      await until(h, 'the echo', async () => seen === 'hello\n')
      first.close()
      await h.pass(100)
      expect(await h.runtime.containerStatus(id)).toMatchObject({ state: 'running' })
      const { logPath } = (await h.runtime.containerStatus(id))!
      await until(h, 'the log', async () => (await readLog(logPath)).map((l) => l.text).join() === 'hello')
    })
  })

  test('attach to a container whose stdin is for one client: its end ends the process', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'cat' }, { stdin: true, stdinOnce: true })
      const streams = await h.runtime.attach(id, { ...piped, stdin: true })
      streams.io.end('bye\n')
      const [stdout] = await settled(h, Promise.all([drain(streams.io), streams.exit, drain(streams.stderr)]))
      expect(`${stdout}`).toBe('bye\n')
      await until(h, 'the exit', async () => (await h.runtime.containerStatus(id))?.state === 'exited')
    })
  })

  test('a forwarded connection carries bytes both ways, unchanged, and its end', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      await pod.run('main', { do: 'echoServer', port: 7007 })
      const connection = await until(h, 'the server', () => h.runtime.portForward(pod.sandbox.id, 7007).catch(() => undefined))
      const sent = randomBytes(4_000_000)
      connection.end(sent)
      expect((await settled(h, drain(connection))).equals(sent)).toBe(true)
    })
  })

  test('a port where nobody listens refuses', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      await expect(h.runtime.portForward(pod.sandbox.id, 7008)).rejects.toMatchObject({
        name: 'RuntimeError',
        message: expect.stringContaining('connection refused'),
      })
    })
  })
}
