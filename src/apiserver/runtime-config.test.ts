// What --runtime-config takes and refuses, and what a server with it serves.
import { describe, expect, test } from 'vitest'
import { allKinds, optionalKinds } from '#api/kinds/all'
import { parseRuntimeConfig, unservedKinds } from './runtime-config.ts'
import { openWholeServer, root, type WholeServer } from './whole-server.testing.ts'

const unserved = (...texts: string[]): string[] => [...unservedKinds(parseRuntimeConfig(texts), allKinds, optionalKinds)].sort()
const beta = optionalKinds.map(({ id }) => id).sort()

describe('what is said', () => {
  test.each<[string, string[], string[]]>([
    ['nothing: what is optional is not served', [], beta],
    ['a version by its name', ['networking.k8s.io/v1beta1=true'], []],
    ['a version without a value is on', ['networking.k8s.io/v1beta1'], []],
    ['all beta versions', ['api/beta=true'], []],
    ['all versions', ['api/all=true'], []],
    ['a single resource of a version that is off', ['networking.k8s.io/v1beta1/ipaddresses=true'], [beta[1]!]],
    ['a resource wins over its version', ['networking.k8s.io/v1beta1=true', 'networking.k8s.io/v1beta1/ipaddresses=false'], [beta[0]!]],
    ['a version wins over its level', ['api/beta=false,networking.k8s.io/v1beta1=true'], []],
    ['the levels are looked at in their order, not in that of the words', ['api/beta=true,api/all=true', 'api/beta=false'], beta],
    ['the last word of a key holds', ['batch/v1=false', 'batch/v1=true'], beta],
    ['a stable version off', ['batch/v1=false'], ['batch/v1/cronjobs', 'batch/v1/jobs', ...beta]],
    ['a version of the core group', ['/v1/secrets=0'], ['core/v1/secrets', ...beta]],
    ['a resource that there is not', ['batch/v1/tasks=false'], beta],
  ])('%s', (_name, said, expected) => {
    expect(unserved(...said)).toEqual(expected)
  })

  test.each([
    ['api/all=false', 'invalid runtime-config with only api/all=false'],
    ['apiall=false', 'runtime-config invalid key apiall'],
    ['v1=true', 'runtime-config invalid key v1'],
    ['a/b/c/d=true', 'runtime-config invalid key a/b/c/d'],
    ['api/v1=true,api/v1beta2=true', 'unknown api groups api/v1,api/v1beta2'],
    ['apps/v9=true', 'group version apps/v9 that has not been registered'],
    ['api/beta=1', 'invalid value api/beta=1'],
    ['apps/v1=yes', 'invalid value of apps/v1: yes, err: strconv.ParseBool: parsing "yes": invalid syntax'],
    [
      'apps/v1/Deployments=true',
      'invalid key apps/v1/Deployments: group/version/resource and resource is always lowercase plural, not "Deployments"',
    ],
  ])('%s is refused', (said, message) => {
    expect(() => unserved(said)).toThrow(message)
  })
})

async function served(config: string, run: (server: WholeServer) => Promise<void>): Promise<void> {
  const kinds = [...allKinds, ...optionalKinds]
  const server = await openWholeServer({ kinds, unserved: unservedKinds(parseRuntimeConfig([config]), allKinds, optionalKinds) })
  try {
    await run(server)
  } finally {
    await server.close()
  }
}

const versionsOf = (group: { versions: { version: string }[] }): string[] => group.versions.map(({ version }) => version)

describe('what is served', () => {
  test('without the option there is no beta version anywhere', () =>
    served('', async (server) => {
      const as = server.as(root)
      expect((await as('GET', '/apis/networking.k8s.io/v1beta1')).status).toBe(404)
      expect((await as('GET', '/apis/networking.k8s.io/v1beta1/ipaddresses')).status).toBe(404)
      expect(versionsOf((await as('GET', '/apis/networking.k8s.io')).json)).toEqual(['v1'])
      expect((await as('GET', '/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.networking.k8s.io')).status).toBe(404)
    }))

  test('an optional version is the same objects under another version', () =>
    served('networking.k8s.io/v1beta1=true', async (server) => {
      const as = server.as(root)
      const group = (await as('GET', '/apis/networking.k8s.io')).json
      expect([versionsOf(group), group.preferredVersion.version]).toEqual([['v1', 'v1beta1'], 'v1'])
      const { resources } = (await as('GET', '/apis/networking.k8s.io/v1beta1')).json
      expect(resources.map(({ name }: { name: string }) => name)).toEqual(['ipaddresses', 'servicecidrs', 'servicecidrs/status'])
      const path = '/apis/networking.k8s.io/v1beta1'
      const spec = { parentRef: { resource: 'services', namespace: 'default', name: 'a' } }
      const body = { apiVersion: 'networking.k8s.io/v1beta1', kind: 'IPAddress', metadata: { name: '10.96.0.77' }, spec }
      const made = await as('POST', `${path}/ipaddresses`, body)
      expect([made.status, made.json.apiVersion, made.json.spec]).toEqual([201, body.apiVersion, spec])
      expect((await as('GET', '/apis/networking.k8s.io/v1/ipaddresses/10.96.0.77')).json).toMatchObject({
        apiVersion: 'networking.k8s.io/v1',
        spec,
      })
      expect((await as('POST', `${path}/ipaddresses`, { ...body, metadata: { name: '10.96.0.078' } })).json.message).toContain(
        'must not have leading 0s',
      )
      expect((await as('GET', `${path}/servicecidrs/kubernetes`)).json).toMatchObject({
        apiVersion: body.apiVersion,
        spec: { cidrs: ['10.96.0.0/16'] },
      })
      const condition = { type: 'Ready', status: 'True', reason: 'NetworkReady', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
      const patched = await as(
        'PATCH',
        `${path}/servicecidrs/kubernetes/status`,
        { status: { conditions: [condition] } },
        { 'content-type': 'application/merge-patch+json' },
      )
      expect([patched.status, patched.json.apiVersion]).toEqual([200, body.apiVersion])
      expect((await as('DELETE', `${path}/ipaddresses/10.96.0.77`)).status).toBe(200)
    }))

  test('a stable version that is off is gone from discovery and answers 404; the rest goes on', () =>
    served('batch/v1=false,apps/v1/controllerrevisions=false', async (server) => {
      const as = server.as(root)
      expect((await as('GET', '/apis/batch/v1/namespaces/default/jobs')).status).toBe(404)
      expect((await as('GET', '/apis/batch')).status).toBe(404)
      const groups = (await as('GET', '/apis')).json.groups as { name: string }[]
      expect(groups.map(({ name }) => name)).not.toContain('batch')
      expect((await as('GET', '/apis/apps/v1/controllerrevisions')).status).toBe(404)
      expect((await as('GET', '/apis/apps/v1/deployments')).status).toBe(200)
      expect((await as('GET', '/readyz')).text).toBe('ok')
    }))

  test('a server without roles, flow schemas and APIServices becomes ready', () =>
    served('rbac.authorization.k8s.io/v1=false,flowcontrol.apiserver.k8s.io/v1=false,apiregistration.k8s.io/v1=false', async (server) => {
      const as = server.as(root)
      expect((await as('GET', '/readyz')).text).toBe('ok')
      expect((await as('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles')).status).toBe(404)
      expect((await as('GET', '/api/v1/namespaces')).status).toBe(200)
    }))
})
