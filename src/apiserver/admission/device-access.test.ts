import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTestCore, type TestCore } from '../api-core.testing.ts'
import type { Attributes } from '../authz/authorizer.ts'
import type { User } from '../request.ts'

let api: TestCore
let allowed: (attributes: Attributes) => boolean

beforeEach(async () => {
  allowed = () => true
  const authorizer = {
    name: 'test',
    authorize: (attributes: Attributes) => ({ verdict: allowed(attributes) ? ('allow' as const) : ('none' as const), reason: '' }),
  }
  api = await openTestCore({ authorizer: () => authorizer })
  for (const [name, labels] of [
    ['plain', {}],
    ['marked', { 'resource.kubernetes.io/admin-access': 'true' }],
  ] as const) {
    await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } } })
  }
})
afterEach(() => api.close())

const group = '/apis/resource.k8s.io/v1/namespaces'
const apiVersion = 'resource.k8s.io/v1'
const spec = (adminAccess: boolean) => ({
  devices: { requests: [{ name: 'a', exactly: { deviceClassName: 'x', allocationMode: 'ExactCount', count: 1, adminAccess } }] },
})
const needsLabel =
  'spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace'

test('access past others is for namespaces that are marked', async () => {
  const create = (namespace: string, adminAccess: boolean) =>
    api.call('POST', `${group}/${namespace}/resourceclaims`, {
      body: { apiVersion, kind: 'ResourceClaim', metadata: { generateName: 'c-' }, spec: spec(adminAccess) },
    })
  expect((await create('plain', false)).status).toBe(201)
  expect((await create('marked', true)).status).toBe(201)
  const refused = await create('plain', true)
  expect([refused.status, refused.json.message]).toEqual([422, expect.stringContaining(needsLabel)])
  const template = await api.call('POST', `${group}/plain/resourceclaimtemplates`, {
    body: { apiVersion, kind: 'ResourceClaimTemplate', metadata: { name: 't' }, spec: { spec: spec(true) } },
  })
  expect([template.status, template.json.message]).toEqual([422, expect.stringContaining(needsLabel)])
})

test('a claim’s status is for whom its parts are for', async () => {
  const path = `${group}/plain/resourceclaims/claim`
  const body = { apiVersion, kind: 'ResourceClaim', metadata: { name: 'claim' }, spec: spec(false) }
  const claim = (await api.ok('POST', `${group}/plain/resourceclaims`, { body })).json
  const result = { request: 'a', driver: 'dra.example.com', pool: 'p', device: 'd' }
  const nodeSelector = { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }] }] }
  const status = { allocation: { devices: { results: [result] }, nodeSelector } }
  const write = (next: object, user: User = { name: 'jane', groups: [] }) =>
    api.call('PUT', `${path}/status`, { body: { ...claim, metadata: { name: 'claim', namespace: 'plain' }, status: next }, user })

  allowed = ({ subresource }) => subresource !== 'binding'
  const refused = await write(status)
  expect([refused.status, refused.json.message]).toEqual([
    422,
    'ResourceClaim.resource.k8s.io "claim" is invalid: status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: User "jane" cannot update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope',
  ])
  allowed = ({ subresource }) => subresource === 'binding'
  expect((await write(status)).status).toBe(200)

  const { driver, pool, device } = result
  const told = { ...status, devices: [{ driver, pool, device, data: { a: 1 } }] }
  expect((await write(told)).json.message).toContain(
    'status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:update]" permission: resourceclaims.resource.k8s.io "dra.example.com" is forbidden: User "jane" cannot arbitrary-node:update resource "resourceclaims/driver"',
  )
  // A driver on the node of the allocation needs the right for that alone.
  allowed = ({ verb, name }) => verb === 'associated-node:update' && name === 'dra.example.com'
  const extra = { 'authentication.kubernetes.io/node-name': ['node-1'] }
  const onNode = { name: 'system:serviceaccount:a:driver', groups: [], extra }
  expect((await write(told, { ...onNode, extra: { 'authentication.kubernetes.io/node-name': ['node-2'] } })).status).toBe(422)
  expect((await write(told, onNode)).status).toBe(200)
})
