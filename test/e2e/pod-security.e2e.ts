// MUSTHOLD 17 and 20 on real engines: what a pod's security context asks for is what the kernel enforces, and nothing that a pod
// does to its own files leads the node agent outside of them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestCluster, type TestCluster } from '../tools/cluster.ts'

const confined = `
apiVersion: v1
kind: Pod
metadata: { name: confined }
spec:
  securityContext:
    { runAsNonRoot: true, runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, seccompProfile: { type: RuntimeDefault } }
  containers:
    - name: app
      image: navarch.local/busybox:1
      command: [sleep, '1000']
      securityContext:
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL], add: [NET_BIND_SERVICE] } }
      resources: { limits: { memory: 32Mi, cpu: 100m } }
      volumeMounts:
        - { name: shared, mountPath: /shared }
        - { name: shared, mountPath: /part, subPath: made/for/it }
        - { name: memory, mountPath: /memory }
  volumes:
    - { name: shared, emptyDir: {} }
    - { name: memory, emptyDir: { medium: Memory, sizeLimit: 8Mi } }
`

const escaping = `
apiVersion: v1
kind: Pod
metadata: { name: escaping }
spec:
  initContainers:
    - name: plant
      image: navarch.local/busybox:1
      command: [sh, -c, 'ln -s /etc /shared/link; ln -s .. /shared/up']
      volumeMounts: [{ name: shared, mountPath: /shared }]
  containers:
    - name: link
      image: navarch.local/busybox:1
      command: [sleep, '1000']
      volumeMounts: [{ name: shared, mountPath: /stolen, subPath: link }]
    - name: up
      image: navarch.local/busybox:1
      command: [sleep, '1000']
      volumeMounts: [{ name: shared, mountPath: /stolen, subPath: up/up/etc-hosts }]
  volumes: [{ name: shared, emptyDir: {} }]
`

const rootImage = `
apiVersion: v1
kind: Pod
metadata: { name: root-image }
spec:
  securityContext: { runAsNonRoot: true }
  containers: [{ name: app, image: 'navarch.local/busybox:1', command: [sleep, '1000'] }]
`

describe.each(['containerd', 'docker'] as const)('pod security on %s', (engine) => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await startTestCluster({ engine })
  })
  afterAll(async () => {
    await cluster?.stop()
  })

  const inside = (script: string): Promise<string> => cluster.kubectl('exec', 'confined', '--', 'sh', '-c', script)
  const waiting = (pod: string, container: string): Promise<string> =>
    cluster.kubectl('get', 'pod', pod, '-o', `jsonpath={.status.containerStatuses[?(@.name=="${container}")].state.waiting}`)

  test('MUSTHOLD 20: users, capabilities, seccomp, no new privileges and a read-only root are what the kernel says', async () => {
    await cluster.kubectlWith(confined, 'apply', '-f', '-')
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/confined', '--timeout=60s')
    const status = await inside('cat /proc/self/status')
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
    expect(field('Uid').split(/\s+/)).toEqual(['1234', '1234', '1234', '1234'])
    expect(field('Gid').split(/\s+/)).toEqual(['2345', '2345', '2345', '2345'])
    expect(field('Groups').split(' ')).toContain('3456')
    expect(Number.parseInt(field('CapBnd'), 16)).toBe(1 << 10)
    expect(field('NoNewPrivs')).toBe('1')
    expect(field('Seccomp')).toBe('2')
    expect(await inside('touch /file 2>&1 || true')).toContain('Read-only file system')
    // Paths of the kernel that nobody should see or change.
    expect(await inside('cat /proc/kcore 2>/dev/null | head -c 1 | wc -c')).toContain('0')
    expect(await inside('echo 1 2>/dev/null > /proc/sys/kernel/panic && echo changed || echo refused')).toContain('refused')
  })

  test('volumes are the group’s, sub-paths as open as their volume, memory as large as it may be', async () => {
    expect(await inside('touch /shared/f /part/f /memory/f && stat -c %g /shared/f /part/f /memory/f')).toBe('3456\n3456\n3456\n')
    expect(await inside('ls /shared/made/for/it')).toContain('f')
    expect(await inside("df -k /memory | tail -1 | awk '{print $2}'")).toBe('8192\n')
  })

  test('runAsNonRoot keeps a root image from starting', async () => {
    await cluster.kubectlWith(rootImage, 'apply', '-f', '-')
    await expect
      .poll(() => waiting('root-image', 'app'), { timeout: 60_000 })
      .toContain('container has runAsNonRoot and image will run as root')
  })

  test('MUSTHOLD 17: a sub-path that leads through a link is refused, wherever it leads', async () => {
    await cluster.kubectlWith(escaping, 'apply', '-f', '-')
    for (const container of ['link', 'up']) {
      await expect.poll(() => waiting('escaping', container), { timeout: 60_000 }).toContain('CreateContainerConfigError')
      expect(await waiting('escaping', container)).toContain('failed to prepare subPath for volumeMount')
    }
  })
})
