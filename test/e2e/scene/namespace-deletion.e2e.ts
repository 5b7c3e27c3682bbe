// Deleting a namespace: all that was in it goes, from the API and from the node, and the node looks as it did before.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runChecked } from '#platform/process'
import { eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { imageFile } from '../../tools/images.ts'
import { apply, busybox, engineContainers, engines, filesBelow, pod, sandboxNamespaces, service, shell, statusOf, web } from './scene.ts'

describe.each(engines)('deleting a namespace, on %s', (engine) => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: ['busybox-1', 'web-v1'].map(imageFile) })
    // One that stays, so that what all pods share is there before and afterwards.
    await apply(cluster, web('stays', 1), service('stays'))
    await cluster.kubectl('rollout', 'status', 'deployment/stays', '--timeout=120s')
  })
  afterAll(() => cluster?.stop())

  /** Everything on this machine that pods and services leave a trace in. */
  async function traces(): Promise<Record<string, readonly string[]>> {
    const { podCidr, engineEndpoint } = await statusOf(cluster)
    const routes = JSON.parse(await runChecked('ip', ['-json', 'route', 'show', 'root', podCidr])) as { dst: string; dev: string }[]
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
    const cgroups = readdirSync('/sys/fs/cgroup').flatMap((hierarchy) => filesBelow(join('/sys/fs/cgroup', hierarchy, cluster.name)))
    const results = '/var/lib/cni/results'
    return {
      containers: await engineContainers(cluster, engine),
      dockerVolumes: engine === 'docker' ? lines(await runChecked('docker', ['-H', engineEndpoint, 'volume', 'ls', '-q'])) : [],
      routes: routes.map(({ dst, dev }) => `${dst} ${dev}`).sort(),
      networkNamespaces: sandboxNamespaces(cluster).filter((name) => existsSync(join('/run/netns', name))),
      mounts: mounts.filter((path) => path.startsWith(`${cluster.dataDir}/`)).sort(),
      cgroups: [...new Set(cgroups.filter((path) => /\/pod[0-9a-f-]{36}$/.test(path)).map((path) => path.split('/').at(-1)!))].sort(),
      rules: lines(await runChecked('nft', ['list', 'table', 'inet', `navarch-${cluster.name}`])),

      files: ['kubelet', 'cni', 'docker'].flatMap((name) => filesBelow(join(cluster.dataDir, name))),
      attachments: readdirSync(results)
        .filter((name) => name.includes(`navarch-${cluster.name}-`))
        .sort(),
    }
  }

  test('leaves nothing of it on the node, and nothing in the API', async () => {
    const before = await traces()
    await cluster.kubectl('create', 'namespace', 'gone')
    await cluster.kubectl('config', 'set-context', '--current', '--namespace=gone')
    await fill()
    const during = await traces()
    const links = during['routes']!.filter((route) => !before['routes']!.includes(route)).map((route) => route.split(' ')[1]!)
    const namespaces = during['networkNamespaces']!.filter((name) => !before['networkNamespaces']!.includes(name))
    expect(links.length).toBeGreaterThanOrEqual(4)
    expect(
      Object.entries(during)
        .filter(([name, found]) => found.length <= before[name]!.length)
        .map(([name]) => name),
    ).toEqual(engine === 'docker' ? ['dockerVolumes', 'networkNamespaces', 'attachments'] : ['dockerVolumes'])

    await cluster.kubectl('config', 'set-context', '--current', '--namespace=default')
    expect(await cluster.kubectl('delete', 'namespace', 'gone', '--timeout=180s')).toBe('namespace "gone" deleted\n')
    const kinds = lines(await cluster.kubectl('api-resources', '--namespaced', '--verbs=list', '-o', 'name')).filter(
      (kind) => !kind.startsWith('events'),
    )
    expect(await cluster.kubectl('get', kinds.join(), '-n', 'gone', '--ignore-not-found')).toBe('')
    await eventually('the node to look as before', traces, (now) => JSON.stringify(now) === JSON.stringify(before), 60_000).catch(
      async () => {
        expect(await traces()).toEqual(before)
      },
    )
    const left = (JSON.parse(await runChecked('ip', ['-json', 'link'])) as { ifname: string }[]).map(({ ifname }) => ifname)
    expect(links.filter((name) => left.includes(name))).toEqual([])
    expect(namespaces.filter((name) => existsSync(join('/run/netns', name)))).toEqual([])
  })

  test('is refused its end while a finalizer waits, and says which', async () => {
    await cluster.kubectl('create', 'namespace', 'waits')
    await cluster.kubectl('create', 'configmap', 'kept', '-n', 'waits')
    await cluster.kubectl('patch', 'configmap', 'kept', '-n', 'waits', '-p', '{"metadata":{"finalizers":["example.com/wait"]}}')
    await cluster.kubectl('delete', 'namespace', 'waits', '--wait=false')
    await eventually(
      'the condition',
      () =>
        cluster.kubectl(
          'get',
          'namespace',
          'waits',
          '-o',
          'jsonpath={.status.phase} {.status.conditions[?(@.type=="NamespaceFinalizersRemaining")].message}',
        ),
      (text) => text === 'Terminating Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances',
    )
    const refused = await cluster.tryKubectl('create', 'configmap', 'late', '-n', 'waits')
    expect(refused.stderr).toContain(
      'configmaps "late" is forbidden: unable to create new content in namespace waits because it is being terminated',
    )
    await cluster.kubectl('patch', 'configmap', 'kept', '-n', 'waits', '--type=merge', '-p', '{"metadata":{"finalizers":null}}')
    await cluster.kubectl('wait', '--for=delete', 'namespace/waits', '--timeout=120s')
  })

  async function fill(): Promise<void> {
    const affinity = {
      sessionAffinity: 'ClientIP',
      type: 'NodePort',
      ports: [{ port: 80, targetPort: 8080, nodePort: cluster.nodePorts.from }],
    }
    const volumes = [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'settings', configMap: { name: 'settings' } },
    ]
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }))
    const ports = [{ containerPort: 80, hostPort: cluster.nodePorts.to }]
    await cluster.kubectl('create', 'configmap', 'settings', '--from-literal=a=b')
    await cluster.kubectl('create', 'secret', 'generic', 'secret', '--from-literal=a=b')
    await apply(
      cluster,
      web('web', 2),
      service('web', affinity),
      service('headless', { app: 'web', clusterIP: 'None' }),
      service('empty'),
      pod('volumes', shell('echo x | tee /disk/x > /memory/x; exec sleep 3600', { volumeMounts, ports }), { volumes }),
      pod('dying', shell('exit 1')),
      pod('done', shell('exit 0'), { restartPolicy: 'Never' }),
      pod('no-image', { name: 'main', image: `${busybox}-missing`, imagePullPolicy: 'Never' }),
    )
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=120s')
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/volumes', '--timeout=120s')
    await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/done', '--timeout=120s')
    await cluster.kubectl('exec', 'volumes', '--', 'wget', '-qO-', 'http://web/')
  }
})

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort()
}
