// How kubectl changes what is there: apply in every way, diff, edit, patch, replace, label, annotate, set, rollouts, waits, deletes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, kubectls, startClientCluster } from './client-cluster.ts'

describe.each(kubectls)('kubectl %s changes', (version, of) => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  const old = version === '1.20'
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = of(cluster)
  })
  afterAll(() => cluster?.stop())

  const at = (resource: string, path: string): Promise<string> => kubectl.run('get', ...resource.split(' '), '-o', `jsonpath=${path}`)
  const image = '{.spec.template.spec.containers[0].image}'

  describe('by apply', () => {
    test('creates, leaves alone, changes, and keeps what others set', async () => {
      expect(await kubectl.runWith(deployment('app', 'v1'), 'apply', '-f', '-')).toBe('deployment.apps/app created\n')
      expect(await kubectl.runWith(deployment('app', 'v1'), 'apply', '-f', '-')).toBe('deployment.apps/app unchanged\n')
      await kubectl.run('annotate', 'deployment', 'app', 'mine=1')
      await kubectl.run('scale', 'deployment', 'app', '--replicas=1')
      expect(await kubectl.runWith(deployment('app', 'v2', { env: [] }), 'apply', '-f', '-')).toBe('deployment.apps/app configured\n')
      expect(await at('deployment app', `${image} {.metadata.annotations.mine} {.spec.replicas}`)).toBe('navarch.local/web:v2 1 2')
      expect(await at('deployment app', '{.spec.template.spec.containers[0].env}')).toBe('')
    })

    test('prunes what is applied no more', async () => {
      const map = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {set: pruned}}\n---\n`
      await kubectl.runWith(map('p1') + map('p2'), 'apply', '-f', '-')
      const list = old ? '--prune-whitelist=core/v1/ConfigMap' : '--prune-allowlist=core/v1/ConfigMap'
      expect(await kubectl.runWith(map('p1'), 'apply', '--prune', '-l', 'set=pruned', list, '-f', '-')).toBe(
        'configmap/p1 unchanged\nconfigmap/p2 pruned\n',
      )
    })

    test('on the server: conflicts name the other manager, and force takes over', async () => {
      const apply = (tag: string, manager: string, ...more: string[]): string[] => [
        'apply',
        '--server-side',
        `--field-manager=${manager}`,
        '-f',
        cluster.file(`ssa-${tag}.json`, deployment('ssa', tag)),
        ...more,
      ]
      expect(await kubectl.run(...apply('v1', 'me'))).toBe('deployment.apps/ssa serverside-applied\n')
      expect(await kubectl.refused(...apply('v2', 'other'))).toContain(
        'Apply failed with 1 conflict: conflict with "me": .spec.template.spec.containers[name="c"].image',
      )
      await kubectl.run(...apply('v2', 'other', '--force-conflicts'))
      expect(await at('deployment ssa', image)).toBe('navarch.local/web:v2')
      expect(await at('deployment ssa', '{range .metadata.managedFields[?(@.operation=="Apply")]}{.manager} {end}')).toBe('me other ')
    })

    test('an overlay of kustomize', async () => {
      cluster.file('base/kustomization.yaml', 'resources: [d.json]\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n')
      cluster.file('base/d.json', deployment('kd', 'v1'))
      cluster.file(
        'over/kustomization.yaml',
        `${old ? 'bases' : 'resources'}: [../base]\nnamePrefix: prod-\nimages: [{name: navarch.local/web, newTag: v2}]\n`,
      )
      expect(await kubectl.run('apply', '-k', 'over')).toMatch(/^configmap\/prod-c-\w+ created\ndeployment.apps\/prod-kd created\n$/)
      expect(await at('deployment prod-kd', image)).toBe('navarch.local/web:v2')
      expect(await kubectl.run('get', '-k', 'over', '-o', 'name')).toMatch(/^configmap\/prod-c-\w+\ndeployment.apps\/prod-kd\n$/)
      await kubectl.run('delete', '-k', 'over')
    })
  })

  // covers: [sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments [Conformance]
  test('nothing by diff, which tells what an apply would', async () => {
    await kubectl.runWith(deployment('diffed', 'v1'), 'apply', '-f', '-')
    const same = await kubectl.try('diff', '-f', cluster.file('same.json', deployment('diffed', 'v1')))
    expect([same.code, same.stdout]).toEqual([0, ''])
    const other = await kubectl.try('diff', '-f', cluster.file('other.json', deployment('diffed', 'v2')))
    expect(other.code).toBe(1)
    expect(other.stdout).toMatch(/^- +image: navarch.local\/web:v1\n\+ +image: navarch.local\/web:v2$/m)
    expect(await at('deployment diffed', image)).toBe('navarch.local/web:v1')
  })

  test('by edit, which comes back with the server’s objections', async () => {
    await kubectl.run('create', 'configmap', 'edited', '--from-literal=a=before')
    const editing = kubectl.withEnv({ EDITOR: 'sed -i s/before/after/' })
    expect(await editing.run('edit', 'configmap', 'edited')).toBe('configmap/edited edited\n')
    expect(await at('configmap edited', '{.data.a}')).toBe('after')
    expect((await editing.try('edit', 'configmap', 'edited')).stderr).toBe('Edit cancelled, no changes made.\n')
    const script = cluster.file('edit.sh', "sed -i 's/^metadata:/metadata:\\n  labels: {x: a b}/' $1\n")
    const wrong = await kubectl.withEnv({ EDITOR: `sh ${script}` }).try('edit', 'configmap', 'edited')
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(/^error: configmaps "edited" is invalid\n[\s\S]*Edit cancelled, no valid changes were saved/)
  })

  // covers: [sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc  [Conformance]
  test('by patches of all types, and annotations of a controller’s pods', async () => {
    await kubectl.runWith(deployment('patched', 'v1'), 'create', '-f', '-')
    const patch = (...args: string[]): Promise<string> => kubectl.run('patch', 'deployment', 'patched', ...args)
    await patch('-p', '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"navarch.local/web:v3"}]}}}}')
    await patch('--type=merge', '-p', '{"spec":{"replicas":4}}')
    await patch('--type=json', '-p', '[{"op":"test","path":"/spec/replicas","value":4},{"op":"replace","path":"/spec/replicas","value":3}]')
    expect(await at('deployment patched', `{.spec.replicas} ${image} {.spec.template.spec.containers[0].env[0].name}`)).toBe(
      '3 navarch.local/web:v3 A',
    )
    expect(
      await kubectl.refused('patch', 'deployment', 'patched', '--type=json', '-p', '[{"op":"test","path":"/spec/replicas","value":9}]'),
    ).toContain(old ? 'The request is invalid' : 'The request is invalid: the server rejected our request due to an error in our request')
    if (!old)
      expect(await patch('--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":1}}')).toBe(
        'scale.autoscaling/patched patched\n',
      )
    const pods = (await kubectl.run('get', 'pods', '-l', 'app=patched', '-o', 'name')).trim().split('\n')
    for (const pod of pods) await kubectl.try('patch', pod, '-p', '{"metadata":{"annotations":{"x":"y"}}}')
    await expect.poll(() => at('pods -l app=patched', '{.items[0].metadata.annotations.x}'), { timeout: 60_000 }).toBe('y')
  })

  // covers: [sig-cli] Kubectl client Kubectl replace should update a single-container pod's image  [Conformance]
  test('by replace, unless somebody was faster', async () => {
    await kubectl.run('run', 'replaced', '--image=navarch.local/web:v1', '--labels=run=replaced')
    await kubectl.run('wait', '--for=condition=Ready', 'pod/replaced', '--timeout=60s')
    const pod = await kubectl.run('get', 'pod', 'replaced', '-o', 'json')
    const next = pod.replaceAll('navarch.local/web:v1', 'navarch.local/web:v2').replace(/"resourceVersion": "\d+",/, '')
    expect(await kubectl.runWith(next, 'replace', '-f', '-')).toBe('pod/replaced replaced\n')
    expect(await at('pod replaced', '{.spec.containers[0].image}')).toBe('navarch.local/web:v2')
    expect(await kubectl.refusedWith(pod, 'replace', '-f', '-')).toContain(
      'Operation cannot be fulfilled on pods "replaced": the object has been modified; please apply your changes to the latest version and try again',
    )
    await kubectl.run('create', 'configmap', 'forced', '--from-literal=a=b')
    const uid = await at('configmap forced', '{.metadata.uid}')
    await kubectl.run(
      'replace',
      '--force',
      '-f',
      cluster.file('forced.json', await kubectl.run('get', 'configmap', 'forced', '-o', 'json')),
    )
    expect(await at('configmap forced', '{.metadata.uid}')).not.toBe(uid)
  })

  // covers: [sig-cli] Kubectl client Kubectl label should update the label on a resource  [Conformance]
  test('by label and annotate', async () => {
    await kubectl.run('create', 'configmap', 'labelled')
    expect(await kubectl.run('label', 'configmap', 'labelled', 'x=y')).toBe('configmap/labelled labeled\n')
    expect(await kubectl.refused('label', 'configmap', 'labelled', 'x=z')).toContain(
      "'x' already has a value (y), and --overwrite is false",
    )
    await kubectl.run('label', 'configmap', 'labelled', 'x=z', '--overwrite')
    expect(await kubectl.run('get', 'configmap', 'labelled', '-L', 'x', '--no-headers')).toMatch(/ z\n$/)
    await kubectl.run('label', 'configmap', 'labelled', 'x-')
    await kubectl.run('annotate', 'configmap', 'labelled', 'n=1')
    expect(await at('configmap labelled', '{.metadata.labels} {.metadata.annotations}')).toBe(' {"n":"1"}')
    expect(await kubectl.refused('label', 'configmap', 'labelled', 'x=not/valid')).toContain(
      'a valid label must be an empty string or consist of alphanumeric characters',
    )
  })

  test('by set', async () => {
    await kubectl.runWith(deployment('set', 'v1'), 'create', '-f', '-')
    await kubectl.run('set', 'image', 'deployment/set', 'c=navarch.local/web:v4')
    await kubectl.run('set', 'env', 'deployment/set', 'B=c', 'A-')
    await kubectl.run('set', 'resources', 'deployment/set', '--limits=cpu=200m,memory=64Mi')
    await kubectl.run('set', 'serviceaccount', 'deployment/set', 'sa')
    const spec = JSON.parse(await at('deployment set', '{.spec.template.spec}'))
    expect([spec.serviceAccountName, spec.containers[0].image, spec.containers[0].env, spec.containers[0].resources]).toEqual([
      'sa',
      'navarch.local/web:v4',
      [{ name: 'B', value: 'c' }],
      { limits: { cpu: '200m', memory: '64Mi' } },
    ])
    await kubectl.run('create', 'service', 'clusterip', 'set', '--tcp=80')
    await kubectl.run('set', 'selector', 'service', 'set', 'app=other')
    expect(await at('service set', '{.spec.selector}')).toBe('{"app":"other"}')
    await kubectl.run('create', 'rolebinding', 'set', '--clusterrole=view', '--user=bob')
    await kubectl.run('set', 'subject', 'rolebinding', 'set', '--user=carol')
    expect(await at('rolebinding set', '{.subjects[*].name}')).toBe('bob carol')
  })

  test('by rollouts: status, history, undo, pause, resume, restart', async () => {
    const rollout = (verb: string, ...args: string[]): Promise<string> => kubectl.run('rollout', verb, 'deployment/rolled', ...args)
    await kubectl.runWith(deployment('rolled', 'v1'), 'create', '-f', '-')
    expect(await rollout('status', '--timeout=60s')).toContain('deployment "rolled" successfully rolled out\n')
    await kubectl.run('annotate', 'deployment', 'rolled', 'kubernetes.io/change-cause=two')
    await kubectl.run('set', 'image', 'deployment/rolled', 'c=navarch.local/web:v2')
    await rollout('status', '--timeout=60s')
    expect(await rollout('history')).toMatch(/^deployment.apps\/rolled \nREVISION +CHANGE-CAUSE\n1 +\S+\n2 +two\n/)
    expect(await rollout('history', '--revision=1')).toContain('navarch.local/web:v1')
    expect(await rollout('undo', '--to-revision=1')).toBe('deployment.apps/rolled rolled back\n')
    await rollout('status', '--timeout=60s')
    expect(await at('deployment rolled', image)).toBe('navarch.local/web:v1')
    expect(await rollout('pause')).toBe('deployment.apps/rolled paused\n')
    expect(await kubectl.refused('rollout', 'restart', 'deployment/rolled')).toContain("can't restart paused deployment")
    expect(await rollout('resume')).toBe('deployment.apps/rolled resumed\n')
    expect(await rollout('restart')).toBe('deployment.apps/rolled restarted\n')
    await rollout('status', '--timeout=60s')
    expect(await kubectl.run('scale', 'deployment', 'rolled', '--replicas=3', '--current-replicas=2')).toBe(
      'deployment.apps/rolled scaled\n',
    )
    await kubectl.run('wait', '--for=condition=Available', 'deployment/rolled', '--timeout=60s')
    if (!old) {
      await kubectl.run('wait', '--for=jsonpath={.status.readyReplicas}=3', 'deployment/rolled', '--timeout=60s')
      await kubectl.run('wait', '--for=create', 'deployment/rolled', '--timeout=60s')
    }
    // The old client calls it an error when what it shall see go is gone already.
    const waiting = old ? undefined : kubectl.run('wait', '--for=delete', 'deployment/rolled', '--timeout=60s')
    await kubectl.run('delete', 'deployment', 'rolled')
    await waiting
  })

  // covers: [sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan [Conformance]
  // covers: [sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning [Conformance]
  test('by deletes: orphaning, in the background, in the foreground', async () => {
    const owned = (name: string): Promise<string> => kubectl.run('get', 'replicasets,pods', '-l', `app=${name}`, '-o', 'name')
    const gone = (name: string) => expect.poll(() => owned(name), { timeout: 60_000 }).toBe('')
    for (const cascade of ['orphan', 'background', 'foreground']) {
      await kubectl.runWith(deployment(cascade, 'v1'), 'create', '-f', '-')
      await kubectl.run('rollout', 'status', `deployment/${cascade}`, '--timeout=60s')
      await kubectl.run('delete', 'deployment', cascade, `--cascade=${cascade}`)
      if (cascade === 'orphan') {
        expect(await owned(cascade)).toMatch(/^replicaset.apps\/orphan-\w+\npod\/orphan-\S+\npod\/orphan-\S+\n$|^pod/)
        expect(await at('replicaset -l app=orphan', '{.items[0].metadata.ownerReferences}')).toBe('')
        await kubectl.run('delete', 'replicaset', '-l', 'app=orphan')
      }
      await gone(cascade)
    }
    await kubectl.run('create', 'configmap', 'd1')
    await kubectl.run('create', 'configmap', 'd2')
    expect(await kubectl.run('delete', 'configmap', '--field-selector=metadata.name=d1')).toMatch(/^configmap "d1" deleted/)
    expect(await kubectl.run('delete', 'configmaps', '--all')).toContain('"d2"')
  })
})

function deployment(name: string, tag: string, container: object = { env: [{ name: 'A', value: 'b' }] }): string {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: `navarch.local/web:${tag}`, ...container }] } }
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  })
}
