// APIServices of custom resources come, stay over a restart, and go with their definitions.
import { expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { openMemoryStore } from '#storage/memory/memory-store'
import { openWholeServer, root, type WholeServer } from '../whole-server.testing.ts'

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const definition = {
  metadata: { name: 'bulbs.garden.example.com' },
  spec: {
    group: 'garden.example.com',
    scope: 'Namespaced',
    names: { plural: 'bulbs', kind: 'Bulb' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
}

/** The uid of the APIService, or the status of the answer. */
async function found(server: WholeServer): Promise<string | number> {
  const { status, json } = await server.as(root)('GET', '/apis/apiregistration.k8s.io/v1/apiservices/v1.garden.example.com')
  return status === 200 ? json.metadata.uid : status
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500 && !(await condition()); i++) await systemClock.sleep(10)
  expect(await condition()).toBe(true)
}

test('an APIService of custom resources lives as long as their definition, restarts included', async () => {
  const store = openMemoryStore()
  const first = await openWholeServer({ store })
  expect((await first.as(root)('POST', definitions, definition)).status).toBe(201)
  await eventually(async () => typeof (await found(first)) === 'string')
  const uid = await found(first)
  await first.api.close()
  const second = await openWholeServer({ store })
  await eventually(async () => (await second.as(root)('GET', '/apis/garden.example.com/v1')).status === 200)
  expect(await found(second)).toBe(uid)
  await second.as(root)('DELETE', `${definitions}/bulbs.garden.example.com`)
  await eventually(async () => (await found(second)) === 404)
  await second.api.close()
})
