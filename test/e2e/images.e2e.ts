// Images, on both engines: brought in without a registry, built from a directory, pulled from registries that ask who is there, and missing.
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readImageArchive } from '#bootstrap/images/image-archive'
import { eventually, startTestCluster, type TestCluster } from '../tools/cluster.ts'
import { imageFile } from '../tools/images.ts'
import { makeTestDir } from '../tools/names.ts'
import { registryAccount, startRegistry, type TestRegistry } from '../tools/registry.ts'
import { removeTestDir } from '../tools/remove-test-dir.ts'

describe.each(['containerd', 'docker'] as const)('images, on %s', (engine) => {
  const work = makeTestDir('images')
  let cluster: TestCluster
  const registries: TestRegistry[] = []
  beforeAll(async () => {
    cluster = await startTestCluster({ engine, images: [imageFile('busybox-1')] })
  })
  afterAll(async () => {
    await cluster?.stop()
    for (const registry of registries) await registry.stop()
    await removeTestDir(work)
  })

  const startPod = (
    name: string,
    image: string,
    { imagePullPolicy, ...more }: { imagePullPolicy?: string; [field: string]: unknown } = {},
  ) => {
    const containers = [{ name: 'main', image, ...(imagePullPolicy && { imagePullPolicy }) }]
    const spec = { restartPolicy: 'Never', terminationGracePeriodSeconds: 1, ...more, containers }
    return cluster.kubectlWith(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }), 'apply', '-f', '-')
  }
  const field = (name: string, path: string): Promise<string> => cluster.kubectl('get', 'pod', name, '-o', `jsonpath=${path}`)
  const runs = (name: string): Promise<string> => cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s')
  const waitsBecause = (name: string, reason: string): Promise<string> =>
    eventually(
      `${name}: ${reason}`,
      () => field(name, '{.status.containerStatuses[0].state.waiting.reason}'),
      (answer) => answer === reason,
    )
  const registry = async (auth: 'none' | 'password' | 'token'): Promise<TestRegistry> => {
    const started = await startRegistry({ dir: makeTestDir('registry'), auth })
    registries.push(started)
    return started
  }

  test('an archive is imported, shown, and not imported twice', async () => {
    const first = await cluster.navarch('image', 'import', imageFile('web-v1'))
    expect(first).toMatchObject({ code: 0, stdout: `imported ${imageFile('web-v1')}\n` })
    const again = await cluster.navarch('image', 'import', imageFile('web-v1'))
    expect(again).toMatchObject({ code: 0, stdout: `there already: ${imageFile('web-v1')}\n` })
    const { stdout } = await cluster.navarch('image', 'list', '--output', 'json')
    const tags = (JSON.parse(stdout) as { tags: string[] }[]).flatMap((image) => image.tags)
    expect(tags).toEqual(['navarch.local/busybox:1', 'navarch.local/pause:1', 'navarch.local/web:v1'])
  })

  test('a file that is missing or no archive is named, with exit code 1', async () => {
    const bad = join(work, 'bad.tar')
    await writeFile(bad, 'x'.repeat(2_000))
    const missing = await cluster.navarch('image', 'import', '/nowhere.tar')
    expect(missing).toMatchObject({ code: 1, stderr: 'navarch: there is no file /nowhere.tar\n' })
    const refused = await cluster.navarch('image', 'import', bad)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`navarch: ${bad}: `)
  })

  test('an image built from a directory, on a base, runs', async () => {
    await mkdir(join(work, 'app'))
    await writeFile(join(work, 'app/hello'), '#!/bin/sh\necho "hello $WHOM"\nexec sleep 600\n', { mode: 0o755 })
    const built = await cluster.navarch(
      ...['image', 'build', join(work, 'app'), '--tag', 'navarch.local/hello:1', '--from', imageFile('busybox-1'), '--to', '/opt'],
      ...['--entrypoint', '/opt/hello', '--env', 'WHOM=world'],
    )
    expect(built).toMatchObject({ code: 0, stderr: '' })
    await startPod('hello', 'navarch.local/hello:1')
    await runs('hello')
    expect(await cluster.kubectl('logs', 'hello')).toBe('hello world\n')
  })

  test('what was pushed to a registry is pulled by its name, and by its digest', async () => {
    const open = await registry('none')
    const name = `${open.host}/team/web:v1`
    expect(await cluster.navarch('image', 'push', imageFile('web-v1'), name)).toMatchObject({ code: 0, stdout: `pushed ${name}\n` })
    await startPod('by-name', name)
    await runs('by-name')
    expect(
      await cluster.kubectl('get', 'events', '--field-selector', 'involvedObject.name=by-name', '-o', 'jsonpath={.items[*].reason}'),
    ).toContain('Pulled')
    const [{ manifest } = { manifest: Buffer.alloc(0) }] = await readImageArchive(imageFile('web-v1'))
    const digest = createHash('sha256').update(manifest).digest('hex')
    await startPod('by-digest', `${open.host}/team/web@sha256:${digest}`)
    await runs('by-digest')
    expect(await field('by-digest', '{.status.containerStatuses[0].imageID}')).toContain(`sha256:${digest}`)
  })

  test.each(['password', 'token'] as const)(
    'a registry that asks for a %s gives to pods with a pull secret, and to no others',
    async (auth) => {
      const closed = await registry(auth)
      const image = await closed.push(imageFile('web-v2'), 'team/web:v2')
      await startPod(`${auth}-without`, image)
      await waitsBecause(`${auth}-without`, 'ImagePullBackOff')
      await cluster.kubectl(
        ...['create', 'secret', 'docker-registry', auth, `--docker-server=${closed.host}`],
        ...[`--docker-username=${registryAccount.username}`, `--docker-password=${registryAccount.password}`],
      )
      await startPod(`${auth}-with`, image, { imagePullSecrets: [{ name: auth }] })
      await runs(`${auth}-with`)
      await cluster.kubectl('delete', 'pod', `${auth}-without`, `${auth}-with`)
    },
  )

  test('a missing image gives ErrImagePull, then ImagePullBackOff, with the words of the registry', async () => {
    const open = await registry('none')
    const image = `${open.host}/team/nothing:v1`
    await startPod('missing', image)
    await waitsBecause('missing', 'ImagePullBackOff')
    const events = await cluster.kubectl(
      'get',
      'events',
      '--field-selector',
      'involvedObject.name=missing',
      '-o',
      'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
    )
    expect(events).toContain(`Failed: Failed to pull image "${image}": `)
    expect(events).toMatch(/not found|manifest unknown/)
    expect(events).toContain('Failed: Error: ErrImagePull')
    expect(events).toContain(`BackOff: Back-off pulling image "${image}"`)
    expect(events).toContain('Failed: Error: ImagePullBackOff')
  })

  test('imagePullPolicy Never takes what is there and pulls nothing', async () => {
    await startPod('never', 'navarch.local/nothing:1', { imagePullPolicy: 'Never' })
    await waitsBecause('never', 'ErrImageNeverPull')
    await startPod('never-there', 'navarch.local/web:v1', { imagePullPolicy: 'Never' })
    await runs('never-there')
  })
})
