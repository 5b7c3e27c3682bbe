// Reaching into pods: logs, exec, attach, cp, port-forward and debug, with today's kubectl, which speaks WebSocket, and one that only speaks SPDY.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CommandResult, runChecked, runCommand } from '#platform/process'
import { clientProgram, eventually, startTestCluster, type TestCluster } from '../../tools/cluster.ts'
import { imageFile } from '../../tools/images.ts'
import { makeTestDir } from '../../tools/names.ts'
import { removeTestDir } from '../../tools/remove-test-dir.ts'
import { apply, busybox, engines, field, type Kubectl, pod, portForward, ready, shell, start, startKubectl } from './scene.ts'

const shellThatWaits = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
const programs = ['kubectl', 'kubectl-old'] as const
const data = randomBytes(6_000_000)
const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe.each(engines)('inside pods, on %s', (engine) => {
  const work = makeTestDir('inside')
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: [imageFile('busybox-1')] })
    await apply(cluster, pod('talk', shell('trap "exit 0" TERM; while :; do sleep 0.1; done')))
    await ready(cluster, 'pod/talk')
    await writeFile(join(work, 'data'), data)
  })
  afterAll(async () => {
    await cluster?.stop()
    await removeTestDir(work)
  })

  const run = (program: Kubectl, args: readonly string[], input?: Uint8Array | string): Promise<CommandResult> =>
    runCommand(clientProgram(program), ['--kubeconfig', cluster.kubeconfig, ...args], { input })

  describe.each(programs)('with %s', (program) => {
    // covers: [sig-cli] Kubectl client Kubectl logs should be able to retrieve and filter logs [Conformance]
    // covers: [sig-cli] Kubectl logs logs should be able to retrieve and filter logs [Conformance]
    test.concurrent('logs: all, the last, those since, with times, and as they come', async () => {
      const name = `logs-${program}`
      const say = 'echo one; echo two >&2; sleep 2; echo three; trap "echo last; exit 0" TERM; while :; do sleep 0.1; done'
      await apply(cluster, pod(name, shell(say), { terminationGracePeriodSeconds: 20 }))
      await ready(cluster, `pod/${name}`)
      const logs = async (...args: string[]): Promise<string> => (await run(program, ['logs', name, ...args])).stdout
      await eventually(
        'three lines',
        () => logs(),
        (text) => text.split('\n').length === 4,
      )
      expect((await logs()).split('\n').sort()).toEqual(['', 'one', 'three', 'two'])
      expect(await logs('--tail=0')).toBe('')
      expect((await logs('--tail=2')).split('\n')).toHaveLength(3)
      for (const bytes of [1, 2]) expect(await logs(`--limit-bytes=${bytes}`)).toHaveLength(bytes)
      expect(await logs('--since=1h')).toBe(await logs())
      // The first lines are two seconds older than the last.
      expect(await logs('--since=1s')).not.toMatch(/one|two/)
      expect((await logs('--tail=1', '--timestamps')).split('\n')).toHaveLength(2)
      const stamped = (await logs('--timestamps')).trim().split('\n')
      for (const line of stamped) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d) (one|two|three)$/)
      // The question has whole seconds.
      expect(await logs(`--since-time=${stamped.at(-1)?.split(' ')[0]}`)).toBe(`${stamped.at(-1)?.split(' ')[1]}\n`)
      expect(await logs('--since-time=2100-01-01T00:00:00Z')).toBe('')
      const missing = await run(program, ['logs', name, '--previous'])
      expect(missing).toMatchObject({ code: 1, stdout: '' })
      expect(missing.stderr).toContain(`previous terminated container "main" in pod "${name}" not found`)

      const following = startKubectl(cluster, ['logs', '-f', '--tail=1', name], program)
      await eventually(
        'the last line',
        async () => following.stdout(),
        (text) => text.split('\n').length === 2,
      )
      await cluster.kubectl('exec', name, '--', 'sh', '-c', 'echo four > /proc/1/fd/1')
      await eventually(
        'a new line',
        async () => following.stdout(),
        (text) => text.endsWith('four\n'),
      )
      await cluster.kubectl('delete', 'pod', name, '--wait=false')
      expect(await following.ended).toBe(0)
      expect(following.stdout()).toMatch(/^\w+\nfour\nlast\n$/)
    })

    test.concurrent('exec: output, errors, input of any size, and the exit code', async () => {
      const result = await run(program, ['exec', 'talk', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])
      expect(result).toMatchObject({ code: 7, stdout: 'out\n' })
      expect(result.stderr).toMatch(/^err\ncommand terminated with exit code 7\n$/)
      const back = await run(program, ['exec', '-i', 'talk', '--', 'sha256sum'], data)
      expect(back).toMatchObject({ code: 0, stdout: `${sum(data)}  -\n` })
      const much = await run(program, ['exec', 'talk', '--', 'sh', '-c', 'yes 0123456789 | head -c 3000000'])
      expect(much.stdout).toHaveLength(3_000_000)
      const unknown = await run(program, ['exec', 'talk', '--', 'no-such-program'])
      expect(unknown.code).not.toBe(0)
      expect(unknown.stderr).toMatch(/exec: \\?"no-such-program\\?": executable file not found in \$PATH/)
      const nowhere = await run(program, ['exec', 'talk', '-c', 'other', '--', 'true'])
      expect(nowhere.code).toBe(1)
    })

    test.concurrent('exec with a terminal: it is one, it has our size and changes with it, and the exit code comes through', async () => {
      const ttyFile = join(work, `tty-${program}`)
      const kubectl = `${clientProgram(program)} --kubeconfig ${cluster.kubeconfig} exec -it talk -- sh`
      const typing = start('script', ['-qec', `tty > ${ttyFile}; stty rows 30 cols 90; exec ${kubectl}`, '/dev/null'])
      const says = (text: string): Promise<string> =>
        eventually(
          text,
          async () => typing.stdout(),
          (said) => said.includes(text),
        )
      await says('# ')
      typing.child.stdin.write('tty && stty size\n')
      await says('/dev/')
      await says('30 90')
      await eventually(
        'the terminal',
        async () => existsSync(ttyFile),
        (there) => there,
      )
      await runChecked('stty', ['-F', readFileSync(ttyFile, 'utf8').trim(), 'rows', '55', 'cols', '132'])
      typing.child.stdin.write('while [ "$(stty size)" != "55 132" ]; do sleep 0.1; done; echo re""sized\n')
      await says('resized')
      // An interrupt is for the program inside.
      // The trap is set before it says so, and no command that waits for ever keeps the shell from it.
      const interruptible = 'trap "echo inter$((0))rupted; exit 3" INT; echo list$((0))ens; while :; do sleep 0.1; done'
      typing.child.stdin.write(`sh -c '${interruptible}'\n`)
      await says('list0ens')
      typing.child.stdin.write('\u0003')
      await says('inter0rupted')
      typing.child.stdin.write('exit 9\n')
      expect(await typing.ended).toBe(9)
    })

    test.concurrent('attach: to what runs, both ways', async () => {
      const name = `attach-${program}`
      const script = 'while read line; do echo "heard $line"; [ "$line" = bye ] && exit 5; done'
      await apply(cluster, pod(name, shell(script, { stdin: true, stdinOnce: true }), { restartPolicy: 'Never' }))
      await ready(cluster, `pod/${name}`)
      const attached = startKubectl(cluster, ['attach', '-i', name], program)
      // What is said before the attachment stands is still heard: the container's input waits for it.
      attached.child.stdin.write('hello\n')
      await eventually(
        'an answer',
        async () => attached.stdout(),
        (text) => text.includes('heard hello\n'),
      )
      attached.child.stdin.end('bye\n')
      await attached.ended
      expect(attached.stdout()).toContain('heard bye\n')
      await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', `pod/${name}`, '--timeout=120s')
      expect(await field(cluster, `pod/${name}`, '{.status.containerStatuses[0].state.terminated.exitCode}')).toBe('5')
    })

    test.concurrent('cp: files and directories, both ways', async () => {
      const there = `/tmp/${program}`
      const mine = join(work, program)
      await mkdir(join(mine, 'sent/below'), { recursive: true })
      await writeFile(join(mine, 'sent/below/small'), 'small')
      await writeFile(join(mine, 'sent/large'), data)
      expect(await run(program, ['cp', join(mine, 'sent'), `talk:${there}`])).toMatchObject({ code: 0 })
      expect(await cluster.kubectl('exec', 'talk', '--', 'sha256sum', `${there}/large`)).toContain(sum(data))
      expect(await run(program, ['cp', `talk:${there}`, join(mine, 'back')])).toMatchObject({ code: 0 })
      expect(await readFile(join(mine, 'back/below/small'), 'utf8')).toBe('small')
      expect(sum(await readFile(join(mine, 'back/large')))).toBe(sum(data))
    })

    test.concurrent('port-forward: megabytes both ways, several connections, refused where nobody listens', async () => {
      const name = `echo-${program}`
      await apply(cluster, pod(name, shell('exec nc -ll -p 9000 -e cat')))
      await ready(cluster, `pod/${name}`)
      await eventually(
        'the listener',
        () => run('kubectl', ['exec', name, '--', 'netstat', '-ltn']),
        ({ stdout }) => stdout.includes(':9000'),
      )
      const forward = await portForward(cluster, `pod/${name}`, 9000, program)
      const echoes = await Promise.all([data, data.subarray(0, 1_000_000), Buffer.from('x')].map((bytes) => echo(forward.port, bytes)))
      expect(echoes.map(sum)).toEqual([data, data.subarray(0, 1_000_000), Buffer.from('x')].map(sum))
      await forward.stop()
      const closed = await portForward(cluster, `pod/${name}`, 9001, program)
      expect((await echo(closed.port, Buffer.from('x'))).length).toBe(0)
      await eventually(
        'the reason',
        async () => closed.stderr(),
        (text) => /connection refused|Connection refused/.test(text),
      )
      await closed.stop()
    })
  })

  test.concurrent('run -i --rm: what is piped in comes back, and the pod goes', async () => {
    const input = 'through a pod\n'
    const args = ['run', 'passing', '-i', '--rm', '--quiet', '--restart=Never', `--image=${busybox}`, '--', 'cat']
    const result = await run('kubectl', args, input)
    expect(result).toMatchObject({ code: 0 })
    expect(result.stdout).toContain(input)
    expect(await cluster.kubectl('get', 'pod', 'passing', '--ignore-not-found')).toBe('')
  })

  test.concurrent('debug: a container is added to a pod that runs, and sees the processes of its target', async () => {
    await apply(cluster, pod('target', shell('exec sleep 12345')))
    await ready(cluster, 'pod/target')
    const id = await field(cluster, 'pod/target', '{.status.containerStatuses[0].containerID}')
    const script = 'echo debugging; ps; exec sleep 3600'
    await cluster.kubectl('debug', 'target', `--image=${busybox}`, '-c', 'debugger', '--target=main', '--', 'sh', '-c', script)
    const running = '{.status.ephemeralContainerStatuses[?(@.name=="debugger")].state.running.startedAt}'
    await eventually(
      'the debugger',
      () => field(cluster, 'pod/target', running),
      (text) => text !== '',
    )
    const said = await eventually(
      'its log',
      () => cluster.kubectl('logs', 'target', '-c', 'debugger'),
      (text) => text.includes('ps'),
    )
    expect(said).toContain('debugging\n')
    expect(said).toContain('sleep 12345')
    expect(await field(cluster, 'pod/target', '{.status.containerStatuses[0].containerID}')).toBe(id)
  })

  // covers: [sig-auth] ServiceAccounts should mount an API token into pods [Conformance]
  // covers: [sig-auth] ServiceAccounts should mount projected service account token [Conformance]
  // covers: [sig-auth] ServiceAccounts should allow opting out of API token automount [Conformance]
  test.concurrent('volumes: a claim is bound where its pod runs, what one pod writes another reads, and a claim takes its volume along', async () => {
    const disk = join(cluster.dataDir, 'disk')
    await mkdir(join(disk, 'part'), { recursive: true })
    const scratch = join('/tmp', `scratch-${engine}-${process.pid}`)
    const node = await cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')
    const onNode = { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] }
    const volume = (name: string, spec: object) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'by-hand', ...spec },
    })
    const claim = (name: string, storage: string, storageClassName = 'by-hand') => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage } } },
    })
    const storageClass = (name: string, provisioner: string) => ({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner,
      volumeBindingMode: 'WaitForFirstConsumer',
    })
    const objects = [
      storageClass('by-hand', 'kubernetes.io/no-provisioner'),
      storageClass('on-demand', 'navarch.local/directory'),
      claim('made', '1Gi', 'on-demand'),
      volume('disk', { local: { path: disk }, nodeAffinity: { required: onNode } }),
      volume('scratch', {
        capacity: { storage: '2Gi' },
        hostPath: { path: scratch, type: 'DirectoryOrCreate' },
        persistentVolumeReclaimPolicy: 'Delete',
      }),
      claim('data', '1Gi'),
      claim('scratch', '2Gi'),
    ]
    await apply(cluster, ...objects.map((object) => JSON.stringify(object)))
    const volumes = [
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'scratch', persistentVolumeClaim: { claimName: 'scratch' } },
      { name: 'made', persistentVolumeClaim: { claimName: 'made' } },
    ]
    const volumeMounts = [
      { name: 'data', mountPath: '/part', subPath: 'part' },
      { name: 'scratch', mountPath: '/scratch' },
      { name: 'made', mountPath: '/made' },
    ]
    const write = `echo hello > /part/file; touch /scratch/file /made/file; stat -c %g /part > /part/group; ${shellThatWaits}`
    await apply(cluster, pod('writer', shell(write, { volumeMounts }), { volumes, securityContext: { fsGroup: 2000 } }))
    await ready(cluster, 'pod/writer')
    expect(await field(cluster, 'pvc/data', '{.status.phase} {.spec.volumeName} {.status.capacity.storage}')).toBe('Bound disk 1Gi')
    const readOnly = [{ name: 'data', persistentVolumeClaim: { claimName: 'data', readOnly: true } }]
    const mounted = shell(shellThatWaits, { volumeMounts: [{ name: 'data', mountPath: '/data' }] })
    await apply(cluster, pod('reader', mounted, { volumes: readOnly }))
    await ready(cluster, 'pod/reader')
    const said = await eventually(
      'what the writer wrote',
      () => cluster.kubectl('exec', 'reader', '--', 'cat', '/data/part/file', '/data/part/group').catch(() => ''),
      (text) => text !== '',
    )
    expect(said).toBe('hello\n2000\n')
    const refused = await run('kubectl', ['exec', 'reader', '--', 'touch', '/data/more'])
    expect(refused.stderr).toContain('Read-only file system')
    expect(existsSync(join(scratch, 'file'))).toBe(true)
    const made = await field(cluster, 'pvc/made', '{.spec.volumeName}')
    expect(existsSync(join(cluster.dataDir, 'volumes', made, 'file'))).toBe(true)
    await cluster.kubectl('delete', 'pod', 'writer', 'reader')
    await cluster.kubectl('delete', 'pvc', 'scratch', 'data', 'made')
    await cluster.kubectl('wait', '--for=delete', 'pv/scratch', `pv/${made}`, '--timeout=60s')
    expect(existsSync(join(cluster.dataDir, 'volumes', made))).toBe(false)
    expect(existsSync(scratch)).toBe(false)
    expect(await field(cluster, 'pv/disk', '{.status.phase}')).toBe('Released')
    expect(readFileSync(join(disk, 'part/file'), 'utf8')).toBe('hello\n')
  })

  test.concurrent('accounts: each pod has the token of its own, one that asks for another has that, one that wants none has none', async () => {
    const directory = '/var/run/secrets/kubernetes.io/serviceaccount'
    const account = (name: string, automount?: boolean): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name },
        ...(automount === undefined ? {} : { automountServiceAccountToken: automount }),
      })
    const projected = { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 900 } }
    const mounted = shell(shellThatWaits, { volumeMounts: [{ name: 'own', mountPath: '/test/volume' }] })
    await apply(
      cluster,
      account('plain'),
      account('with', true),
      account('without', false),
      pod('projected', mounted, {
        automountServiceAccountToken: false,
        securityContext: { runAsUser: 1000, fsGroup: 2000 },
        volumes: [{ name: 'own', projected: { sources: [projected] } }],
      }),
    )
    // Wanted by the pod, by its account, or by nobody: the pod has the last word. They need not run to show it.
    for (const [name, wanted] of [
      ['plain', { unsaid: true, true: true, false: false }],
      ['with', { unsaid: true, true: true, false: false }],
      ['without', { unsaid: false, true: true, false: false }],
    ] as const) {
      for (const [said, expected] of Object.entries(wanted)) {
        const automount = said === 'unsaid' ? {} : { automountServiceAccountToken: said === 'true' }
        const podName = `mount-${name}-${said}`
        await apply(cluster, pod(podName, shell(shellThatWaits), { ...automount, serviceAccountName: name, nodeSelector: { no: 'node' } }))
        const mounts = await field(cluster, `pod/${podName}`, '{.spec.containers[0].volumeMounts[*].mountPath}')
        expect([podName, mounts]).toEqual([podName, expected ? directory : ''])
      }
    }
    const read = (name: string, file: string): Promise<string> => cluster.kubectl('exec', name, '--', 'cat', file)
    expect(await read('talk', `${directory}/namespace`)).toBe('default')
    expect(await read('talk', `${directory}/ca.crt`)).toBe(await field(cluster, 'configmap/kube-root-ca.crt', '{.data.ca\\.crt}'))
    const reviewed = async (token: string, audiences: readonly string[]): Promise<unknown> => {
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } }
      return JSON.parse(await cluster.kubectlWith(JSON.stringify(review), 'create', '-o', 'json', '-f', '-')).status
    }
    expect(await reviewed(await read('talk', `${directory}/token`), [])).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:default:default', extra: { 'authentication.kubernetes.io/pod-name': ['talk'] } },
    })
    await ready(cluster, 'pod/projected')
    expect(await reviewed(await read('projected', '/test/volume/token'), ['vault'])).toMatchObject({
      authenticated: true,
      audiences: ['vault'],
    })
    const mode = await cluster.kubectl('exec', 'projected', '--', 'stat', '-L', '-c', '%a %g', '/test/volume/token')
    expect(mode.trim()).toBe('640 2000')
    const none = await run('kubectl', ['exec', 'projected', '--', 'ls', directory])
    expect(none.code).not.toBe(0)
  })
})

/** Sends bytes to a port of this machine, closes that side, and gathers what comes back until the other closes. */
function echo(port: number, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(Buffer.concat(chunks)) : reject(error)))
    socket.on('end', () => resolve(Buffer.concat(chunks)))
  })
}
