import { describe, expect, test } from 'vitest'
import type { Secret } from '#api/generated/core-v1'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { parseImageName, withDefaultTag } from './image-names.ts'
import { createImages, durationText, ImageError, type Images } from './images.ts'
import { credentialsFor } from './keyring.ts'
import type { PodContainer } from './pod-containers.ts'
import { FakeEngine } from './runtimes/fake/engine.ts'
import { openFakeRuntime } from './runtimes/fake/runtime.ts'
import { RuntimeError } from './runtimes/runtime.ts'
import { testContainer, testPod } from './test-support/pods.ts'

describe('image names', () => {
  test.each([
    ['app', { host: '', path: 'app', tag: '', digest: '' }],
    ['library/app:1', { host: '', path: 'library/app', tag: '1', digest: '' }],
    ['navarch.local/team/app:1', { host: 'navarch.local', path: 'team/app', tag: '1', digest: '' }],
    ['localhost:5000/app', { host: 'localhost:5000', path: 'app', tag: '', digest: '' }],
    ['127.0.0.1:5000/a_b/c--d', { host: '127.0.0.1:5000', path: 'a_b/c--d', tag: '', digest: '' }],
    [`app@sha256:${'0'.repeat(64)}`, { host: '', path: 'app', tag: '', digest: `sha256:${'0'.repeat(64)}` }],
    ['UPPER', undefined],
    ['', undefined],
    ['app:', undefined],
    ['a b', undefined],
    ['navarch.local/', undefined],
  ])('%s', (text, parsed) => {
    expect(parseImageName(text)).toEqual(parsed)
  })

  test('a name without tag and digest means latest', () => {
    expect(['a', 'a:1', `a@sha256:${'0'.repeat(64)}`].map(withDefaultTag)).toEqual(['a:latest', 'a:1', `a@sha256:${'0'.repeat(64)}`])
  })
})

function pullSecret(auths: Record<string, object>): Secret {
  const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') }
  return { type: 'kubernetes.io/dockerconfigjson', data } as unknown as Secret
}

describe('credentialsFor', () => {
  const basic = (user: string): object => ({ auth: Buffer.from(`${user}:pw`).toString('base64') })
  const users = (image: string, auths: Record<string, object>): (string | undefined)[] =>
    credentialsFor(image, [pullSecret(auths)]).map((c) => c.username)

  test.each([
    ['the host must agree', 'reg.local/app', { 'reg.local': basic('yes'), 'other.local': basic('no') }, ['yes']],
    ['so must the port', 'reg.local:5000/app', { 'reg.local': basic('no'), 'reg.local:5000': basic('yes') }, ['yes']],
    [
      'a path limits to what lies below it, most specific first',
      'reg.local/team/app',
      { 'reg.local': basic('all'), 'reg.local/team': basic('team'), 'reg.local/tea': basic('no') },
      ['team', 'all'],
    ],
    ['wildcards match within one label', 'a.reg.local/app', { '*.reg.local': basic('yes'), '*.local': basic('no') }, ['yes']],
    ['schemes and the API version do not matter', 'reg.local/app', { 'https://reg.local/v1/': basic('yes') }, ['yes']],
    ['user and password may stand plainly', 'reg.local/app', { 'reg.local': { username: 'plain', password: 'pw' } }, ['plain']],
  ] as const)('%s', (_, image, auths, wanted) => {
    expect(users(image, auths as Record<string, object>)).toEqual(wanted)
  })

  test('what is not JSON is skipped', () => {
    const broken = { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'AAAA' } } as unknown as Secret
    expect(credentialsFor('reg.local/app', [broken])).toEqual([])
  })
})

