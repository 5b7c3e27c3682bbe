// Tokens in Secrets, from their making to their end with the account, and as whom the API server knows them.
import { expect, test } from 'vitest'
import { TokenReview } from '#api/kinds/authentication/token-review'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { startTestCluster } from '../cluster.testing.ts'
import { trimSecret } from './token-secrets.ts'

const type = 'kubernetes.io/service-account-token'
const key = { namespace: 'default', name: 'robot-token' }
const named = (account: string) => ({
  metadata: { ...key, annotations: { 'kubernetes.io/service-account.name': account } },
  type,
})

test('a Secret for an account gets a token that holds as long as both are there', async () => {
  const cluster = await startTestCluster()
  const { client } = cluster
  const account = await cluster.create(ServiceAccount, { metadata: { name: 'robot', namespace: 'default' } })
  await cluster.create(Secret, named('robot'))
  const secret = await cluster.until(async () => {
    const found = await client.get(Secret, key)
    return found.data?.['token'] === undefined ? undefined : found
  })
  expect(secret.metadata.annotations).toEqual({
    'kubernetes.io/service-account.name': 'robot',
    'kubernetes.io/service-account.uid': account.metadata.uid,
  })
  const read = (field: string): string => Buffer.from(secret.data![field]!, 'base64').toString()
  expect([read('namespace'), read('ca.crt')]).toEqual(['default', 'ca'])
  const token = read('token')
  expect(JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())).toEqual({
    iss: 'kubernetes/serviceaccount',
    'kubernetes.io/serviceaccount/namespace': 'default',
    'kubernetes.io/serviceaccount/secret.name': 'robot-token',
    'kubernetes.io/serviceaccount/service-account.name': 'robot',
    'kubernetes.io/serviceaccount/service-account.uid': account.metadata.uid,
    sub: 'system:serviceaccount:default:robot',
  })
  const review = async () => (await client.create(TokenReview, { metadata: { name: '' }, spec: { token } })).status
  expect(await review()).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:default:robot' } })

  await client.delete(ServiceAccount, { namespace: 'default', name: 'robot' })
  await cluster.until(async () => (await cluster.list(Secret, 'default')).every(({ metadata }) => metadata.name !== 'robot-token'))
  expect((await review())?.authenticated).toBeUndefined()
  expect(cluster.failures).toEqual([])
})

test('one for an account that is not there goes', async () => {
  const cluster = await startTestCluster()
  await cluster.create(Secret, named('nobody'))
  await cluster.until(async () => (await cluster.list(Secret, 'default')).length === 0)
})

test('of other Secrets the controllers keep no contents', () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a', uid: '1' }, data: { a: 'b' } }
  expect(trimSecret({ ...secret, type: 'Opaque' } as never)).not.toHaveProperty('data')
  expect(trimSecret({ ...secret, type } as never)).toHaveProperty('data')
})
