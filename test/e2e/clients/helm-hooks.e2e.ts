// Helm 4 where things go wrong or are out of the ordinary: hooks in their order and with their ends, failures and the way back, both ways
// of applying, ownership, big releases, history.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, startClientCluster } from './client-cluster.ts'

const chart = join(import.meta.dirname, 'hooks-chart')

describe('helm 4, with a chart of hooks', () => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  let helm: ClientCluster['helm']
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = cluster.kubectl
    helm = cluster.helm
  })
  afterAll(() => cluster?.stop())

  const patiently = ['--wait', '--timeout=60s']
  const at = (resource: string, path: string): Promise<string> => kubectl.run('get', ...resource.split(' '), '-o', `jsonpath=${path}`)
  const unhooked = [...patiently, '--no-hooks']
  const hooks = async (kind: string): Promise<string> =>
    (await at(`pods -l hook=${kind},release=h`, '{.items[*].metadata.name}')).replaceAll(`-${kind}-`, ':')
  const statuses = async (release: string): Promise<string[]> =>
    (JSON.parse(await helm.run('history', release, '-o', 'json')) as { status: string }[]).map(({ status }) => status)
  const managers = (release: string): Promise<string> =>
    at(`deployment ${release} --show-managed-fields`, '{range .metadata.managedFields[*]}{.manager}:{.operation} {end}')

  test('hooks run in the order of their weights, and go or stay as their policies say', async () => {
    await helm.run('install', 'h', chart, ...patiently)
    expect([await hooks('pre-install'), await hooks('post-install')]).toEqual([
      'h:before-hook-creation h:hook-failed',
      'h:before-hook-creation h:hook-failed',
    ])
    const started = await kubectl.run(
      'get',
      'events',
      '--field-selector=reason=Scheduled',
      '--sort-by=.metadata.resourceVersion',
      '-o',
      'name',
    )
    const order = [...started.matchAll(/event\/h-(pre|post)-install-(\w+)-/g)].map(([, when, policy]) => `${when} ${policy}`)
    expect(order.slice(0, 3)).toEqual(['pre hook', 'pre before', 'pre hook'])
    expect(await at('configmap h', '{.data.kubeVersion} {.data.hasApps} {.data.namespaceKnown}')).toMatch(
      /^v1\.36\.\d+\+navarch true true$/,
    )
    expect(await helm.run('install', 'dry', chart, '--dry-run=server')).toMatch(/hasApps: "true"/)
  })

  test('a hook that does not end fails the upgrade before anything changes; the next one goes on from there', async () => {
    expect(await helm.refused('upgrade', 'h', chart, '--set', 'failing=pre-upgrade,replicas=2', '--timeout=1s')).toContain(
      'UPGRADE FAILED: pre-upgrade hooks failed: resource Pod/default/h-pre-upgrade-hook-succeeded not ready. status: InProgress',
    )
    expect([await statuses('h'), await at('deployment h', '{.spec.replicas}')]).toEqual([['deployed', 'failed'], '1'])
    await helm.run('upgrade', 'h', chart, '--timeout=60s')
    expect(await statuses('h')).toEqual(['superseded', 'failed', 'deployed'])
  })

  test('--rollback-on-failure brings back what was, or removes what was to be', async () => {
    const failing = ['--rollback-on-failure', '--timeout=2s']
    expect(await helm.refused('upgrade', 'h', chart, '--set', 'failing=post-upgrade,replicas=2', ...failing)).toContain(
      'release h failed, and has been rolled back due to rollback-on-failure being set',
    )
    expect([(await statuses('h')).slice(-2), await at('deployment h', '{.spec.replicas}')]).toEqual([['failed', 'deployed'], '1'])
    expect(await helm.refused('install', 'g', chart, '--set', 'failing=post-install', ...failing)).toContain(
      'release g failed, and has been uninstalled due to rollback-on-failure being set',
    )
    expect(await helm.run('list', '--short')).toBe('h\n')
    expect(await kubectl.run('get', 'deployment', 'g', '--ignore-not-found')).toBe('')
  })

  test('applied on the server: the manager is helm, and conflicts are told until they are forced', async () => {
    expect(await managers('h')).toMatch(/^helm:Apply /)
    await kubectl.run('scale', 'deployment', 'h', '--replicas=4')
    expect(await helm.refused('upgrade', 'h', chart, '--set', 'replicas=2')).toContain(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    )
    await helm.run('upgrade', 'h', chart, '--set', 'replicas=2', '--force-conflicts', ...patiently)
    expect(await at('deployment h', '{.spec.replicas}')).toBe('2')
  })

  test('applied by the client, and handed over to the server', async () => {
    await helm.run('install', 'c', chart, '--server-side=false', ...unhooked)
    await helm.run('upgrade', 'c', chart, '--set', 'replicas=2', ...unhooked)
    expect([await managers('c'), await at('deployment c', '{.spec.replicas}')]).toEqual([expect.stringMatching(/helm:Update /), '2'])
    await helm.run('upgrade', 'c', chart, '--server-side=true', '--force-conflicts', '--set', 'replicas=3', ...unhooked)
    expect([await managers('c'), await at('deployment c', '{.spec.replicas}')]).toEqual([expect.stringMatching(/^helm:Apply /), '3'])
    expect(await helm.run('get', 'metadata', 'c')).toContain('APPLY_METHOD: server-side apply')
  })

  test('what is another’s is not taken, unless told to; what is to be kept is kept', async () => {
    await kubectl.run('create', 'configmap', 'o-kept')
    expect(await helm.refused('install', 'o', chart)).toContain(
      'ConfigMap "o-kept" in namespace "default" exists and cannot be imported into the current release: invalid ownership metadata',
    )
    await helm.run('install', 'o', chart, '--take-ownership', ...unhooked)
    expect(await helm.run('uninstall', 'o', ...unhooked)).toContain(
      'These resources were kept due to the resource policy:\n[ConfigMap] o-kept',
    )
    expect(await kubectl.run('get', 'configmap', 'o-kept', '-o', 'name')).toBe('configmap/o-kept\n')
  })

  test('uninstalled with its history, a release is known and comes back', async () => {
    await helm.run('uninstall', 'h', '--keep-history', ...patiently)
    expect([await helm.run('list', '--deployed', '--short'), await helm.run('list', '--uninstalled', '--short')]).toEqual(['c\n', 'h\n'])
    expect(await kubectl.run('get', 'deployment', 'h', '--ignore-not-found')).toBe('')
    expect([await hooks('pre-delete'), await hooks('post-delete')]).toEqual([
      'h:before-hook-creation h:hook-failed',
      'h:before-hook-creation h:hook-failed',
    ])
    expect(await helm.run('rollback', 'h', '1', ...patiently)).toBe('Rollback was a success! Happy Helming!\n')
    expect(JSON.parse(await helm.run('status', 'h', '-o', 'json')).info).toMatchObject({ status: 'deployed', description: 'Rollback to 1' })
  })

  test('a release near the limit of a secret is kept and removed; one beyond it is refused', async () => {
    await helm.run('install', 'big', chart, '--set', 'ballast=900', '--no-hooks', '--timeout=60s')
    expect((await helm.run('get', 'manifest', 'big')).length).toBeGreaterThan(900_000)
    expect(await at('secrets -l owner=helm,name=big', '{.items[*].metadata.labels.status}')).toBe('deployed')
    await helm.run('uninstall', 'big', '--no-hooks', '--timeout=60s')
    expect(await helm.refused('install', 'huge', chart, '--set', 'ballast=1600')).toContain(
      'Secret "sh.helm.release.v1.huge.v1" is invalid: data: Too long: may not be more than 1048576 bytes',
    )
  })
})
