// An operator of a user's own, in two copies under a service account that may only what it needs: definition, informers, finalizers,
// owner references, status, leader election, webhooks.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { createCa, issueCertificate } from '#platform/x509'
import { type BackgroundClient, type ClientCluster, startClientCluster } from './client-cluster.ts'

const polled = { timeout: 60_000 }
const namespace = 'sites'
const program = join(import.meta.dirname, 'operator/operator.ts')

const site = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'web.example.com/v1', kind: 'Website', metadata: { name, namespace }, spec })

describe('an operator in two copies', () => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  let copies: BackgroundClient[] = []
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = cluster.kubectl
    await kubectl.runWith(permissions, 'apply', '-f', '-')
    const token = (await kubectl.run('create', 'token', 'operator', `--namespace=${namespace}`)).trim()
    const kubeconfig = cluster.file('operator.kubeconfig', kubeconfigWith(cluster.kubeconfig, token))
    const tls = writeTls(cluster)
    const node = cluster.program(process.execPath)
    copies = ['first', 'second'].map((name) =>
      node
        .withEnv({ KUBECONFIG: kubeconfig, OPERATOR_NAME: name, OPERATOR_NAMESPACE: namespace, OPERATOR_TLS: tls })
        .start('--import', import.meta.resolve('tsx'), program),
    )
    await Promise.all(copies.map((copy) => copy.until(/waits/)))
  })
  afterAll(async () => {
    for (const copy of copies) copy.process.kill('SIGKILL')
    await cluster?.stop()
  })

  const at = (resource: string, path: string): Promise<string> =>
    kubectl.run('get', ...resource.split(' '), `--namespace=${namespace}`, '-o', `jsonpath=${path}`)
  const leaders = (): number[] => copies.flatMap((copy, index) => (/ leads/.test(copy.output()) ? [index] : []))

  test('one copy leads', async () => {
    await expect.poll(leaders, polled).toHaveLength(1)
    const holder = await at('lease website-operator', '{.spec.holderIdentity} {.spec.leaseDurationSeconds} {.spec.leaseTransitions}')
    expect(holder).toBe(`${['first', 'second'][leaders()[0]!]} 2 0`)
  })

  test('a website gets what belongs to it, and says when it is ready', async () => {
    await kubectl.runWith(site('garden', { page: '<h1>Roses</h1>' }), 'apply', '-f', '-')
    expect(await kubectl.run('wait', '--for=condition=Ready', 'website/garden', '-n', namespace, '--timeout=60s')).toBe(
      'website.web.example.com/garden condition met\n',
    )
    expect(await at('website garden', '{.spec} {.metadata.labels} {.metadata.finalizers}')).toBe(
      '{"image":"navarch.local/web:v1","page":"\\u003ch1\\u003eRoses\\u003c/h1\\u003e","replicas":1} {"admitted":"yes"} ["web.example.com/directory"]',
    )
    expect(await at('website garden', '{.status.observedGeneration} {.status.readyReplicas} {.status.phase}')).toBe('1 1 Running')
    for (const child of ['deployment', 'service', 'configmap']) {
      expect(await at(`${child} garden`, '{.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].controller}')).toBe(
        'Website true',
      )
    }
    expect(await at('configmap directory', '{.data.garden}')).toBe('garden.sites.svc')
    expect(await kubectl.run('get', 'ws', '-n', namespace)).toMatch(/^NAME +REPLICAS +PHASE +AGE\ngarden +1 +Running +\d+s\n$/)
  })

  test('changes arrive: of the site, by scale, and against others’ changes', async () => {
    await kubectl.runWith(site('garden', { page: 'Tulips', replicas: 2 }), 'apply', '-f', '-')
    await expect.poll(() => at('deployment garden', '{.status.readyReplicas}'), polled).toBe('2')
    expect(await at('configmap garden', '{.data.index\\.html}')).toBe('Tulips')
    await kubectl.run('scale', 'website/garden', '--replicas=3', '-n', namespace)
    await expect.poll(() => at('website garden', '{.status.readyReplicas} {.status.observedGeneration}'), polled).toBe('3 3')
    await kubectl.run('scale', 'deployment/garden', '--replicas=1', '-n', namespace)
    await expect.poll(() => at('deployment garden', '{.spec.replicas} {.status.readyReplicas}'), polled).toBe('3 3')
    expect(await at('deployment garden', '{.metadata.managedFields[?(@.manager=="website-operator")].operation}')).toBe('Apply')
  })

  test('the webhooks refuse, warn, and see dry runs', async () => {
    const create = ['create', '-f', '-']
    expect(await kubectl.refusedWith(site('bad', { page: 'a secret' }), ...create)).toBe(
      'Error from server (Forbidden): error when creating "STDIN": admission webhook "validate.web.example.com" denied the request: pages must not tell secrets\n',
    )
    expect(await kubectl.refusedWith(site('big', { page: 'x', replicas: 6 }), ...create, '--dry-run=server')).toContain(
      'admission webhook "validate.web.example.com" denied the request: at most 5 replicas',
    )
    expect(await kubectl.refusedWith(site('none', { page: '' }), ...create)).toContain(
      'spec.page: Invalid value: "": spec.page in body should be at least 1 chars long',
    )
    const file = cluster.file('idle.json', site('idle', { page: 'x', replicas: 0 }))
    const { code, stderr } = await kubectl.try('create', '--dry-run=server', '-f', file)
    expect([code, stderr]).toEqual([0, 'Warning: a site without replicas is not reachable\n'])
    expect(await at('websites', '{.items[*].metadata.name}')).toBe('garden')
  })

  test('the second copy takes over when the first is killed, and looks after what there is', async () => {
    const [first] = leaders()
    copies[first!]!.process.kill('SIGKILL')
    const other = copies[1 - first!]!
    await other.until(/ leads/)
    expect(await at('lease website-operator', '{.spec.holderIdentity} {.spec.leaseTransitions}')).toBe(
      `${['first', 'second'][1 - first!]} 1`,
    )
    await kubectl.runWith(site('orchard', { page: 'Apples' }), 'apply', '-f', '-')
    await kubectl.run('wait', '--for=jsonpath={.status.phase}=Running', 'website/orchard', '-n', namespace, '--timeout=60s')
  })

  test('a site that is deleted leaves the directory before it goes, and takes what it owned with it', async () => {
    expect(await kubectl.run('delete', 'website', 'garden', '-n', namespace, '--timeout=60s')).toContain(
      'website.web.example.com "garden" deleted',
    )
    expect(await at('configmap directory', '{.data}')).toBe('{"orchard":"orchard.sites.svc"}')
    await expect.poll(() => at('deployments,services,pods', '{.items[*].metadata.labels.site}'), polled).toBe('orchard orchard orchard')
  })

  test('the operator may no more than its role says, and complained of nothing', async () => {
    const as = `--as=system:serviceaccount:${namespace}:operator`
    expect((await kubectl.try('auth', 'can-i', 'get', 'secrets', '-n', namespace, as)).stdout).toMatch(/^no/)
    expect(copies.map((copy) => copy.output()).join('')).not.toContain('failed')
    const left = copies.find((copy) => copy.process.exitCode === null && copy.process.signalCode === null)!
    await left.stop()
    expect(left.output()).toMatch(/ ends\n$/)
  })
})

