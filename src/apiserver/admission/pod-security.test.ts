import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

async function namespace(labels: Record<string, string>): Promise<void> {
  await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns', labels } } })
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
  await api.ok('POST', '/api/v1/namespaces/ns/serviceaccounts', { body: account })
}

const create = (spec: object, container: object = {}): Promise<Answer> =>
  api.call('POST', '/api/v1/namespaces/ns/pods', {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a', image: 'i', ...container }], ...spec },
    },
  })

const enforce = 'pod-security.kubernetes.io/enforce'

test.each([
  ['host namespaces (hostNetwork=true, hostPID=true)', { hostNetwork: true, hostPID: true }, {}],
  ['privileged (container "a" must not set securityContext.privileged=true)', {}, { securityContext: { privileged: true } }],
  [
    'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    {},
    { securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } },
  ],
  ['hostPath volumes (volume "v")', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, {}],
  ['hostPort (container "a" uses hostPort 80)', {}, { ports: [{ containerPort: 80, hostPort: 80 }] }],
  [
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    {},
  ],
  ['forbidden sysctls (kernel.msgmax)', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, {}],
])('baseline refuses %s', async (text, spec, container) => {
  await namespace({ [enforce]: 'baseline' })
  const { status, json } = await create(spec, container)
  expect([status, json.message]).toEqual([403, `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${text}`])
})

test('restricted asks for what a careful pod says', async () => {
  await namespace({ [enforce]: 'restricted', [`${enforce}-version`]: 'v1.36' })
  const { json } = await create({})
  expect(json.message).toBe(
    'pods "p" is forbidden: violates PodSecurity "restricted:v1.36": allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  )
  const careful = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
  const pod = { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } }
  expect((await create(pod, { securityContext: careful })).status).toBe(201)
})

test('MUSTHOLD 9: ephemeral containers are judged like the others', async () => {
  await namespace({ [enforce]: 'baseline' })
  await create({})
  const { status, json } = await api.call('PATCH', '/api/v1/namespaces/ns/pods/p/ephemeralcontainers', {
    body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'i', securityContext: { privileged: true } }] } },
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
  })
  expect([status, json.message]).toEqual([
    403,
    'pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged (container "debug" must not set securityContext.privileged=true)',
  ])
})

test('what is warned of comes as a warning, for templates too', async () => {
  await namespace({ 'pod-security.kubernetes.io/warn': 'baseline' })
  const { status, warnings } = await create({ hostNetwork: true })
  expect([status, warnings]).toEqual([201, ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']])
  const template = { metadata: { labels: { a: 'b' } }, spec: { hostPID: true, containers: [{ name: 'a', image: 'i' }] } }
  const deployment = await api.ok('POST', '/apis/apps/v1/namespaces/ns/deployments', {
    body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } },
  })
  expect(deployment.warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'])
})

test('a namespace without labels allows everything', async () => {
  await namespace({})
  expect((await create({ hostNetwork: true }, { securityContext: { privileged: true } })).status).toBe(201)
})
