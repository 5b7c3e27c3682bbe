// What kubectl does beyond the everyday, as Kubernetes' own suites of commands walk it: applies that change hands, sets of applied objects,
// subresources, rollouts of every kind, budgets that hold up a drain, tokens bound to objects, what is refused and in which words.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, kubectls, startClientCluster } from './client-cluster.ts'

const image = 'navarch.local/web:v1'
const inYaml = (...objects: object[]): string => objects.map((object) => JSON.stringify(object)).join('\n---\n')
const map = (name: string, data: object, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
})
const pod = (name: string, metadata: object = {}, spec: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [{ name: 'main', image }], ...spec },
})
const workload = (kind: string, name: string, spec: object = {}, podSpec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image }], ...podSpec } },
    ...spec,
  },
})

describe('kubectl 1.35, in depth', () => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = cluster.kubectl
  })
  afterAll(() => cluster?.stop())

  const at = (resource: string, path: string): Promise<string> => kubectl.run('get', ...resource.split(' '), '-o', `jsonpath=${path}`)
  const apply = (objects: object[], ...args: string[]): Promise<string> => kubectl.runWith(inYaml(...objects), 'apply', '-f', '-', ...args)

  describe('applies', () => {
    test('what the client applied is handed over to the server, and back, fields that went included', async () => {
      await apply([map('handed', { key: 'value', legacy: 'unused' })])
      await apply([map('handed', { key: 'value', legacy: 'unused' })], '--server-side')
      expect(await apply([map('handed', { key: 'value', ssa: 'value' })], '--server-side')).toBe('configmap/handed serverside-applied\n')
      expect(await at('cm handed', '{.data}')).toBe('{"key":"value","ssa":"value"}')
      expect(await apply([map('handed', { key: 'value', csa: 'value' })])).toBe('configmap/handed configured\n')
      expect(await at('cm handed', '{.data}')).toBe('{"csa":"value","key":"value"}')
      await apply([map('handed', { key: 'value', ssa: 'value' })], '--server-side')
      const changed = map('handed', { key: 'value', added: 'value' }, { annotations: { added: 'value' } })
      const { code, stdout } = await kubectl.try('diff', '--server-side', '-f', cluster.file('changed.json', JSON.stringify(changed)))
      expect([code, stdout]).toEqual([1, expect.stringMatching(/^\+ {2}added: value\n[\s\S]*^\+ {4}added: value$/m)])
    })

    test('under a name of one’s own the annotation goes when the server takes over', async () => {
      const own = ['--field-manager=mine']
      await apply([map('own', { key: 'one', legacy: 'x' })], '--server-side=false', ...own)
      expect(await at('cm own', '{.metadata.annotations}')).toContain('last-applied-configuration')
      await apply([map('own', { key: 'one', legacy: 'x' })], '--server-side', ...own)
      await apply([map('own', { key: 'two' })], '--server-side', ...own)
      expect(await at('cm own', '{.data}{.metadata.annotations}')).toBe('{"key":"two"}')
    })

    test('a set of applied objects remembers its members, and prunes those that went', async () => {
      const sets = kubectl.withEnv({ KUBECTL_APPLYSET: 'true' })
      const set = (objects: object[], ...args: string[]): Promise<string> =>
        sets.runWith(inYaml(...objects), 'apply', '-f', '-', '-n', 'default', '--prune', ...args)
      expect(await set([map('m1', { a: 'b' }), map('m2', { a: 'b' })], '--applyset=set')).toBe(
        'configmap/m1 created\nconfigmap/m2 created\n',
      )
      expect(await set([map('m1', { a: 'b' })], '--applyset=set')).toBe('configmap/m1 unchanged\nconfigmap/m2 pruned\n')
      expect(await at('secret set', '{.metadata.annotations}')).toContain('"applyset.kubernetes.io/contains-group-kinds":"ConfigMap"')
      expect(await at('cm m1', '{.metadata.labels}')).toMatch(/^{"applyset.kubernetes.io\/part-of":"applyset-.+-v1"}$/)
    })

    test('one bad object does not keep the others back; an unchangeable field gives way to force alone', async () => {
      expect(await kubectl.refusedWith(inYaml(pod('one'), pod('POD-B'), pod('three')), 'apply', '-f', '-')).toContain(
        'The Pod "POD-B" is invalid',
      )
      expect(await kubectl.run('get', 'pods', 'one', 'three', '-o', 'name')).toBe('pod/one\npod/three\n')
      expect(
        await kubectl.refusedWith(
          inYaml({ apiVersion: 'example.com/v1', kind: 'Bogus', metadata: { name: 'x' } }, map('after', {})),
          'apply',
          '-f',
          '-',
        ),
      ).toContain('no matches for kind "Bogus" in version "example.com/v1"')
      const service = (clusterIP: string): object => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'fixed' },
        spec: { clusterIP, ports: [{ port: 80 }] },
      })
      await apply([service('10.96.77.11')])
      expect(await kubectl.refusedWith(inYaml(service('10.96.77.12')), 'apply', '-f', '-')).toContain('may not change once set')
      await apply([service('10.96.77.12')], '--force')
      expect(await at('service fixed', '{.spec.clusterIP}')).toBe('10.96.77.12')
    })

    test('nulls take nothing away that has a default; a change of strategy clears what belonged to the other', async () => {
      const container = { name: 'main', image, resources: { requests: { cpu: null, memory: '64Mi' } }, terminationMessagePolicy: null }
      await apply([workload('Deployment', 'nulls', {}, { containers: [container] })])
      expect(
        await at(
          'deployment nulls',
          '{.spec.template.spec.containers[0].resources} {.spec.template.spec.containers[0].terminationMessagePolicy}',
        ),
      ).toBe('{"requests":{"memory":"64Mi"}} File')
      await apply([workload('Deployment', 'nulls', { strategy: { type: 'Recreate' } })])
      expect(await at('deployment nulls', '{.spec.strategy}')).toBe('{"type":"Recreate"}')
    })
  })

  test('subresources are read, applied, patched, edited and replaced', async () => {
    await kubectl.run('create', 'deployment', 'sub', `--image=${image}`)
    await kubectl.run('rollout', 'status', 'deployment/sub', '--timeout=60s')
    expect(await kubectl.run('get', 'deployment', 'sub', '--subresource=scale')).toMatch(
      /^NAME +DESIRED +AVAILABLE +AGE\nsub +1 +1 +\d+s\n$/,
    )
    expect(await kubectl.run('patch', 'deployment', 'sub', '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":2}}')).toBe(
      'scale.autoscaling/sub patched\n',
    )
    const condition = { conditions: [{ type: 'example.com/Seen', status: 'True' }] }
    await apply(
      [{ ...workload('Deployment', 'sub'), status: condition }],
      '--server-side',
      '--subresource=status',
      '--field-manager=watcher',
    )
    expect(await at('deployment sub', '{.status.conditions[*].type}')).toContain('example.com/Seen')
    const editor = cluster.file('editor.sh', '#!/bin/sh\nsed -i "s/type: Progressing/type: Edited/" "$1"\n')
    const editing = kubectl.withEnv({ EDITOR: `sh ${editor}` })
    expect(await editing.run('edit', 'deployment', 'sub', '--subresource=status')).toBe('deployment.apps/sub edited\n')
    await kubectl.run('scale', 'deployment', 'sub', '--replicas=3')
    const live = await kubectl.run('get', 'deployment', 'sub', '-o', 'json')
    expect(await kubectl.runWith(live, 'replace', '--subresource=status', '-f', '-')).toBe('deployment.apps/sub replaced\n')
    expect(await kubectl.refused('get', 'pod', 'one', '--subresource=scale')).toContain('the server could not find the requested resource')
  })

  test('waits: for what is not there yet, for a value, for an end, and not for ever', async () => {
    const late = kubectl.start('wait', '--for=create', 'configmap/late', '--timeout=60s')
    await kubectl.run('create', 'configmap', 'late')
    await late.until(/configmap\/late condition met/)
    expect(await kubectl.run('wait', '--for=jsonpath={.status.readyReplicas}=3', 'deployment/sub', '--timeout=60s')).toContain(
      'condition met',
    )
    expect(await kubectl.run('wait', '--for=jsonpath={.status.replicas}', 'deployment/sub')).toContain('condition met')
    expect(await kubectl.refused('wait', 'pod', '-l', 'app=sub', '--for=condition=Never', '--timeout=1s')).toContain(
      'timed out waiting for the condition on pods/sub-',
    )
    // Says nothing of what was gone before it looked.
    const gone = kubectl.run('wait', '--for=delete', 'configmap/late', '--timeout=60s')
    await kubectl.run('delete', 'configmap', 'late')
    expect(await gone).toMatch(/^(configmap\/late condition met\n)?$/)
  })

  test('a drain waits for budgets, spares what it is not told to touch, and can be told not to ask', async () => {
    await apply([
      workload('Deployment', 'guarded', { replicas: 2 }, { nodeName: 'node-1' }),
      workload('DaemonSet', 'everywhere'),
      pod('lonely', { labels: { lone: 'yes' } }, { nodeName: 'node-1', volumes: [{ name: 'scratch', emptyDir: {} }] }),
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'guarded' },
        spec: { minAvailable: 2, selector: { matchLabels: { app: 'guarded' } } },
      },
    ])
    await kubectl.run('rollout', 'status', 'deployment/guarded', '--timeout=60s')
    await kubectl.run('rollout', 'status', 'daemonset/everywhere', '--timeout=60s')
    await expect.poll(() => at('pdb guarded', '{.status.currentHealthy}'), { timeout: 60_000 }).toBe('2')
    const drain = (label: string, ...args: string[]): string[] => ['drain', 'node-1', `--pod-selector=${label}`, ...args]
    expect(await kubectl.refused(...drain('app=everywhere'))).toContain(
      'cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)',
    )
    expect(await kubectl.refused(...drain('lone=yes'))).toMatch(/cannot delete Pods (that declare no controller|with local storage)/)
    expect(await kubectl.run(...drain('lone=yes', '--force', '--delete-emptydir-data'))).toContain('evicting pod default/lonely')
    const held = await kubectl.refused(...drain('app=guarded', '--timeout=3s'))
    expect(held).toContain("Cannot evict pod as it would violate the pod's disruption budget.")
    expect(held).toContain('global timeout reached: 3s')
    const [name] = (await at('pods -l app=guarded', '{.items[*].metadata.name}')).split(' ')
    const eviction = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })
    expect(await kubectl.refusedWith(eviction, 'create', '--raw', `/api/v1/namespaces/default/pods/${name}/eviction`, '-f', '-')).toBe(
      "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.\n",
    )
    expect(await kubectl.run(...drain('app=guarded', '--disable-eviction', '--timeout=60s'))).toMatch(/pod\/guarded-\S+ deleted\n/)
    await kubectl.run('delete', 'deployment/guarded', 'daemonset/everywhere', '--cascade=foreground')
    await kubectl.run('uncordon', 'node-1')
  })

  test('tokens are bound to pods, secrets and nodes that are there and fit', async () => {
    await kubectl.run('create', 'serviceaccount', 'robot')
    await kubectl.run('create', 'secret', 'generic', 'bond')
    const token = (kind: string, name: string, ...args: string[]): string[] => [
      ...['create', 'token', 'robot', `--bound-object-kind=${kind}`, `--bound-object-name=${name}`],
      ...args,
    ]
    const claims = JSON.parse(
      Buffer.from((await kubectl.run(...token('Secret', 'bond', '--audience=a'))).split('.')[1]!, 'base64url').toString(),
    )
    expect([claims.aud, claims['kubernetes.io'].secret.name, claims['kubernetes.io'].serviceaccount.name]).toEqual([['a'], 'bond', 'robot'])
    await kubectl.run(...token('Node', 'node-0'))
    expect(await kubectl.refused(...token('Secret', 'nothing'))).toContain('secrets "nothing" not found')
    expect(await kubectl.refused(...token('Pod', 'one'))).toContain(
      'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
    )
    expect(await kubectl.refused(...token('Secret', 'bond', '--bound-object-uid=x'))).toContain(
      'Operation cannot be fulfilled on Secret "bond": the UID in the bound object reference (x) does not match the UID in record.',
    )
  })

  test('somebody else, with groups and extra values that hold commas', async () => {
    const as = ['--as=eve', '--as-group=a,b', '--as-group=c', '--as-user-extra=k=one,two', '--as-user-extra=k=three']
    const review = JSON.parse(await kubectl.run('auth', 'whoami', '-o', 'json', ...as))
    expect(review.status.userInfo).toEqual({
      username: 'eve',
      groups: ['a,b', 'c', 'system:authenticated'],
      extra: { k: ['one,two', 'three'] },
    })
  })

  test('containers to debug with, by every profile, as far as the namespace’s security lets them', async () => {
    for (const profile of ['general', 'baseline', 'restricted', 'netadmin', 'sysadmin']) {
      await kubectl.run('debug', 'one', `--profile=${profile}`, `--image=${image}`, `--container=${profile}`, '--attach=false', '-i')
    }
    expect(await at('pod one', '{.spec.ephemeralContainers[*].name}')).toBe('general baseline restricted netadmin sysadmin')
    await kubectl.run('debug', 'one', '--copy-to=copy', `--image=${image}`, '--container=extra', '--attach=false', '--share-processes')
    expect(await at('pod copy', '{.spec.containers[*].name} {.spec.shareProcessNamespace}')).toBe('main extra true')
    expect(await kubectl.run('debug', 'node/node-0', `--image=${image}`, '--attach=false')).toMatch(
      /Creating debugging pod node-debugger-node-0-\w+/,
    )
    await kubectl.run('create', 'namespace', 'strict')
    await kubectl.run('label', 'namespace', 'strict', 'pod-security.kubernetes.io/enforce=restricted')
    const securityContext = {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    }
    await kubectl.runWith(
      inYaml(pod('safe', { namespace: 'strict' }, { containers: [{ name: 'main', image, securityContext }] })),
      'create',
      '-f',
      '-',
    )
    const debug = ['debug', 'safe', '-n', 'strict', `--image=${image}`, '--attach=false', '-i']
    await kubectl.run(...debug, '--profile=restricted')
    expect(await kubectl.refused(...debug, '--profile=sysadmin')).toMatch(
      /pods "safe" is forbidden: violates PodSecurity "restricted:latest": privileged \(container "debugger-\w+"/,
    )
  })

  test('every kind that kubectl describes is described', async () => {
    await kubectl.run('create', 'ingress', 'door', '--rule=a.example/x*=sub:80,tls=cert', '--class=c')
    await kubectl.run('create', 'cronjob', 'never', '--schedule=59 23 31 2 *', `--image=${image}`)
    await kubectl.run('autoscale', 'deployment', 'sub', '--max=4', '--cpu=70%')
    await kubectl.run('create', 'quota', 'few', '--hard=pods=100')
    await kubectl.run('create', 'priorityclass', 'high', '--value=7')
    const limits = { limits: [{ type: 'Container', max: { memory: '1Gi' } }] }
    const policy = {
      podSelector: {},
      ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 80 }] }],
      policyTypes: ['Ingress'],
    }
    await apply([
      { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'limits' }, spec: limits },
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'wall' }, spec: policy },
    ])
    const parts: readonly [string, RegExp][] = [
      ['ingress/door', /Rules:\n +Host +Path +Backends\n[\s\S]*a\.example +\n +\/x +sub:80/],
      ['cronjob/never', /^Schedule: +59 23 31 2 \*$/m],
      ['hpa/sub', /^ +resource cpu on pods +\(as a percentage of request\): +<unknown> \/ 70%$/m],
      ['quota/few', /^pods +\d+ +100$/m],
      ['priorityclass/high', /^Value: +7$/m],
      ['limitrange/limits', /^Container +memory +- +1Gi +1Gi +1Gi +-$/m],
      ['networkpolicy/wall', /CIDR: 10\.0\.0\.0\/8/],
      ['deployment/sub', /^Replicas: +3 desired/m],
      ['serviceaccount/robot', /^Name: +robot$/m],
      ['clusterrole/view', /^PolicyRule:\n +Resources +Non-Resource URLs +Resource Names +Verbs$/m],
      ['pdb/guarded', /Allowed disruptions: +\d/],
      ['servicecidr/kubernetes', /^CIDRs: +10\.96\.0\.0\/16$/m],
    ]
    for (const [object, part] of parts) expect(await kubectl.run('describe', ...object.split('/'))).toMatch(part)
    await expect
      .poll(() => kubectl.run('events', '--for=cronjob/never', '--types=Warning'), { timeout: 60_000 })
      .toMatch(
        /Warning +InvalidSchedule +CronJob\/never +invalid schedule: 59 23 31 2 \* : time difference between two schedules is less than 1 second/,
      )
  })

  test('what is not there, or not understood, is told in Kubernetes’ words', async () => {
    for (const [args, words] of [
      [['top', 'pods'], 'error: Metrics API not available\n'],
      [
        ['get', 'pods', '-l', 'a=b=c'],
        'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "a=b=c", field selector "": found \'=\', expected: \',\' or \'end of string\'\n',
      ],
      [['get', 'nothing'], 'error: the server doesn\'t have a resource type "nothing"\n'],
      [['patch', 'pod', 'one', '-p', '{"metadata":{"labels":"x"}}'], 'cannot restore map from string'],
      [
        ['delete', 'namespace', 'default'],
        'Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted\n',
      ],
      [['expose', 'node', 'node-0'], 'error: cannot expose a Node\n'],
    ] as const) {
      expect(await kubectl.refused(...args)).toContain(words)
    }
    await kubectl.run('cluster-info', 'dump', '--output-directory=dump', '--namespaces=default')
    expect(await kubectl.run('explain', 'deployment.spec.strategy', '--output=plaintext-openapiv2')).toMatch(
      /^KIND: +Deployment\nVERSION: +apps\/v1\n\nRESOURCE: strategy <Object>/,
    )
    expect(await kubectl.run('api-resources', '--categories=all', '-o', 'name')).toContain(
      'deployments.apps\nreplicasets.apps\nstatefulsets.apps\n',
    )
    expect(await kubectl.run('api-resources', '-o', 'wide', '--namespaced=false')).toMatch(
      /^nodes +no +v1 +false +Node +create,delete,deletecollection,get,list,patch,update,watch/m,
    )
  })
})

