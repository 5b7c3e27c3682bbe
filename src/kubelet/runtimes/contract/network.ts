// Contract: the pod network on real engines: reaching pods, host ports, bandwidth, forwarding to servers on ::1.
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { SandboxConfig } from '../runtime.ts'
import { drain, type RuntimeHarness, until, withPod } from './harness.ts'

const run = promisify(execFile)

/** What an echo server at the place sends back, or the error's code. */
function echo(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('connect', () =>
      drain(socket).then(
        (data) => resolve(data.toString()),
        () => undefined,
      ),
    )
    socket.end(text)
  })
}

async function nodeAddress(): Promise<string> {
  const { stdout } = await run('ip', ['-4', '-o', 'addr', 'show', 'scope', 'global'])
  return /inet ([0-9.]+)/.exec(stdout)?.[1] ?? '127.0.0.1'
}

export function describeNetwork(get: () => RuntimeHarness): void {
  test('the node reaches a pod, and pods reach each other by address', async () => {
    const h = get()
    await withPod(h, {}, async (one) => {
      await one.run('server', { do: 'echoServer', port: 7007 })
      const ip = one.sandbox.ips[0]!
      await until(h, 'the server', async () => (await echo(ip, 7007, 'hi')) === 'hi')
      await withPod(h, {}, async (two) => {
        const client = await two.run('client', { do: 'run' })
        const { stdout } = await h.runtime.execSync(client, ['sh', '-c', `echo over | nc ${ip} 7007`], 30_000)
        expect(`${stdout}`).toBe('over\n')
      })
    })
  })

  test('the address of a pod that has gone refuses connections at once, from the node and from pods', async () => {
    const h = get()
    let gone = ''
    await withPod(h, {}, async (pod) => {
      gone = pod.sandbox.ips[0]!
    })
    expect(await echo(gone, 7007, 'anybody')).toBe('EHOSTUNREACH')
    await withPod(h, {}, async (pod) => {
      // Addresses are given out in turn, so the next pod has another one.
      expect(pod.sandbox.ips).not.toContain(gone)
      const client = await pod.run('client', { do: 'run' })
      const { stdout } = await h.runtime.execSync(client, ['sh', '-c', `echo anybody | nc ${gone} 7007 2>&1; true`], 30_000)
      expect(`${stdout}`).toContain('No route to host')
    })
  })

  test('a host port answers on 127.0.0.1, on the node’s address and to the pod itself, and is gone with the pod', async () => {
    const h = get()
    const hostPort = 38_171
    const node = await nodeAddress()
    const hostPorts: SandboxConfig['hostPorts'] = [{ protocol: 'TCP', containerPort: 7007, hostPort }]
    await withPod(h, { hostPorts }, async (pod) => {
      const id = await pod.run('server', { do: 'echoServer', port: 7007 })
      await until(h, 'the server', async () => (await echo(pod.sandbox.ips[0]!, 7007, 'hi')) === 'hi')
      expect(await echo('127.0.0.1', hostPort, 'loop')).toBe('loop')
      expect(await echo(node, hostPort, 'node')).toBe('node')
      const { stdout } = await h.runtime.execSync(id, ['sh', '-c', `echo self | nc ${node} ${hostPort}`], 30_000)
      expect(`${stdout}`).toBe('self\n')
      await h.reopen()
      expect(await echo(node, hostPort, 'still')).toBe('still')
      await h.runtime.stopSandbox(pod.sandbox.id)
      expect(await echo('127.0.0.1', hostPort, 'late')).toBe('ECONNREFUSED')
    })
    expect(await h.residue()).toEqual([])
  })

  test('bandwidth limits are shapers on the pod’s link, and go with it', async () => {
    const h = get()
    await withPod(h, { ingressBandwidth: 10_000_000, egressBandwidth: 20_000_000 }, async (pod) => {
      const { stdout: route } = await run('ip', ['-o', 'route', 'get', pod.sandbox.ips[0]!])
      const link = / dev (\S+)/.exec(route)![1]!
      const { stdout: shapers } = await run('tc', ['qdisc', 'show', 'dev', link])
      expect(shapers).toContain('tbf')
      expect(shapers).toContain('rate 10Mbit')
      expect(shapers).toContain('ingress')
    })
    expect(await h.residue()).toEqual([])
  })

  test('a connection is forwarded to a server that listens on ::1 alone', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      await pod.run('server', ['sh', '-c', 'echo found > /tmp/index.html; exec httpd -f -p [::1]:7009 -h /tmp'])
      const connection = await until(h, 'the server', () => h.runtime.portForward(pod.sandbox.id, 7009).catch(() => undefined))
      connection.end('GET / HTTP/1.0\r\n\r\n')
      expect(`${await drain(connection)}`).toContain('found')
    })
  })

  test('a connection is forwarded to a server on the host network', async () => {
    const h = get()
    await withPod(h, { network: 'node' }, async (pod) => {
      await pod.run('server', { do: 'echoServer', port: 38_172 })
      const connection = await until(h, 'the server', () => h.runtime.portForward(pod.sandbox.id, 38_172).catch(() => undefined))
      connection.end('host')
      expect(`${await drain(connection)}`).toBe('host')
    })
  })

  test('many pods at once all get their own address', async () => {
    const h = get()
    const addresses = new Set<string>()
    await Promise.all(
      Array.from({ length: 12 }, () =>
        withPod(h, {}, async (pod) => {
          const id = await pod.run('main', { do: 'run' })
          expect((await h.runtime.containerStatus(id))?.state).toBe('running')
          addresses.add(pod.sandbox.ips[0]!)
        }),
      ),
    )
    expect(addresses.size).toBe(12)
    expect(await h.residue()).toEqual([])
  })
}