describe('images by policy', () => {
  function open(): { images: Images; events: string[]; clock: FakeClock; engine: FakeEngine } {
    const clock = new FakeClock()
    const engine = new FakeEngine({ clock, random: seededRandom(1), logs: 'none' })
    const events: string[] = []
    const images = createImages({
      runtime: openFakeRuntime(engine),
      events: {
        record: (_about, type, reason, message) => void events.push(`${type} ${reason}: ${message}`),
        flush: async () => undefined,
      },
      clock,
      parallelPulls: 1,
    })
    return { images, events, clock, engine }
  }
  const containerOf = (image: string, imagePullPolicy: 'Always' | 'Never' | 'IfNotPresent'): PodContainer => ({
    type: 'main',
    index: 0,
    spec: testContainer('app', { image, imagePullPolicy }),
  })
  const ensure = (images: Images, container: PodContainer): Promise<unknown> =>
    images.ensure(testPod(), container, async () => [], new AbortController().signal)

  test('a missing image is an error with the registry’s words, then a back-off that doubles', async () => {
    const { images, events, clock } = open()
    const container = containerOf('absent:1', 'IfNotPresent')
    const first = (await ensure(images, container).catch((e) => e)) as ImageError
    expect(first).toMatchObject({ reason: 'ErrImagePull', retryAt: clock.now() + 3_000 })
    const second = (await ensure(images, container).catch((e) => e)) as ImageError
    expect(second).toMatchObject({
      reason: 'ImagePullBackOff',
      message: `Back-off pulling image "absent:1": ErrImagePull: ${first.message}`,
    })
    await clock.advance(10_000)
    expect(await ensure(images, container).catch((e) => e)).toMatchObject({ reason: 'ErrImagePull' })
    expect(await ensure(images, container).catch((e) => e)).toMatchObject({ reason: 'ImagePullBackOff', retryAt: clock.now() + 20_000 })
    expect(events).toEqual([
      'Normal Pulling: Pulling image "absent:1"',
      `Warning Failed: Failed to pull image "absent:1": ${first.message}`,
      'Warning Failed: Error: ErrImagePull',
      'Normal BackOff: Back-off pulling image "absent:1"',
      'Warning Failed: Error: ImagePullBackOff',
      'Normal Pulling: Pulling image "absent:1"',
      `Warning Failed: Failed to pull image "absent:1": ${first.message}`,
      'Warning Failed: Error: ErrImagePull',
      'Normal BackOff: Back-off pulling image "absent:1"',
      'Warning Failed: Error: ImagePullBackOff',
    ])
  })

  test('Never does not pull; a name that is none is said to be none', async () => {
    const { images } = open()
    expect(await ensure(images, containerOf('absent:1', 'Never')).catch((e) => e)).toMatchObject({
      reason: 'ErrImageNeverPull',
      message: 'Container image "absent:1" is not present with pull policy of Never',
    })
    expect(await ensure(images, containerOf('NOT:a:name', 'Always')).catch((e) => e)).toMatchObject({
      reason: 'InvalidImageName',
      message: `Failed to apply default image tag "NOT:a:name": couldn't parse image name "NOT:a:name": invalid reference format`,
    })
    expect(await ensure(images, containerOf('UPPER:1', 'Always')).catch((e) => e)).toMatchObject({
      message:
        'Failed to apply default image tag "UPPER:1": couldn\'t parse image name "UPPER:1": invalid reference format: repository name (library/UPPER) must be lowercase',
    })
  })

  test('an image that is there is used; Always asks the registry anyway', async () => {
    const { images, events, engine } = open()
    engine.addImage({ name: 'app:1', present: true, sizeBytes: 42 })
    await ensure(images, containerOf('app:1', 'IfNotPresent'))
    await ensure(images, containerOf('app:1', 'Always'))
    expect(events).toEqual([
      'Normal Pulled: Container image "app:1" already present on machine and can be accessed by the pod',
      'Normal Pulling: Pulling image "app:1"',
      'Normal Pulled: Successfully pulled image "app:1" in 0ms (0ms including waiting). Image size: 42 bytes.',
    ])
    engine.fault = (operation) => (operation === 'imageStatus' ? new RuntimeError('unavailable', 'away') : undefined)
    expect(await ensure(images, containerOf('app:1', 'IfNotPresent')).catch((e) => e)).toBeInstanceOf(ImageError)
  })

  test.each([
    [0.4, '0ms'],
    [35.2, '35ms'],
    [1203.4, '1.203s'],
    [62_500, '1m2.5s'],
  ])('%s ms reads %s', (ms, text) => {
    expect(durationText(ms)).toBe(text)
  })
})
