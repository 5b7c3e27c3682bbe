// Helm 4 with a chart that has all that charts have: a subchart, hooks, a test, a custom resource definition, look-ups.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

const chart = join(import.meta.dirname, 'chart')

describe('helm 4', () => {
  let cluster: ClientCluster
  let helm: ClientCluster['helm']
  beforeAll(async () => {
    cluster = await startClientCluster()
    helm = cluster.helm
  })
  afterAll(() => cluster?.stop())

  const at = (resource: string, path: string): Promise<string> =>
    cluster.kubectl.run('get', ...resource.split(' '), '-o', `jsonpath=${path}`)
  const image = '{.spec.template.spec.containers[0].image}'
  const history = async (release: string): Promise<string[]> =>
    (JSON.parse(await helm.run('history', release, '-o', 'json')) as { status: string; description: string }[]).map(
      ({ status, description }) => `${status}: ${description}`,
    )
  let password: string

  test('install --wait: definition, hook, everything of chart and subchart, ready', async () => {
    const told = await helm.run('install', 'one', chart, '--wait', '--timeout=100s')
    expect(told).toContain('STATUS: deployed\nREVISION: 1\n')
    expect(told).toContain('Say hello at one-web.default')
    expect(await at('deployment one-web', `{.status.availableReplicas} ${image}`)).toBe('2 navarch.local/web:v1')
    expect(await at('statefulset one-cache', '{.status.readyReplicas} {.spec.template.spec.containers[0].resources.requests.memory}')).toBe(
      '1 16Mi',
    )
    expect(await at('order.shop.example.com one-first', '{.spec.items}')).toBe('1')
    expect(await at('configmap one-config', '{.data.knowsOrders}')).toBe('true')
    expect(await at('job one-pre-install', '{.status.succeeded}')).toBe('1')
    password = await at('secret one-password', '{.data.password}')
    expect(await helm.refused('install', 'one', chart)).toContain('cannot reuse a name that is still in use')
  })

  test('upgrade rolls out what changed; what is looked up stays', async () => {
    await helm.run('upgrade', 'one', chart, '--set', 'tag=v2,greeting=hi', '--wait', '--timeout=100s')
    expect(await at('deployment one-web', `${image} {.status.updatedReplicas}`)).toBe('navarch.local/web:v2 2')
    expect(await at('secret one-password', '{.data.password}')).toBe(password)
    expect(await at('job one-post-upgrade', '{.status.succeeded}')).toBe('1')
    expect(JSON.parse(await helm.run('get', 'values', 'one', '-o', 'json'))).toEqual({ greeting: 'hi', tag: 'v2' })
    expect(await helm.run('get', 'manifest', 'one')).toContain('image: navarch.local/web:v2')
    expect(await helm.run('get', 'hooks', 'one')).toContain('helm.sh/hook: pre-install')
    expect(await helm.run('get', 'notes', 'one')).toContain('Say hi')
  })

  test('a dry run on the server shows what would be and changes nothing', async () => {
    const shown = await helm.run('upgrade', 'one', chart, '--set', 'tag=v3', '--dry-run=server')
    expect(shown).toContain('STATUS: pending-upgrade')
    expect(shown).toContain('image: navarch.local/web:v3')
    expect(shown).toContain(`password: ${password}`)
    expect(await at('deployment one-web', image)).toBe('navarch.local/web:v2')
  })

  test('an upgrade that the server refuses fails and is remembered as such', async () => {
    expect(await helm.refused('upgrade', 'one', chart, '--set', 'replicas=many')).toContain(
      '.spec.replicas: expected numeric (int or float), got string',
    )
    expect((await history('one')).map((line) => line.split(':')[0])).toEqual(['superseded', 'deployed', 'failed'])
  })

  test('test runs the chart’s test pod', async () => {
    expect(await helm.run('test', 'one')).toMatch(/TEST SUITE: +one-answers\n.*\n.*\nPhase: +Succeeded/)
  })

  test('rollback brings the first revision back', async () => {
    await helm.run('rollback', 'one', '1', '--wait', '--timeout=100s')
    expect(await at('deployment one-web', image)).toBe('navarch.local/web:v1')
    expect((await history('one')).at(-1)).toBe('deployed: Rollback to 1')
  })

  test('a second release in a namespace of its own, without the subchart; list and status', async () => {
    await helm.run(
      'upgrade',
      '--install',
      'two',
      chart,
      '--namespace=other',
      '--create-namespace',
      '--set',
      'cache.enabled=false',
      '--wait',
    )
    const releases = JSON.parse(await helm.run('list', '--all-namespaces', '-o', 'json')) as {
      name: string
      namespace: string
      revision: string
    }[]
    expect(releases.map(({ name, namespace, revision }) => [name, namespace, revision])).toEqual([
      ['one', 'default', '4'],
      ['two', 'other', '1'],
    ])
    expect(await helm.run('status', 'two', '--namespace=other')).toMatch(
      /==> v1\/Deployment\nNAME +READY +UP-TO-DATE +AVAILABLE +AGE\ntwo-web +2\/2/,
    )
    expect(await cluster.kubectl.run('get', 'statefulsets', '--namespace=other', '-o', 'name')).toBe('')
  })

  test('uninstall removes what was installed, after its hook; definitions stay', async () => {
    expect(await helm.run('uninstall', 'one', '--wait')).toBe('release "one" uninstalled\n')
    await helm.run('uninstall', 'two', '--namespace=other', '--cascade=foreground', '--wait')
    for (const kind of ['deployments', 'statefulsets', 'orders', 'services', 'secrets']) {
      expect(await cluster.kubectl.run('get', kind, '--all-namespaces', '-o', 'jsonpath={.items[*].metadata.name}')).toBe(
        kind === 'services' ? 'kubernetes' : '',
      )
    }
    expect(await at('job one-pre-delete', '{.status.succeeded}')).toBe('1')
    expect(await cluster.kubectl.run('get', 'crd', '-o', 'name')).toBe(
      'customresourcedefinition.apiextensions.k8s.io/orders.shop.example.com\n',
    )
    expect(JSON.parse(await helm.run('list', '--all-namespaces', '-o', 'json'))).toEqual([])
  })
})