const rule = (apiGroups: string[], resources: string[], verbs: string[]): object => ({ apiGroups, resources, verbs })
const rbac = 'rbac.authorization.k8s.io'
const subject = [{ kind: 'ServiceAccount', name: 'operator', namespace }]
const reading = ['get', 'list', 'watch']
const permissions = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'operator', namespace } },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'website-operator' },
    rules: [
      rule(['apiextensions.k8s.io'], ['customresourcedefinitions'], ['create', 'get']),
      rule(
        ['admissionregistration.k8s.io'],
        ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
        ['create', 'get', 'patch'],
      ),
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'website-operator' },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'website-operator' },
    subjects: subject,
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'Role',
    metadata: { name: 'website-operator', namespace },
    rules: [
      rule(['web.example.com'], ['websites'], [...reading, 'patch']),
      rule(['web.example.com'], ['websites/status', 'websites/finalizers'], ['patch', 'update']),
      rule(['apps'], ['deployments'], [...reading, 'create', 'patch']),
      rule([''], ['configmaps', 'services'], ['get', 'create', 'patch']),
      rule(['coordination.k8s.io'], ['leases'], ['get', 'create', 'update']),
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'website-operator', namespace },
    roleRef: { apiGroup: rbac, kind: 'Role', name: 'website-operator' },
    subjects: subject,
  },
]
  .map((object) => JSON.stringify(object))
  .join('\n---\n')

function writeTls(cluster: ClientCluster): string {
  const now = { days: 1, nowMs: clock.now() }
  const ca = createCa({ commonName: 'website-operator', ...now })
  const serving = issueCertificate({ ca, commonName: 'webhooks', ips: ['127.0.0.1'], usages: ['server'], ...now })
  cluster.file('tls/ca.crt', ca.certificatePem)
  cluster.file('tls/tls.crt', serving.certificatePem)
  cluster.file('tls/tls.key', serving.privateKeyPem)
  return join(cluster.dir, 'tls')
}

/** The administrator's kubeconfig with a token in place of the certificate. */
function kubeconfigWith(kubeconfig: string, token: string): string {
  return kubeconfig.replace(
    /^users:\n[\s\S]*?^contexts:/m,
    `users:\n  - name: kubernetes-admin\n    user:\n      token: ${token}\ncontexts:`,
  )
}
