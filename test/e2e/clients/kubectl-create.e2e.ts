// kubectl create, run, expose, autoscale: what each makes, and how bad input is refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, kubectls, startClientCluster } from './client-cluster.ts'

describe.each(kubectls)('kubectl %s makes objects', (version, of) => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  const old = version === '1.20'
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = of(cluster)
    await kubectl.run('create', 'namespace', 'made')
  })
  afterAll(() => cluster?.stop())

  const made = (...args: string[]): Promise<string> => kubectl.run('--namespace=made', 'create', ...args)
  const read = (resource: string, path: string): Promise<string> =>
    kubectl.run('--namespace=made', 'get', ...resource.split(' '), '-o', `jsonpath=${path}`)

  const always: [string[], string, string, string][] = [
    [['configmap', 'cm', '--from-literal=a=b', '--from-literal=c=d'], 'configmap/cm', '{.data}', '{"a":"b","c":"d"}'],
    [['secret', 'generic', 's', '--from-literal=a=b'], 'secret/s', '{.type} {.data.a}', 'Opaque Yg=='],
    [
      ['secret', 'docker-registry', 'reg', '--docker-server=r.local', '--docker-username=u', '--docker-password=p'],
      'secret/reg',
      '{.type}',
      'kubernetes.io/dockerconfigjson',
    ],
    [['quota', 'q', '--hard=pods=20,configmaps=10'], 'resourcequota/q', '{.spec.hard}', '{"configmaps":"10","pods":"20"}'],
    [
      ['deployment', 'web', '--image=navarch.local/web:v1', '--replicas=2', '--port=80'],
      'deployment.apps/web',
      '{.spec.replicas} {.spec.strategy.type} {.spec.template.spec.containers[0].ports[0]}',
      '2 RollingUpdate {"containerPort":80,"protocol":"TCP"}',
    ],
    [
      ['job', 'j', '--image=navarch.local/busybox:1', '--', 'sleep', '1'],
      'job.batch/j',
      '{.spec.completions} {.spec.template.spec.restartPolicy}',
      '1 Never',
    ],
    [['role', 'rr', '--verb=get,list', '--resource=pods'], 'role.rbac.authorization.k8s.io/rr', '{.rules[0].verbs}', '["get","list"]'],
    [['rolebinding', 'rb', '--role=rr', '--user=bob'], 'rolebinding.rbac.authorization.k8s.io/rb', '{.subjects[0].name}', 'bob'],
    [
      ['clusterrole', 'cr', '--verb=get', '--resource=nodes'],
      'clusterrole.rbac.authorization.k8s.io/cr',
      '{.rules[0].resources}',
      '["nodes"]',
    ],
    [
      ['clusterrolebinding', 'crb', '--clusterrole=cr', '--group=g'],
      'clusterrolebinding.rbac.authorization.k8s.io/crb',
      '{.subjects[0].kind}',
      'Group',
    ],
    [['serviceaccount', 'sa'], 'serviceaccount/sa', '{.metadata.namespace}', 'made'],
    [['service', 'clusterip', 'svc', '--tcp=80:8080'], 'service/svc', '{.spec.type} {.spec.ports[0].targetPort}', 'ClusterIP 8080'],
    [['service', 'nodeport', 'svcn', '--tcp=80', '--node-port=30123'], 'service/svcn', '{.spec.ports[0].nodePort}', '30123'],
    [['service', 'loadbalancer', 'svcl', '--tcp=80'], 'service/svcl', '{.spec.allocateLoadBalancerNodePorts}', 'true'],
    [['service', 'externalname', 'svce', '--external-name=example.com'], 'service/svce', '{.spec.externalName}', 'example.com'],
    [['ingress', 'ing', '--rule=foo.com/=svc:80'], 'ingress.networking.k8s.io/ing', '{.spec.rules[0].host}', 'foo.com'],
    [
      ['priorityclass', 'pc', '--value=100'],
      'priorityclass.scheduling.k8s.io/pc',
      '{.value} {.preemptionPolicy}',
      '100 PreemptLowerPriority',
    ],
  ]
  // kubectl 1.20 makes these at versions that no server since 1.25 has.
  const today: typeof always = [
    [
      ['cronjob', 'cj', '--image=navarch.local/busybox:1', '--schedule=0 0 1 1 *', '--', 'sleep', '1'],
      'cronjob.batch/cj',
      '{.spec.concurrencyPolicy} {.spec.successfulJobsHistoryLimit}',
      'Allow 3',
    ],
    [['job', 'j2', '--from=cronjob/cj'], 'job.batch/j2', '{.metadata.ownerReferences[0].name}', 'cj'],
    [
      ['poddisruptionbudget', 'pdb', '--selector=app=web', '--min-available=1'],
      'poddisruptionbudget.policy/pdb',
      '{.spec.minAvailable}',
      '1',
    ],
  ]
  test.each([...always, ...(old ? [] : today)])('create %j', async (args, name, path, value) => {
    expect(await made(...args)).toBe(`${name} created\n`)
    expect(await read(name, path)).toBe(value)
  })

  test.runIf(old)('what is served no more is told as such', async () => {
    expect(await kubectl.refused('create', 'poddisruptionbudget', 'pdb', '--selector=a=b', '--min-available=1')).toBe(
      'error: no matches for kind "PodDisruptionBudget" in version "policy/v1beta1"\n',
    )
  })

  // covers: [sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never [Conformance]
  test('run makes a pod, which runs', async () => {
    expect(await kubectl.run('run', 'once', '--image=navarch.local/busybox:1', '--restart=Never', '--', 'sleep', '100')).toBe(
      'pod/once created\n',
    )
    await kubectl.run('wait', '--for=condition=Ready', 'pod/once', '--timeout=60s')
    expect(
      await kubectl.run('get', 'pod', 'once', '-o', 'jsonpath={.spec.restartPolicy} {.spec.containers[0].image} {.status.phase}'),
    ).toBe('Never navarch.local/busybox:1 Running')
    await kubectl.run('delete', 'pod', 'once', '--now')
  })

  // covers: [sig-cli] Kubectl client Kubectl expose should create services for rc [Conformance]
  test('expose makes a service of a replication controller, and another of the service', async () => {
    await kubectl.runWith(replicationController('exposed', 1), 'create', '-f', '-')
    expect(await kubectl.run('expose', 'rc', 'exposed', '--name=rm2', '--port=1234', '--target-port=6379')).toBe('service/rm2 exposed\n')
    expect(await kubectl.run('expose', 'service', 'rm2', '--name=rm3', '--port=2345', '--target-port=6379')).toBe('service/rm3 exposed\n')
    for (const [name, port] of [
      ['rm2', '1234'],
      ['rm3', '2345'],
    ] as const) {
      const path = 'jsonpath={.spec.ports[0].port} {.spec.ports[0].targetPort} {.spec.selector}'
      expect(await kubectl.run('get', 'service', name, '-o', path)).toBe(`${port} 6379 {"app":"exposed"}`)
    }
  })

  // covers: [sig-cli] Kubectl client Update Demo should create and stop a replication controller [Conformance]
  // covers: [sig-cli] Kubectl client Update Demo should scale a replication controller [Conformance]
  test('a replication controller is made, scaled and stopped', async () => {
    await kubectl.runWith(replicationController('demo', 2), 'create', '-f', '-')
    const ready = async (count: number): Promise<void> => {
      const running = 'jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\\n"}{end}'
      await expect
        .poll(() => kubectl.run('get', 'pods', '-l', 'app=demo', '-o', running), { timeout: 60_000 })
        .toMatch(new RegExp(`^(demo-\\w+\\n){${count}}$`))
    }
    await ready(2)
    expect(await kubectl.run('scale', 'rc', 'demo', '--replicas=1', '--timeout=1m')).toBe('replicationcontroller/demo scaled\n')
    await ready(1)
    await kubectl.run('scale', 'rc', 'demo', '--replicas=2', '--timeout=1m')
    await ready(2)
    await kubectl.run('delete', 'rc', 'demo', '--wait')
    await expect.poll(() => kubectl.run('get', 'rc,pods', '-l', 'app=demo', '-o', 'name'), { timeout: 60_000 }).toBe('')
  })

  test('autoscale makes a HorizontalPodAutoscaler', async () => {
    await kubectl.run('--namespace=made', 'autoscale', 'deployment', 'web', '--min=1', '--max=5', '--cpu-percent=80')
    expect(await read('horizontalpodautoscalers.v2.autoscaling web', '{.spec.metrics[0].resource.target.averageUtilization}')).toBe('80')
    expect(await read('horizontalpodautoscalers.v1.autoscaling web', '{.spec.targetCPUUtilizationPercentage}')).toBe('80')
  })

  // covers: [sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods [Conformance]
  test('a dry run changes nothing', async () => {
    expect(await kubectl.run('run', 'dry', '--image=navarch.local/web:v1', '--dry-run=server')).toBe('pod/dry created (server dry run)\n')
    expect(await kubectl.refused('get', 'pod', 'dry')).toBe('Error from server (NotFound): pods "dry" not found\n')
    await kubectl.run('run', 'dry', '--image=navarch.local/web:v1')
    const patch = '{"spec":{"containers":[{"name":"dry","image":"navarch.local/web:v2"}]}}'
    expect(await kubectl.run('patch', 'pod', 'dry', '-p', patch, '--dry-run=server')).toBe('pod/dry patched\n')
    expect(await kubectl.run('get', 'pod', 'dry', '-o', 'jsonpath={.spec.containers[0].image}')).toBe('navarch.local/web:v1')
  })

  test('what is there already, and what is wrong, is told in the server’s words', async () => {
    expect(await kubectl.refused('--namespace=made', 'create', 'configmap', 'cm')).toContain('configmaps "cm" already exists')
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: X_}\nspec: {containers: [{name: c, image: i}, {name: c, image: i}]}\n'
    expect(await kubectl.refusedWith(pod, 'create', '-f', '-')).toBe(
      [
        'The Pod "X_" is invalid: ',
        `* metadata.name: Invalid value: "X_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
        '* spec.containers[1].name: Duplicate value: "c"',
        '',
      ].join('\n'),
    )
    expect(await kubectl.refused('get', 'nothings')).toBe('error: the server doesn\'t have a resource type "nothings"\n')
    expect(await kubectl.refused('--namespace=nowhere', 'create', 'configmap', 'x')).toContain('namespaces "nowhere" not found')
  })

  test('unknown fields are refused, or passed over when so told', async () => {
    const map = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\nfoo: bar\n`
    // The old one checks against OpenAPI by itself; the new one lets the server check.
    expect(await kubectl.refusedWith(map('x'), 'create', '-f', '-')).toContain(
      old ? 'unknown field "foo" in io.k8s.api.core.v1.ConfigMap' : 'strict decoding error: unknown field "foo"',
    )
    expect(await kubectl.runWith(map('x'), 'create', '--validate=false', '-f', '-')).toBe('configmap/x created\n')
  })

  test('deletes of every kind', async () => {
    await kubectl.run('create', 'configmap', 'one', '--from-literal=a=b')
    expect(await kubectl.run('delete', 'configmap', 'one')).toMatch(/^configmap "one" deleted/)
    expect(await kubectl.run('delete', 'configmap', 'one', '--ignore-not-found')).toBe('')
    await kubectl.run('run', 'forced', '--image=navarch.local/web:v1')
    expect(await kubectl.run('delete', 'pod', 'forced', '--force', '--grace-period=0')).toMatch(/^pod "forced" force deleted/)
    expect(await kubectl.run('delete', 'namespace', 'made')).toBe('namespace "made" deleted\n')
    expect(await kubectl.refused('get', 'namespace', 'made')).toContain('namespaces "made" not found')
  })
})

function replicationController(name: string, replicas: number): string {
  const labels = { app: name }
  const spec = { containers: [{ name: 'c', image: 'navarch.local/web:v1' }] }
  const controller = { replicas, selector: labels, template: { metadata: { labels }, spec } }
  return JSON.stringify({ apiVersion: 'v1', kind: 'ReplicationController', metadata: { name, labels }, spec: controller })
}
