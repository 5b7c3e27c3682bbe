// What API servers behind this one are told of how its clients prove themselves.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCa } from '#platform/x509'
import { openWholeServer, root, type WholeServer } from '../whole-server.testing.ts'
import { authenticationData } from './publish-authentication.ts'

const nowMs = Date.UTC(2026, 0, 1)
const authority = (commonName: string, days = 10): string => createCa({ commonName, days, nowMs }).certificatePem
const [ours, proxies, others, ended] = [authority('ours'), authority('proxies'), authority('others'), authority('ended', 1)]

describe('the data', () => {
  test('says who signs clients and proxies, and which headers name a user', () => {
    expect(authenticationData({ clientCaPem: ours, requestHeader: { caPem: proxies, allowedNames: ['front'] } }, {}, nowMs)).toEqual({
      'client-ca-file': ours,
      'requestheader-client-ca-file': proxies,
      'requestheader-allowed-names': '["front"]',
      'requestheader-username-headers': '["X-Remote-User"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    })
  })

  test('keeps what another server said, but for authorities that have expired', () => {
    const old = { 'client-ca-file': `${others}${ended}junk`, 'requestheader-allowed-names': '["other"]', more: 'x' }
    const data = authenticationData(
      { clientCaPem: ours, requestHeader: { caPem: proxies, allowedNames: ['front'] } },
      old,
      nowMs + 2 * 86_400_000,
    )
    expect([data['client-ca-file'], data['requestheader-allowed-names'], data['more']]).toEqual([
      `${ours}${others}`,
      '["front","other"]',
      'x',
    ])
  })

  test('says nothing of what there is not', () => {
    expect(authenticationData({}, {}, nowMs)).toEqual({})
  })
})

describe('the ConfigMap', () => {
  let server: WholeServer
  const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
  beforeAll(async () => {
    server = await openWholeServer({ authenticationInfo: { clientCaPem: ours } })
  })
  afterAll(() => server.close())
  const published = async (): Promise<Record<string, string> | undefined> => {
    for (let turn = 0; turn < 200; turn++) {
      const { json } = await server.as(root)('GET', path)
      if (json.data?.['client-ca-file'] === ours) return json.data
      await new Promise((resolve) => setImmediate(resolve))
    }
    return undefined
  }

  test('is made at the start, and again when somebody takes it away or changes it', async () => {
    expect(await published()).toEqual({ 'client-ca-file': ours })
    await server.as(root)('DELETE', path)
    expect(await published()).toEqual({ 'client-ca-file': ours })
    await server.as(root)('PATCH', path, { data: { 'client-ca-file': null, own: 'x' } }, { 'content-type': 'application/merge-patch+json' })
    expect(await published()).toEqual({ 'client-ca-file': ours, own: 'x' })
    expect((await server.as(root)('GET', '/readyz/poststarthook/start-cluster-authentication-info-controller')).text).toBe('ok')
  })
})
