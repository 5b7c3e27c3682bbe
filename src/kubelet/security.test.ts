import { describe, expect, test } from 'vitest'
import type { PodSecurityContext, SecurityContext } from '#api/generated/core-v1'
import { containerSecurity } from './security.ts'
import { testContainer, testPod } from './test-support/pods.ts'

function securityOf(own: SecurityContext, shared: PodSecurityContext = {}, image: { uid?: number; username?: string } = { uid: 0 }) {
  const pod = testPod({ securityContext: shared })
  return containerSecurity({ pod, container: testContainer('app', { securityContext: own }), image, seccompDir: '/seccomp' })
}
const where = '(pod: "web_default(uid-web)", container: app)'

describe('containerSecurity', () => {
  test('the container’s own word wins over the pod’s, and the pod’s over the image’s', () => {
    expect(securityOf({ runAsUser: 5 }, { runAsUser: 6, runAsGroup: 7, fsGroup: 8, supplementalGroups: [9] })).toMatchObject({
      runAsUser: 5,
      runAsGroup: 7,
      supplementalGroups: [9, 8],
    })
    expect(securityOf({}, {}, { uid: 65_532 })).toMatchObject({ runAsUser: 65_532 })
    expect(securityOf({}, {}, { username: 'web' })).toMatchObject({ runAsUsername: 'web' })
  })

  test('kernel paths are hidden unless privileged or unmasked', () => {
    expect(securityOf({}).maskedPaths).toContain('/proc/kcore')
    expect(securityOf({}).readonlyPaths).toContain('/proc/sys')
    expect(securityOf({ procMount: 'Unmasked' })).toMatchObject({ maskedPaths: [], readonlyPaths: [] })
    expect(securityOf({ privileged: true })).toMatchObject({
      privileged: true,
      maskedPaths: [],
      readonlyPaths: [],
      seccomp: { type: 'Unconfined' },
    })
  })

  test('no new privileges only when escalation is ruled out', () => {
    expect(securityOf({ allowPrivilegeEscalation: false }).noNewPrivileges).toBe(true)
    expect(securityOf({}).noNewPrivileges).toBe(false)
  })

  test('a seccomp profile of the node lies below its directory, and nowhere else', () => {
    expect(securityOf({ seccompProfile: { type: 'RuntimeDefault' } }).seccomp).toEqual({ type: 'RuntimeDefault' })
    expect(securityOf({ seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } }).seccomp).toEqual({
      type: 'Localhost',
      path: '/seccomp/a/b.json',
    })
    for (const localhostProfile of ['../../etc/passwd', '/etc/passwd', 'a/../../x', '']) {
      expect(() => securityOf({ seccompProfile: { type: 'Localhost', localhostProfile } })).toThrow('must be a relative path')
    }
  })

  test.each([
    ['a root image', {}, {}, { uid: 0 }, `container has runAsNonRoot and image will run as root ${where}`],
    ['an explicit root', { runAsUser: 0 }, {}, { uid: 5 }, `container's runAsUser breaks non-root policy ${where}`],
    [
      'a user that is only a name',
      {},
      {},
      { username: 'web' },
      `container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root ${where}`,
    ],
  ])('runAsNonRoot refuses %s', (_, own, shared, image, error) => {
    expect(() => securityOf({ ...own, runAsNonRoot: true }, shared, image)).toThrow(error)
  })
})
