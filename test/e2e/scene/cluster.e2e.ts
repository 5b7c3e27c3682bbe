// One command brings up a cluster that tells what it is, and refuses bad input with a line that says what to do.
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CommandResult, runCommand } from '#platform/process'
import { eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { makeTestDir } from '../../tools/names.ts'
import { removeTestDir } from '../../tools/remove-test-dir.ts'
import { engines, field, statusOf } from './scene.ts'

const program = join(import.meta.dirname, '../../../navarch')

describe.each(engines)('a cluster, on %s', (engine) => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: [] })
  })
  afterAll(() => cluster?.stop())

  test('has one node, Ready, and tells its version', async () => {
    const line = await cluster.kubectl('get', 'nodes', '--no-headers')
    expect(line).toMatch(/^\S+\s+Ready\s+(control-plane|<none>)\s+\d+s\s+v1\.36\.\d+\+navarch\n$/)
    expect(await cluster.kubectl('version')).toMatch(/^Server Version: v1\.36\.\d+\+navarch$/m)
    const runtime = await field(cluster, 'nodes', '{.items[0].status.nodeInfo.containerRuntimeVersion}')
    expect(runtime).toMatch(new RegExp(`^${engine}://\\d+\\.\\d+`))
  })

  test('says check by check that it is ready, live and healthy', async () => {
    for (const path of ['readyz', 'livez', 'healthz']) {
      const text = await cluster.kubectl('get', '--raw', `/${path}?verbose`)
      expect(text).toMatch(/^\[\+\]ping ok$/m)
      expect(text.trim().split('\n').at(-1)).toBe(`${path} check passed`)
      expect(await cluster.kubectl('get', '--raw', `/${path}`)).toBe('ok')
    }
  })

  test('has cluster DNS as a Service, and no component lacks a right that it needs', async () => {
    const found = await cluster.kubectl('get', 'service', '-n', 'kube-system', 'kube-dns', '-o', 'jsonpath={.spec.ports[*].name}')
    expect(found).toBe('dns dns-tcp')
    for (const role of ['controllers', 'node']) {
      expect(readFileSync(join(cluster.dataDir, 'logs', `${role}.log`), 'utf8')).not.toMatch(/is forbidden: User/)
    }
  })

  test('tells what it serves and where', async () => {
    const { server } = await statusOf(cluster)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: kubectl colours this output whatever it is written to.
    const text = (await cluster.kubectl('cluster-info')).replace(/\u001b\[[\d;]*m/g, '')
    expect(text).toContain(`Kubernetes control plane is running at ${server}\n`)
    const resources = await cluster.kubectl('api-resources', '--no-headers')
    for (const row of [
      /^pods\s+po\s+v1\s+true\s+Pod$/m,
      /^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m,
      /^nodes\s+no\s+v1\s+false\s+Node$/m,
    ]) {
      expect(resources).toMatch(row)
    }
    expect((await cluster.kubectl('api-versions')).split('\n')).toEqual(
      expect.arrayContaining(['v1', 'apps/v1', 'batch/v1', 'discovery.k8s.io/v1']),
    )
  })

  test('tells scripts its state', async () => {
    const { code, stdout } = await cluster.navarch('status', '--output', 'json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      name: cluster.name,
      state: 'running',
      serverReady: true,
      engine,
      dataDir: cluster.dataDir,
      kubeconfig: cluster.kubeconfig,
    })
    const { processes } = await statusOf(cluster)
    expect(processes.map(({ role, running }) => `${role} ${running}`)).toEqual(
      ['apiserver', 'controllers', 'node', ...(engine === 'containerd' ? ['containerd'] : [])].map((role) => `${role} true`),
    )
    expect((await cluster.navarch('status')).stdout).toContain(`cluster     ${cluster.name} (running)\n`)
  })

  test('goes down and comes up again with all its data', async () => {
    await cluster.kubectl('create', 'configmap', 'kept', '--from-literal=a=b')
    const uid = await field(cluster, 'configmap/kept', '{.metadata.uid}')
    const down = await cluster.navarch('down')
    expect(down).toMatchObject({ code: 0, stderr: '' })
    expect(down.stdout).toContain(`cluster ${cluster.name} is down; its data stays in ${cluster.dataDir}\n`)
    const stopped = await cluster.navarch('status', '--output', 'json')
    expect([stopped.code, JSON.parse(stopped.stdout).state]).toEqual([1, 'stopped'])
    expect(await cluster.navarch('down')).toMatchObject({ code: 0, stderr: '' })
    expect(await cluster.navarch('up')).toMatchObject({ code: 0, stderr: '' })
    expect(await field(cluster, 'configmap/kept', '{.metadata.uid}')).toBe(uid)
  })
})