describe.each(kubectls)('kubectl %s, rollouts', (version, of) => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = of(cluster)
  })
  afterAll(() => cluster?.stop())

  test.each([
    ['DaemonSet', 'daemonset', {}],
    ['StatefulSet', 'statefulset', { serviceName: 'x', replicas: 2 }],
  ])('of a %s: status, history, undo and restart', async (kind, resource, spec) => {
    const name = `${resource}/rolled`
    const at = (path: string): Promise<string> => kubectl.run('get', name, '-o', `jsonpath=${path}`)
    const template = '{.spec.template.spec.containers[*].name}'
    const two = {
      containers: [
        { name: 'main', image },
        { name: 'second', image },
      ],
    }
    const revisions = async (): Promise<string[]> => {
      const owned = `{range .items[?(@.metadata.ownerReferences[0].kind=="${kind}")]}{.revision} {end}`
      return (await kubectl.run('get', 'controllerrevisions', '-o', `jsonpath=${owned}`)).trim().split(' ').sort()
    }
    await kubectl.run('apply', '-f', cluster.file('rolled.json', JSON.stringify(workload(kind, 'rolled', spec))), '--record')
    await expect.poll(revisions, { timeout: 60_000 }).toEqual(['1'])
    await kubectl.run('apply', '-f', cluster.file('rolled-2.json', JSON.stringify(workload(kind, 'rolled', spec, two))), '--record')
    await expect.poll(revisions, { timeout: 60_000 }).toEqual(['1', '2'])
    expect(await kubectl.run('rollout', 'history', name)).toMatch(
      /REVISION +CHANGE-CAUSE\n1 +kubectl.* apply .*\n2 +kubectl.* apply .*rolled-2\.json/,
    )
    await kubectl.run('rollout', 'undo', name, '--dry-run=server')
    expect(await at(template)).toBe('main second')
    await kubectl.run('rollout', 'undo', name, '--to-revision=1')
    expect(await at(template)).toBe('main')
    expect(await kubectl.refused('rollout', 'undo', name, '--to-revision=1000')).toContain('unable to find specified revision')
    await expect.poll(revisions, { timeout: 60_000 }).toEqual(['2', '3'])
    expect(await at('{.metadata.generation}')).toBe('3')
    await kubectl.run('rollout', 'restart', name)
    await kubectl.run('rollout', 'status', name, '--timeout=60s')
    expect(await at('{.metadata.generation} {.status.observedGeneration}')).toBe('4 4')
    if (version !== '1.20') expect(await at('{.metadata.managedFields[?(@.manager=="kubectl-rollout")].operation}')).toContain('Update')
  })

  test('of a Deployment whose object is of an older revision: pausing holds undo and restart back', async () => {
    await kubectl.run('create', 'deployment', 'held', `--image=${image}`)
    await kubectl.run('set', 'image', 'deployment/held', '*=navarch.local/web:v2')
    await kubectl.run('rollout', 'pause', 'deployment/held')
    expect(await kubectl.refused('rollout', 'undo', 'deployment/held')).toContain(
      'you cannot rollback a paused deployment; resume it first',
    )
    expect(await kubectl.refused('rollout', 'restart', 'deployment/held')).toContain(
      "can't restart paused deployment (run rollout resume first)",
    )
    await kubectl.run('rollout', 'resume', 'deployment/held')
    await kubectl.run('rollout', 'status', 'deployment/held', '--timeout=60s')
    expect(await kubectl.refused('rollout', 'status', 'deployment/held', '--revision=1')).toContain(
      'desired revision (1) is different from the running revision',
    )
  })
})
