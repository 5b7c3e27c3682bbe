// What kubectl reads and how it shows it: get in every format, watch, describe, explain, discovery, events, proxy, configuration.
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientCluster, kubectls, startClientCluster, tableOf } from './client-cluster.ts'

describe.each(kubectls)('kubectl %s shows', (version, of) => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  const old = version === '1.20'
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = of(cluster)
    await kubectl.run('create', 'deployment', 'web', '--image=navarch.local/web:v1', '--replicas=3')
    await kubectl.run('rollout', 'status', 'deployment/web', '--timeout=60s')
    await kubectl.run('create', 'configmap', 'cm', '--from-literal=a=b')
    for (const name of ['c1', 'c2', 'c3', 'c4', 'c5']) await kubectl.run('create', 'configmap', name, '--from-literal=n=x')
    await kubectl.run('create', 'service', 'clusterip', 'svc', '--tcp=80:8080')
  })
  afterAll(() => cluster?.stop())

  describe('objects', () => {
    test('as a table, narrow and wide, with labels and without a header', async () => {
      const [header, row, ...rest] = tableOf(await kubectl.run('get', 'pods', '-l', 'app in (web)'))
      expect(header).toEqual(['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE'])
      expect(row!.slice(1, 4)).toEqual(['1/1', 'Running', '0'])
      expect(rest).toHaveLength(2)
      const wide = await kubectl.run('get', 'deployment', 'web', '-o', 'wide')
      expect(tableOf(wide)[0]).toEqual(['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'])
      expect(tableOf(wide)[1]!.slice(5)).toEqual(['web', 'navarch.local/web:v1', 'app=web'])
      const labelled = tableOf(await kubectl.run('get', 'deployment', '--show-labels', '-L', 'app', '--no-headers'))
      expect(labelled[0]!.slice(-2)).toEqual(['web', 'app=web'])
    })

    test('of all the usual kinds', async () => {
      expect((await kubectl.run('get', 'all', '-o', 'name')).replace(/-[\w-]+$/gm, '').split('\n')).toEqual([
        'pod/web',
        'pod/web',
        'pod/web',
        'service/kubernetes',
        'service/svc',
        'deployment.apps/web',
        'replicaset.apps/web',
        '',
      ])
      expect(await kubectl.run('get', 'all', '--all-namespaces')).toContain('NAMESPACE')
    })

    test('by JSON, YAML, JSON path, template and columns', async () => {
      const json = JSON.parse(await kubectl.run('get', 'cm', 'cm', 'c1', '-o', 'json'))
      expect([json.kind, json.items.map((item: { data: object }) => item.data)]).toEqual(['List', [{ a: 'b' }, { n: 'x' }]])
      expect(await kubectl.run('get', 'cm', 'cm', '-o', 'yaml')).toMatch(/^apiVersion: v1\ndata:\n {2}a: b\nkind: ConfigMap\nmetadata:\n/)
      expect(await kubectl.run('get', 'cm', '-o', 'jsonpath={.items[?(@.data.a=="b")].metadata.name}')).toBe('cm')
      expect(await kubectl.run('get', 'cm', 'cm', '-o', 'go-template={{.data.a}}-{{.kind}}')).toBe('b-ConfigMap')
      expect(tableOf(await kubectl.run('get', 'cm', 'cm', 'c1', '-o', 'custom-columns=N:.metadata.name,A:.data.a'))).toEqual([
        ['N', 'A'],
        ['cm', 'b'],
        ['c1', '<none>'],
      ])
      const template = cluster.file('template', 'NAME\nmetadata.name\n')
      expect(await kubectl.run('get', 'cm', 'cm', '-o', `custom-columns-file=${template}`)).toBe('NAME\ncm\n')
    })

    test('sorted, by fields, and in chunks', async () => {
      expect(
        await kubectl.run('get', 'cm', '--field-selector', 'metadata.name!=kube-root-ca.crt', '--sort-by=.metadata.name', '-o', 'name'),
      ).toBe(['c1', 'c2', 'c3', 'c4', 'c5', 'cm'].map((name) => `configmap/${name}\n`).join(''))
      expect((await kubectl.run('get', 'cm', '--chunk-size=2', '-o', 'name')).split('\n')).toHaveLength(8)
      expect(await kubectl.run('get', 'pods', '--field-selector=status.phase=Running,spec.nodeName=nowhere', '-o', 'name')).toBe('')
      expect(await kubectl.refused('get', 'pods', '--field-selector=spec.nothing=x')).toContain('field label not supported: spec.nothing')
    })

    test('as they change', async () => {
      const watching = kubectl.start('get', 'configmap', '--watch', '--output-watch-events', '--no-headers')
      await watching.until(/ADDED +cm /)
      await kubectl.run('create', 'configmap', 'seen')
      await kubectl.run('label', 'configmap', 'seen', 'a=b')
      await kubectl.run('delete', 'configmap', 'seen')
      await watching.until(/ADDED +seen .*\n(.*\n)*MODIFIED +seen .*\n(.*\n)*DELETED +seen/)
      await watching.stop()
    })
  })

  // covers: [sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods  [Conformance]
  test('objects described', async () => {
    const labels = { app: 'described' }
    const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'navarch.local/web:v1' }] } }
    const metadata = { name: 'described', labels }
    await kubectl.runWith(
      JSON.stringify({ apiVersion: 'v1', kind: 'ReplicationController', metadata, spec: { replicas: 1, selector: labels, template } }),
      ...['create', '-f', '-'],
    )
    await expect
      .poll(() => kubectl.run('get', 'pod', '-l', 'app=described', '-o', 'jsonpath={.items[*].status.phase}'), { timeout: 60_000 })
      .toBe('Running')
    await expect
      .poll(() => kubectl.run('describe', 'rc', 'described'), { timeout: 60_000 })
      .toMatch(
        /^Name: +described\nNamespace: +default\nSelector: +app=described\nLabels: +app=described\n[\s\S]*Replicas: +1 current \/ 1 desired\nPods Status: +1 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed\n[\s\S]*Image: +navarch.local\/web:v1\n[\s\S]*SuccessfulCreate[\s\S]*Created pod: described-/,
      )
    const pod = await kubectl.run('describe', 'pod', '-l', 'app=described')
    for (const part of [
      /^Name: +described-/m,
      /^Node: +node-\d/m,
      /^Status: +Running/m,
      /^IP: +\d/m,
      /^Controlled By: +ReplicationController\/described/m,
      /Image: +navarch.local\/web:v1/,
      /State: +Running/,
      /QoS Class: +BestEffort/,
      /Scheduled .*Successfully assigned default\/described-/,
    ])
      expect(pod).toMatch(part)
    const service = await kubectl.run('describe', 'service', 'svc')
    for (const part of [/^Name: +svc/m, /^Namespace: +default/m, /^Selector: +app=svc/m, /^Type: +ClusterIP/m, /^IP: +10\.96\./m])
      expect(service).toMatch(part)
    const node = await kubectl.run('describe', 'node', 'node-0')
    for (const part of [
      /^Name: +node-0/m,
      /^Labels: /m,
      /^Annotations: /m,
      /^Conditions:/m,
      /^Addresses:/m,
      /^Capacity:/m,
      /Kubelet Version: +v1\.36/,
      /^PodCIDR: /m,
      /^Non-terminated Pods: /m,
    ]) {
      expect(node).toMatch(part)
    }
    expect(await kubectl.run('describe', 'namespace', 'default')).toMatch(
      /^Name: +default\nLabels: +kubernetes.io\/metadata.name=default\n[\s\S]*Status: +Active/,
    )
  })

  describe('what the server has', () => {
    // covers: [sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions  [Conformance]
    test('versions', async () => {
      const lines = (await kubectl.run('api-versions')).split('\n')
      expect(lines).toEqual(expect.arrayContaining(['v1', 'apps/v1', 'autoscaling/v2', 'resource.k8s.io/v1']))
      expect(lines).toHaveLength(23)
    })

    test('resources, with their short names', async () => {
      const resources = await kubectl.run('api-resources', '--no-headers')
      for (const line of [
        /^pods +po +v1 +true +Pod$/m,
        /^deployments +deploy +apps\/v1 +true +Deployment$/m,
        /^certificatesigningrequests +csr +certificates.k8s.io\/v1 +false /m,
      ]) {
        expect(resources).toMatch(line)
      }
      expect((await kubectl.run('api-resources', '--api-group=apps', '-o', 'name')).split('\n').sort()).toEqual([
        '',
        'controllerrevisions.apps',
        'daemonsets.apps',
        'deployments.apps',
        'replicasets.apps',
        'statefulsets.apps',
      ])
      const unlisted = await kubectl.run('api-resources', '--verbs=create', '--namespaced=true', '-o', 'name')
      expect(unlisted).toContain('localsubjectaccessreviews.authorization.k8s.io')
    })

    test('fields, explained', async () => {
      expect(await kubectl.run('explain', 'pods.spec.containers.image')).toMatch(/^KIND: +Pod\nVERSION: +v1\n\nFIELD: +image <string>\n/)
      const all = await kubectl.run('explain', 'deployments', '--recursive')
      expect(all).toMatch(/^ +matchLabels\t<map\[string\]string>$/m)
      expect(all).toMatch(/^ +containers\t<\[\](Container|Object)>/m)
      expect(await kubectl.refused('explain', 'pods.nothing')).toContain('field "nothing" does not exist')
      expect(await kubectl.run('explain', 'hpa.spec.metrics', '--api-version=autoscaling/v2')).toMatch(/VERSION: +(autoscaling\/)?v2/)
    })

    // covers: [sig-cli] Kubectl client Kubectl version should check is all data is printed  [Conformance]
    // covers: [sig-api-machinery] server version should find the server version [Conformance]
    test('its own version and the server’s', async () => {
      const { clientVersion, serverVersion } = JSON.parse(await kubectl.run('version', '-o', 'json'))
      expect(`${clientVersion.major}.${clientVersion.minor}`).toBe(version)
      expect(serverVersion).toMatchObject({ major: '1', minor: '36', platform: 'linux/amd64', gitTreeState: 'clean' })
      expect(serverVersion.gitVersion).toMatch(/^v1\.36\.\d+/)
      for (const field of ['goVersion', 'compiler', 'buildDate']) expect(serverVersion[field]).not.toBe('')
    })

    // covers: [sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info  [Conformance]
    test('where it is', async () => {
      // The old one colours its words.
      const plain = (await kubectl.run('cluster-info')).replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, 'g'), '')
      expect(plain).toContain(`is running at ${cluster.server}`)
      await kubectl.run('cluster-info', 'dump', '--namespaces=default', '--output-directory=dump')
    })

    test('its health and raw paths', async () => {
      expect(await kubectl.run('get', '--raw', '/healthz')).toBe('ok')
      expect(await kubectl.run('get', '--raw', '/readyz?verbose')).toContain('[+]etcd ok')
      expect(JSON.parse(await kubectl.run('get', '--raw', '/apis/apps/v1')).groupVersion).toBe('apps/v1')
      expect(await kubectl.run('get', 'componentstatuses')).toMatch(/^etcd-0 +Healthy/m)
    })
  })

  test('events', async () => {
    const lines = await kubectl.run('get', 'events', '--field-selector=involvedObject.kind=Deployment,involvedObject.name=web')
    expect(lines).toMatch(/Normal +ScalingReplicaSet +deployment\/web +Scaled up replica set web-\w+ from 0 to 3/)
    if (!old)
      expect(await kubectl.run('events', '--for=deployment/web', '--types=Normal')).toMatch(/Normal +ScalingReplicaSet +Deployment\/web/)
  })

  // covers: [sig-cli] Kubectl client Proxy server should support proxy with --port 0  [Conformance]
  test('the API, through a proxy on a port', async () => {
    const proxy = kubectl.start('proxy', '--port=0')
    const [, port] = await proxy.until(/Starting to serve on 127\.0\.0\.1:(\d+)/)
    expect(await (await fetch(`http://127.0.0.1:${port}/api/v1/namespaces/default`)).json()).toMatchObject({
      kind: 'Namespace',
      status: { phase: 'Active' },
    })
    expect(await (await fetch(`http://127.0.0.1:${port}/api/`)).json()).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    await proxy.stop()
  })

  // covers: [sig-cli] Kubectl client Proxy server should support --unix-socket=/path  [Conformance]
  test('the API, through a proxy on a socket', async () => {
    const proxy = kubectl.start('proxy', '--unix-socket=proxy.sock')
    await proxy.until(/Starting to serve on/)
    const answer = await new Promise<string>((resolve, reject) => {
      const asking = request({ socketPath: `${cluster.dir}/proxy.sock`, path: '/api/', headers: { host: 'localhost' } }, (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        response.on('end', () => resolve(text))
      })
      asking.on('error', reject)
      asking.end()
    })
    expect(JSON.parse(answer)).toMatchObject({ kind: 'APIVersions' })
    await proxy.stop()
  })

  test('its configuration and completions', async () => {
    expect(await kubectl.run('config', 'view', '--minify')).toContain(`server: ${cluster.server}`)
    expect(await kubectl.run('config', 'current-context')).toBe('kubernetes-admin@navarch\n')
    expect(await kubectl.run('completion', 'bash')).toContain('kubectl')
    // The old one completes in functions of the shell.
    if (old) return
    const complete = await kubectl.run('__complete', 'get', 'configmap', 'c')
    expect(complete).toMatch(/^c1\n[\s\S]*^cm\n/m)
    expect(await kubectl.run('__complete', 'get', 'deploym')).toContain('deployments.apps')
  })
})