describe('bad input', () => {
  const dir = makeTestDir('bad')
  const listeners: Server[] = []
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ engine: 'fake' })
  })
  afterAll(async () => {
    await cluster?.stop()
    for (const listener of listeners) listener.close()
    await removeTestDir(dir)
  })

  const run = (...args: string[]): Promise<CommandResult> =>
    runCommand(program, args, { env: { ...process.env, NAVARCH_DATA_DIR: join(dir, 'data'), NAVARCH_NO_BUILD: '1' } })
  /** One line, no trace, and nothing was made. */
  const refused = (result: CommandResult, code: number, words: string | RegExp): void => {
    expect(result).toMatchObject({ code, stdout: '' })
    expect(result.stderr).toMatch(/^[^\n]+\n$/)
    if (typeof words === 'string') expect(result.stderr).toBe(`navarch: ${words}\n`)
    else expect(result.stderr).toMatch(words)
    expect(existsSync(join(dir, 'data/cluster.json'))).toBe(false)
  }

  test('a port in use', async () => {
    const listener = createServer()
    listeners.push(listener)
    const port = await new Promise<number>((resolve) =>
      listener.listen(0, '0.0.0.0', () => resolve((listener.address() as { port: number }).port)),
    )
    refused(
      await run('up', '--engine', 'fake', '--api-port', String(port)),
      1,
      `port ${port} is in use by another program: stop it, or choose another port with --api-port`,
    )
  })

  test('an engine that is not there', async () => {
    const docker = await run('up', '--docker-host', `unix://${dir}/none.sock`, '--api-port', '39443')
    refused(docker, 1, new RegExp(`^navarch: .*${dir}/none\\.sock`))
    const cri = await run('up', '--cri-endpoint', `unix://${dir}/none.sock`, '--api-port', '39443')
    refused(cri, 1, new RegExp(`^navarch: .*${dir}/none\\.sock`))
  })

  test('nobody but root', async () => {
    const args = [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      join(program, '../dist/navarch.js'),
      'up',
      '--data-dir',
      join(dir, 'data'),
    ]
    refused(await runCommand('setpriv', args), 1, 'containers, networks and mounts need root: run this as root, or with sudo')
  })

  test.each([
    [['up', '--api-port', 'x'], /^navarch: --api-port x: a whole number from 1 to 65535 is needed$/m],
    [['up', '--name', 'A b'], /^navarch: --name A b: use lower-case letters/m],
    [['up', '--pod-cidr', '10.0.0.0'], /^navarch: --pod-cidr 10\.0\.0\.0: give an IPv4 range/m],
    [['up', '--node-port-range', '5-1'], /^navarch: --node-port-range 5-1: give the first and the last port/m],
    [['up', '--engine', 'other'], /Allowed choices are auto, docker, containerd, fake/],
    [['up', '--no-such'], /unknown option '--no-such'/],
    [['no-such'], /unknown command 'no-such'/],
    [['image', 'import'], /missing required argument 'files'/],
  ])('wrong usage: %j', async (args, words) => {
    const { code, stderr } = await run(...args)
    expect(code).toBe(2)
    expect(stderr).toMatch(words)
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(join(dir, 'data/cluster.json'))).toBe(false)
  })

  test('other settings for a cluster that is there', async () => {
    const { code, stderr } = await cluster.navarch('up', '--pod-cidr', '10.9.0.0/16')
    expect(code).toBe(2)
    expect(stderr).toMatch(/^navarch: the cluster in \S+ was made with --pod-cidr \S+: leave --pod-cidr out, or use another --data-dir\n$/)
  })

  test('a store that another process holds', async () => {
    await cluster.kubectl('create', 'configmap', 'safe', '--from-literal=a=b')
    const env = { ...process.env, NAVARCH_DATA_DIR: cluster.dataDir, NAVARCH_NO_BUILD: '1' }
    const second = await runCommand(program, ['server', '--components', 'apiserver'], { env })
    expect(second).toMatchObject({ code: 1, stdout: '' })
    expect(second.stderr).toMatch(
      /^navarch: the apiserver of the cluster in \S+ runs already, as process \d+: stop it first, or use another --data-dir\n$/,
    )
    await eventually(
      'the first to go on',
      () => cluster.tryKubectl('get', 'configmap', 'safe'),
      ({ code }) => code === 0,
    )
    expect((await statusOf(cluster)).state).toBe('running')
  })

  test('no cluster where one is asked of', async () => {
    for (const args of [['status'], ['kubectl', 'get', 'pods'], ['image', 'list']]) {
      refused(await run(...args), 1, /there is no cluster in \S+/)
    }
  })
})
