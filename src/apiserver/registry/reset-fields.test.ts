// Each endpoint writes its part, and its callers own no more than that.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

const apply = { 'content-type': 'application/apply-patch+yaml' }
const merge = { 'content-type': 'application/merge-patch+json' }
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }

interface Case {
  readonly path: string
  readonly body: { apiVersion: string; kind: string; metadata: { name: string }; spec: object }
  readonly otherSpec: object
  readonly status: object
  readonly otherStatus: object
  /** Metadata that the status endpoint leaves alone. */
  readonly keeps: readonly ('labels' | 'annotations')[]
}

const cases: readonly Case[] = [
  {
    path: '/apis/apps/v1/namespaces/default/deployments',
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'one' },
      spec: { selector: { matchLabels: { a: 'b' } }, template },
    },
    otherSpec: { replicas: 7, template: { ...template, spec: { containers: [{ name: 'c', image: 'other' }] } } },
    status: { conditions: [{ type: 'Mine', status: 'True' }] },
    otherStatus: { conditions: [{ type: 'Mine', status: 'False' }] },
    keeps: ['labels'],
  },
  {
    path: '/apis/networking.k8s.io/v1/namespaces/default/ingresses',
    body: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'one' },
      spec: { defaultBackend: { service: { name: 'a', port: { number: 80 } } } },
    },
    otherSpec: { defaultBackend: { service: { name: 'b', port: { number: 80 } } } },
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
    otherStatus: { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } },
    keeps: [],
  },
  {
    path: '/apis/storage.k8s.io/v1/volumeattachments',
    body: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name: 'one' },
      spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'pv' } },
    },
    otherSpec: { attacher: 'a', nodeName: 'other', source: { persistentVolumeName: 'pv' } },
    status: { attached: true },
    otherStatus: { attached: false },
    keeps: ['labels', 'annotations'],
  },
]

describe.each(cases)('$path', ({ path, body, otherSpec, status, otherStatus, keeps }) => {
  const applied = (object: object, manager: string, subresource = '') =>
    api.call('PATCH', `${path}/one${subresource}?fieldManager=${manager}`, { body: object, headers: apply })
  const whole = { ...body, status }
  const other = { ...body, spec: { ...body.spec, ...otherSpec }, status: otherStatus }

  test('what an endpoint does not write is in nobody’s way there', async () => {
    expect((await applied(whole, 'first')).status).toBe(201)
    expect((await applied(other, 'second', '/status')).status).toBe(200)
    const spec = await applied(other, 'second')
    expect([spec.status, spec.json.message]).toEqual([409, expect.stringContaining('conflict with "first"')])
    const again = await applied(whole, 'first', '/status')
    expect([again.status, again.json.message]).toEqual([409, expect.stringContaining('conflict with "second"')])
  })

  test('owners of spec and of status are apart', async () => {
    await applied(whole, 'first')
    await applied({ ...other, metadata: { ...body.metadata, labels: { x: 'y' } } }, 'second', '/status')
    const { managedFields } = (await api.ok('GET', `${path}/one`)).json.metadata
    const owned = Object.fromEntries(
      managedFields.map(({ manager, fieldsV1 }: { manager: string; fieldsV1: object }) => [manager, Object.keys(fieldsV1)]),
    )
    expect(owned).toEqual({ first: ['f:spec'], second: keeps.includes('labels') ? ['f:status'] : ['f:metadata', 'f:status'] })
  })

  test('the status endpoint writes of metadata what it may', async () => {
    await applied(whole, 'first')
    const metadata = { labels: { new: 'x' }, annotations: { new: 'x' } }
    const patched = await api.ok('PATCH', `${path}/one/status`, { body: { metadata, status: otherStatus }, headers: merge })
    expect(Object.hasOwn(patched.json.metadata.labels ?? {}, 'new')).toBe(!keeps.includes('labels'))
    expect(Object.hasOwn(patched.json.metadata.annotations ?? {}, 'new')).toBe(!keeps.includes('annotations'))
  })
})
