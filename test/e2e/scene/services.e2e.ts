// What an application is given: settings and secrets that follow their changes, limits that the kernel holds, names and addresses of services.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { imageFile } from '../../tools/images.ts'
import { get } from '../../tools/load.ts'
import { guestbook } from './guestbook.ts'
import { apply, engines, field, pod, podNames, ready, readyEndpoints, service, shell, statusOf, web } from './scene.ts'

describe.each(engines)('what an application is given, on %s', (engine) => {
  let cluster: TestCluster
  let address: string
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: ['busybox-1', 'web-v1'].map(imageFile) })
    address = await field(cluster, 'nodes', '{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    await apply(cluster, web('web', 3), service('web'), pod('asking', shell('exec sleep 3600')))
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=120s')
    await ready(cluster, 'pod/asking')
  })
  afterAll(() => cluster?.stop())

  const inPod = (name: string, ...command: string[]): Promise<string> => cluster.kubectl('exec', name, '--', ...command)
  // A connection that began while its endpoint went would wait for two minutes.
  const ask = async (name: string, url: string): Promise<string> => {
    const { code, stdout, stderr } = await cluster.tryKubectl('exec', name, '--', 'timeout', '5', 'wget', '-qO-', url)
    return code === 0 ? stdout.trim() : stderr.trim()
  }
  const lookup = async (name: string): Promise<string[]> => {
    const { stdout } = await cluster.tryKubectl('exec', 'asking', '--', 'nslookup', '-type=a', name)
    return [...stdout.matchAll(/^Address(?: \d+)?: (\d+\.\d+\.\d+\.\d+)$/gm)].map(([, ip]) => ip!).sort()
  }

  test.concurrent('settings and secrets, as environment and as files; files follow changes, the environment does not', async () => {
    await cluster.kubectl('create', 'configmap', 'settings', '--from-literal=greeting=hello', '--from-literal=other=thing')
    await cluster.kubectl('create', 'secret', 'generic', 'hidden', '--from-literal=word=sesame')
    const env = [
      { name: 'GREETING', valueFrom: { configMapKeyRef: { name: 'settings', key: 'greeting' } } },
      { name: 'WORD', valueFrom: { secretKeyRef: { name: 'hidden', key: 'word' } } },
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'BOTH', value: '$(GREETING) $(NAME) $$(NAME)' },
    ]
    const volumeMounts = ['settings', 'hidden'].map((name) => ({ name, mountPath: `/etc/${name}`, readOnly: true }))
    const container = shell('exec sleep 3600', { env, envFrom: [{ prefix: 'ALL_', configMapRef: { name: 'settings' } }], volumeMounts })
    const volumes = [
      { name: 'settings', configMap: { name: 'settings' } },
      { name: 'hidden', secret: { secretName: 'hidden', defaultMode: 0o400 } },
    ]
    await apply(cluster, pod('configured', container, { volumes }))
    await ready(cluster, 'pod/configured')
    const printed = (await inPod('configured', 'env')).split('\n')
    expect(printed).toEqual(
      expect.arrayContaining(['GREETING=hello', 'WORD=sesame', 'BOTH=hello configured $(NAME)', 'ALL_greeting=hello', 'ALL_other=thing']),
    )
    expect(printed).toContain(`KUBERNETES_SERVICE_HOST=${await field(cluster, 'service/kubernetes', '{.spec.clusterIP}')}`)
    expect(await inPod('configured', 'cat', '/etc/settings/greeting', '/etc/hidden/word')).toBe('hellosesame')
    expect(await inPod('configured', 'stat', '-L', '-c', '%a', '/etc/hidden/word')).toBe('400\n')
    await cluster.kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"greeting":"good day"}}')
    await cluster.kubectl('patch', 'secret', 'hidden', '-p', '{"stringData":{"word":"changed"}}')
    const files = (): Promise<string> => inPod('configured', 'cat', '/etc/settings/greeting', '/etc/hidden/word')
    await eventually('the files to follow', files, (text) => text === 'good daychanged')
    expect(await inPod('configured', 'sh', '-c', 'echo $GREETING')).toBe('hello\n')
  })

  test.concurrent('a setting that is missing holds the container back, and says which', async () => {
    const env = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'later', key: 'x' } } }]
    await apply(cluster, pod('waiting', shell('exec sleep 3600', { env })))
    const waits = (): Promise<string> => field(cluster, 'pod/waiting', '{.status.containerStatuses[0].state.waiting}')
    const said = await eventually('the reason', waits, (text) => text.includes('CreateContainerConfigError'))
    expect(JSON.parse(said)).toEqual({ reason: 'CreateContainerConfigError', message: 'configmap "later" not found' })
    await cluster.kubectl('create', 'configmap', 'later', '--from-literal=x=y')
    await ready(cluster, 'pod/waiting')
  })

  test.concurrent('requests and limits are what the kernel was told, and memory beyond its limit is killed', async () => {
    const resources = { requests: { cpu: '100m', memory: '16Mi' }, limits: { cpu: '250m', memory: '32Mi' } }
    const eats = 'x=12345678; while :; do x=$x$x; done'
    await apply(
      cluster,
      pod('limited', shell('exec sleep 3600', { resources })),
      pod('hungry', shell(eats, { resources }), { restartPolicy: 'Never' }),
    )
    await ready(cluster, 'pod/limited')
    expect(await field(cluster, 'pod/limited', '{.status.qosClass}')).toBe('Burstable')
    const read = async (one: string, two: string): Promise<number[]> =>
      (await inPod('limited', 'sh', '-c', `cat ${one} 2>/dev/null || cat ${two}`)).trim().split(/\s+/).map(Number)
    expect(await read('/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max')).toEqual([32 * 2 ** 20])
    const [quota = 0, period = 100_000] = await read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us', '/sys/fs/cgroup/cpu.max')
    expect(quota / period).toBe(0.25)
    await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/hungry', '--timeout=120s')
    expect(JSON.parse(await field(cluster, 'pod/hungry', '{.status.containerStatuses[0].state.terminated}'))).toMatchObject({
      reason: 'OOMKilled',
      exitCode: 137,
    })
  })

  test.concurrent('what fits on no node waits, and its event says why', async () => {
    await apply(cluster, pod('huge', shell('true', { resources: { requests: { cpu: '1000' } } })))
    const condition = (): Promise<string> => field(cluster, 'pod/huge', '{.status.conditions[?(@.type=="PodScheduled")].message}')
    const said = await eventually('the reason', condition, (text) => text !== '')
    expect(said).toMatch(
      /^0\/1 nodes are available: 1 Insufficient cpu\. (no new claims to deallocate, )?preemption: 0\/1 nodes are available: 1 (No preemption victims found for incoming pod|Preemption is not helpful for scheduling)\.$/,
    )
  })

  test.concurrent('names: of services near and far, of the cluster itself, of a name elsewhere, and none where there is none', async () => {
    const ip = await field(cluster, 'service/web', '{.spec.clusterIP}')
    for (const name of ['web', 'web.default', 'web.default.svc', 'web.default.svc.cluster.local.']) {
      expect(await ask('asking', `http://${name}/`)).toMatch(/^web-\S+ v1$/)
    }
    expect(await lookup('web.default.svc.cluster.local')).toEqual([ip])
    expect(await lookup('nothing.default.svc.cluster.local')).toEqual([])
    await apply(
      cluster,
      service('elsewhere', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local', selector: undefined, ports: undefined }),
    )
    await eventually(
      'the external name',
      () => lookup('elsewhere.default.svc.cluster.local'),
      (found) => found.join() === ip,
    )
    const { clusterDns } = await statusOf(cluster)
    const resolv = await inPod('asking', 'cat', '/etc/resolv.conf')
    expect(resolv).toContain(`nameserver ${clusterDns}\n`)
    expect(resolv).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/m)
    expect(resolv).toContain('options ndots:5')
  })

  test.concurrent('a headless service is the addresses of its pods', async () => {
    await apply(cluster, service('headless', { app: 'web', clusterIP: 'None' }))
    const ips = (await cluster.kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.podIP}')).split(' ').sort()
    expect(ips).toHaveLength(3)
    await eventually(
      'the addresses',
      () => lookup('headless.default.svc.cluster.local'),
      (found) => found.join() === ips.join(),
    )
  })

  test.concurrent('session affinity: one client, one pod', async () => {
    await apply(cluster, service('sticky', { app: 'web', sessionAffinity: 'ClientIP' }))
    await eventually(
      'the Service to answer',
      () => ask('asking', 'http://sticky/'),
      (answer) => answer.endsWith(' v1'),
    )
    const script = 'for i in $(seq 30); do wget -qO- http://$0/; done | sort | uniq | wc -l'
    expect(Number(await inPod('asking', 'sh', '-c', script, 'sticky'))).toBe(1)
    // Without affinity thirty questions reach more than one of three but for once in ten to the fourteenth.
    expect(Number(await inPod('asking', 'sh', '-c', script, 'web'))).toBeGreaterThan(1)
  })

  test.concurrent('a pod reaches itself through its own service', async () => {
    await apply(cluster, web('alone', 1), service('alone'))
    await cluster.kubectl('rollout', 'status', 'deployment/alone', '--timeout=120s')
    const [name = ''] = await podNames(cluster, 'app=alone')
    for (let round = 0; round < 5; round++) {
      await eventually(
        'itself',
        () => ask(name, 'http://alone/'),
        (answer) => answer === `${name} v1`,
      )
    }
  })

  test.concurrent('a NodePort answers from this machine and from pods, and goes with its service', async () => {
    const port = cluster.nodePorts.from + 1
    await apply(cluster, service('outside', { app: 'web', type: 'NodePort', ports: [{ port: 80, targetPort: 8080, nodePort: port }] }))
    const fromHere = (): Promise<string> =>
      get(`http://${address}:${port}/`).then(
        ({ body }) => body.trim(),
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      )
    await eventually('an answer', fromHere, (answer) => answer.endsWith(' v1'))
    expect(await ask('asking', `http://${address}:${port}/`)).toMatch(/ v1$/)
    const taken = await cluster.tryKubectl('create', 'service', 'nodeport', 'second', '--tcp=80', `--node-port=${port}`)
    expect(taken.stderr).toContain(`spec.ports[0].nodePort: Invalid value: ${port}: provided port is already allocated`)
    await cluster.kubectl('delete', 'service', 'outside')
    await eventually('nobody', fromHere, (answer) => answer === 'ECONNREFUSED')
  })

  // covers: [sig-cli] Kubectl client Guestbook application should create and stop a working application [Conformance]
  test.concurrent('an application of three parts works, seen through the API server, and is stopped', async () => {
    await cluster.kubectl('create', 'namespace', 'guestbook')
    const there = '--namespace=guestbook'
    await cluster.kubectlWith(guestbook(), 'create', there, '-f', '-')
    for (const name of ['primary', 'replica', 'frontend'])
      await cluster.kubectl('rollout', 'status', there, `deployment/${name}`, '--timeout=120s')
    const front = async (query: string): Promise<string> => {
      const path = `/api/v1/namespaces/guestbook/services/frontend:http/proxy/cgi-bin/guestbook?${query}`
      return (await cluster.tryKubectl('get', '--raw', path)).stdout.trim()
    }
    await eventually(
      'an empty book',
      () => front('get'),
      (text) => text === '{"data":""}',
    )
    await eventually(
      'an entry',
      () => front('set=Test+Entry'),
      (text) => text === '{"message":"Updated"}',
    )
    await eventually(
      'the entry on a replica',
      () => front('get'),
      (text) => /^\{"data":"Test Entry(,Test Entry)*"\}$/.test(text),
    )
    await cluster.kubectlWith(guestbook(), 'delete', there, '--grace-period=0', '--force', '-f', '-')
    await eventually(
      'no pods',
      () => cluster.kubectl('get', 'pods,services', there, '-o', 'name'),
      (text) => text === '',
    )
    await cluster.kubectl('delete', 'namespace', 'guestbook')
  })

  test.concurrent('without endpoints connections are refused, and come again when there are some', async () => {
    await apply(cluster, web('empty', 1), service('empty'))
    await cluster.kubectl('rollout', 'status', 'deployment/empty', '--timeout=120s')
    await eventually(
      'an answer',
      () => ask('asking', 'http://empty/'),
      (answer) => answer.endsWith(' v1'),
    )
    await cluster.kubectl('scale', 'deployment/empty', '--replicas=0')
    await eventually(
      'no endpoints',
      () => readyEndpoints(cluster, 'empty'),
      (names) => names === '',
    )
    await eventually(
      'refusal',
      () => ask('asking', 'http://empty/'),
      (answer) => answer.includes('Connection refused'),
    )
    await cluster.kubectl('scale', 'deployment/empty', '--replicas=1')
    await eventually(
      'an answer',
      () => ask('asking', 'http://empty/'),
      (answer) => answer.endsWith(' v1'),
    )
  })
})
