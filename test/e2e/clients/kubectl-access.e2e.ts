// Who may do what, through kubectl: can-i, whoami, reconcile, tokens, certificates; and what an administrator does with nodes.
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CertificateSubject, createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { type ClientCluster, kubectls, startClientCluster } from './client-cluster.ts'

describe.each(kubectls)('kubectl %s', (version, of) => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  const old = version === '1.20'
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = of(cluster)
  })
  afterAll(() => cluster?.stop())

  test('auth can-i', async () => {
    await kubectl.run('create', 'role', 'reader', '--verb=get,list', '--resource=pods')
    await kubectl.run('create', 'rolebinding', 'reader', '--role=reader', '--user=carol')
    expect(await kubectl.run('auth', 'can-i', 'create', 'deployments.apps')).toBe('yes\n')
    expect(await kubectl.run('auth', 'can-i', 'list', 'pods', '--as=carol')).toBe('yes\n')
    expect((await kubectl.try('auth', 'can-i', 'delete', 'pods', '--as=carol')).stdout).toMatch(/^no/)
    const list = await kubectl.run('auth', 'can-i', '--list', '--as=carol')
    expect(list).toMatch(/^pods +\[\] +\[\] +\[get list\]$/m)
    expect(list).toMatch(/^selfsubjectaccessreviews.authorization.k8s.io +\[\] +\[\] +\[create\]$/m)
    expect(list).toMatch(/^ +\[\/healthz\] +\[\] +\[get\]$/m)
    expect(await kubectl.refused('get', 'secrets', '--as=carol')).toBe(
      'Error from server (Forbidden): secrets is forbidden: User "carol" cannot list resource "secrets" in API group "" in the namespace "default"\n',
    )
  })

  test.skipIf(old)('auth whoami (kubectl 1.20 has no such command)', async () => {
    const review = JSON.parse(await kubectl.run('auth', 'whoami', '-o', 'json'))
    expect(review.status.userInfo).toMatchObject({ username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] })
    const table = await kubectl.run('auth', 'whoami', '--as=bob', '--as-group=g', '--as-uid=7', '--as-user-extra=k=v')
    for (const line of [/^Username +bob$/m, /^UID +7$/m, /^Groups +\[g system:authenticated\]$/m, /^Extra: k +\[v\]$/m])
      expect(table).toMatch(line)
  })

  test('auth reconcile', async () => {
    const role = (verb: string): string =>
      JSON.stringify({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'recon' },
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: [verb] }],
      })
    const rules = 'jsonpath={.rules[*].verbs}'
    expect(await kubectl.runWith(role('get'), 'auth', 'reconcile', '-f', '-')).toContain(
      'clusterrole.rbac.authorization.k8s.io/recon reconciled',
    )
    await kubectl.runWith(role('list'), 'auth', 'reconcile', '-f', '-')
    expect(await kubectl.run('get', 'clusterrole', 'recon', '-o', rules)).toBe('["get"] ["list"]')
    await kubectl.runWith(role('list'), 'auth', 'reconcile', '-f', '-', '--remove-extra-permissions')
    expect(await kubectl.run('get', 'clusterrole', 'recon', '-o', rules)).toBe('["list"]')
  })

  test.skipIf(old)('create token, and a client that uses it (kubectl 1.20 has no such command)', async () => {
    await kubectl.run('create', 'serviceaccount', 'robot')
    const token = (await kubectl.run('create', 'token', 'robot', '--duration=10m')).trim()
    const whoami = await kubectl.run(
      '--kubeconfig',
      cluster.file('robot.kubeconfig', withUser(cluster.kubeconfig, { token })),
      'auth',
      'whoami',
      '-o',
      'json',
    )
    expect(JSON.parse(whoami).status.userInfo).toMatchObject({
      username: 'system:serviceaccount:default:robot',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    })
    expect(await kubectl.refused('create', 'token', 'robot', '--duration=1m')).toContain('may not specify a duration less than 10 minutes')
  })

  const signingRequest = (name: string, subject: CertificateSubject, spec: object): { key: string; text: string } => {
    const key = createPrivateKeyPem()
    const request = Buffer.from(createCertificateRequest({ ...subject, privateKeyPem: key })).toString('base64')
    const whole = { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'], ...spec, request }
    return {
      key,
      text: JSON.stringify({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name }, spec: whole }),
    }
  }
  const csr = (name: string, path: string): Promise<string> => kubectl.run('get', 'csr', name, '-o', `jsonpath=${path}`)
  // kubectl 1.20 approves requests of certificates.k8s.io/v1beta1 and v1 alike.
  const issued = (name: string) => expect.poll(() => csr(name, '{.status.certificate}'), { timeout: 60_000 })

  test('certificate approve: a person gets a certificate and is known by it', async () => {
    const { key, text } = signingRequest('jane', { commonName: 'jane', organizations: ['devs'] }, { expirationSeconds: 3600 })
    await kubectl.runWith(text, 'create', '-f', '-')
    expect(await kubectl.run('get', 'csr', 'jane', '--no-headers')).toMatch(
      /jane +\S+ +kubernetes.io\/kube-apiserver-client +kubernetes-admin +60m +Pending/,
    )
    expect(await kubectl.run('certificate', 'approve', 'jane')).toBe('certificatesigningrequest.certificates.k8s.io/jane approved\n')
    await issued('jane').not.toBe('')
    const certificate = Buffer.from(await csr('jane', '{.status.certificate}'), 'base64').toString()
    const parsed = new X509Certificate(certificate)
    expect(parsed.subject.split('\n').sort()).toEqual(['CN=jane', 'O=devs'])
    expect(parsed.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    const lifetimeMs = Date.parse(parsed.validTo) - Date.parse(parsed.validFrom)
    expect(lifetimeMs).toBeGreaterThan(3_500_000)
    expect(lifetimeMs).toBeLessThan(4_000_000)
    const data = (pem: string): string => Buffer.from(pem).toString('base64')
    const user = { 'client-certificate-data': data(certificate), 'client-key-data': data(key) }
    expect(await kubectl.refused('--kubeconfig', cluster.file('jane.kubeconfig', withUser(cluster.kubeconfig, user)), 'get', 'pods')).toBe(
      'Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"\n',
    )
    expect(await kubectl.run('describe', 'csr', 'jane')).toMatch(/^Status: +Approved,Issued/m)
  })

  test('certificate deny, and what a signer refuses', async () => {
    await kubectl.runWith(signingRequest('denied', { commonName: 'x' }, {}).text, 'create', '-f', '-')
    expect(await kubectl.run('certificate', 'deny', 'denied')).toBe('certificatesigningrequest.certificates.k8s.io/denied denied\n')
    expect(await kubectl.run('get', 'csr', 'denied', '--no-headers')).toMatch(/Denied$/m)
    await kubectl.runWith(signingRequest('failed', { commonName: 'x' }, { usages: ['server auth'] }).text, 'create', '-f', '-')
    await kubectl.run('certificate', 'approve', 'failed')
    await expect
      .poll(() => csr('failed', '{.status.conditions[?(@.type=="Failed")].message}'), { timeout: 60_000 })
      .toBe('invalid usage for client certificate: server auth')
    expect(await kubectl.run('get', 'csr', 'failed', '--no-headers')).toMatch(/Approved,Failed$/m)
    expect(
      await kubectl.refusedWith(
        signingRequest('master', { commonName: 'x', organizations: ['system:masters'] }, {}).text,
        'create',
        '-f',
        '-',
      ),
    ).toContain('use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed')
  })

  test('certificates of nodes: clients are approved by rule, serving ones by somebody', async () => {
    const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] }
    const client = signingRequest('node-client', node, {
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    })
    await kubectl.runWith(client.text, 'create', '-f', '-')
    await issued('node-client').not.toBe('')
    expect(await csr('node-client', '{.status.conditions[0].reason}')).toBe('AutoApproved')
    const serving = signingRequest(
      'node-serving',
      { ...node, ips: ['10.0.0.7'], dnsNames: ['n1'] },
      { signerName: 'kubernetes.io/kubelet-serving', usages: ['digital signature', 'server auth'] },
    )
    await kubectl.runWith(serving.text, 'create', '-f', '-')
    await kubectl.run('certificate', 'approve', 'node-serving')
    await issued('node-serving').not.toBe('')
    const parsed = new X509Certificate(Buffer.from(await csr('node-serving', '{.status.certificate}'), 'base64').toString())
    expect([parsed.subjectAltName, parsed.keyUsage]).toEqual(['DNS:n1, IP Address:10.0.0.7', ['1.3.6.1.5.5.7.3.1']])
  })

  test('only those approve who may for that signer', async () => {
    await kubectl.run(
      'create',
      'clusterrole',
      'approver',
      '--verb=get,update',
      '--resource=certificatesigningrequests,certificatesigningrequests/approval',
    )
    await kubectl.run('create', 'clusterrolebinding', 'approver', '--clusterrole=approver', '--user=erin')
    await kubectl.runWith(signingRequest('guarded', { commonName: 'x' }, {}).text, 'create', '-f', '-')
    expect(await kubectl.refused('certificate', 'approve', 'guarded', '--as=erin')).toContain(
      'certificatesigningrequests.certificates.k8s.io "guarded" is forbidden: user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"',
    )
    const rule = { apiGroups: ['certificates.k8s.io'], resources: ['signers'], verbs: ['approve'], resourceNames: ['kubernetes.io/*'] }
    await kubectl.run(
      'patch',
      'clusterrole',
      'approver',
      '--type=json',
      '-p',
      JSON.stringify([{ op: 'add', path: '/rules/-', value: rule }]),
    )
    expect(await kubectl.run('certificate', 'approve', 'guarded', '--as=erin')).toContain('approved')
  })

  test('taint, cordon, drain, uncordon', async () => {
    await kubectl.run('create', 'deployment', 'spread', '--image=navarch.local/web:v1', '--replicas=6')
    await kubectl.run('rollout', 'status', 'deployment/spread', '--timeout=60s')
    await kubectl.run('run', 'bare', '--image=navarch.local/web:v1', '--overrides={"apiVersion":"v1","spec":{"nodeName":"node-1"}}')
    const budget = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'spread' },
      spec: { minAvailable: 3, selector: { matchLabels: { app: 'spread' } } },
    }
    await kubectl.runWith(JSON.stringify(budget), 'create', '-f', '-')
    expect(await kubectl.run('taint', 'node', 'node-1', 'k=v:NoSchedule')).toBe('node/node-1 tainted\n')
    expect(await kubectl.run('taint', 'node', 'node-1', 'k-')).toBe('node/node-1 untainted\n')
    expect(await kubectl.run('cordon', 'node-1')).toBe('node/node-1 cordoned\n')
    expect(await kubectl.run('get', 'node', 'node-1', '--no-headers')).toMatch(/node-1 +Ready,SchedulingDisabled /)
    expect(await kubectl.refused('drain', 'node-1')).toContain('default/bare')
    expect(await kubectl.run('drain', 'node-1', '--force', '--ignore-daemonsets', '--timeout=100s')).toContain('node/node-1')
    expect(await kubectl.run('get', 'pods', '--field-selector=spec.nodeName=node-1', '-o', 'name')).toBe('')
    await kubectl.run('rollout', 'status', 'deployment/spread', '--timeout=60s')
    expect(await kubectl.run('uncordon', 'node-1')).toBe('node/node-1 uncordoned\n')
    expect(await kubectl.run('get', 'node', 'node-1', '-o', 'jsonpath={.spec}')).not.toContain('unschedulable')
  })
})

/** The kubeconfig with another identity in place of the administrator's. */
function withUser(kubeconfig: string, user: Readonly<Record<string, string>>): string {
  const lines = Object.entries(user).map(([key, value]) => `      ${key}: ${value}\n`)
  return kubeconfig.replace(/^users:\n[\s\S]*?^contexts:/m, `users:\n  - name: kubernetes-admin\n    user:\n${lines.join('')}contexts:`)
}
