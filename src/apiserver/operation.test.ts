// What whoever operates the server looks at: checks, metrics, paths; and how it answers when it is full or about to stop.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWholeServer, person, root, type WholeServer } from './whole-server.testing.ts'

let server: WholeServer
beforeAll(async () => {
  server = await openWholeServer()
})
afterAll(() => server.close())

describe('what is no resource', () => {
  test.each([
    ['PUT', '/api'],
    ['POST', '/apis/apps/v1'],
    ['OPTIONS', '/version'],
    ['HEAD', '/apis'],
  ])('%s %s is not allowed: documents are for GET', async (method, path) => {
    expect((await server.as(root)(method, path)).status).toBe(405)
  })

  test('checks take HEAD', async () => {
    expect((await server.as(root)('HEAD', '/livez/ping')).status).toBe(200)
  })
})

describe('checks', () => {
  test.each(['livez', 'healthz', 'readyz'])('/%s names each, in kube-apiserver’s words', async (endpoint) => {
    // The flow schemas are made a moment after the server is ready.
    for (let turn = 0; turn < 100 && (await server.wire('GET', `/${endpoint}`)).text !== 'ok'; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const lines = (await server.wire('GET', `/${endpoint}?verbose`)).text.split('\n')
    expect(lines.slice(0, 3)).toEqual(['[+]ping ok', '[+]log ok', '[+]etcd ok'])
    for (const name of ['rbac/bootstrap-roles', 'priority-and-fairness-config-producer', 'scheduling/bootstrap-system-priority-classes']) {
      expect(lines).toContain(`[+]poststarthook/${name} ok`)
    }
    expect(lines.includes('[+]informer-sync ok')).toBe(endpoint === 'readyz')
    expect(lines.includes('[+]shutdown ok')).toBe(endpoint === 'readyz')
    expect(lines.slice(-2)).toEqual([`${endpoint} check passed`, ''])
    expect((await server.as(root)('GET', `/${endpoint}/ping`)).text).toBe('ok')
  })

  test('stand in the list of paths, each with its root', async () => {
    const { paths } = (await server.as(root)('GET', '/')).json
    expect(paths).toEqual(
      expect.arrayContaining(['/healthz/etcd', '/livez/poststarthook/rbac/bootstrap-roles', '/readyz/shutdown', '/readyz/informer-sync']),
    )
    expect(paths).not.toContain('/livez/shutdown')
    expect(paths).not.toContain('/logs')
    for (const path of ['/logs', '/debug/pprof', '/debug/flags/v']) expect((await server.as(root)('GET', path)).status).toBe(404)
  })

  test('a server that is about to stop is not ready, and serves', async () => {
    const leaving = await openWholeServer()
    leaving.api.leave()
    const ready = await leaving.wire('GET', '/readyz')
    expect([ready.status, ready.text]).toEqual([
      500,
      expect.stringMatching(/\[-\]shutdown failed: reason withheld\nreadyz check failed\n$/),
    ])
    expect((await leaving.wire('GET', '/livez')).text).toBe('ok')
    expect((await leaving.as(root)('GET', '/api/v1/namespaces')).status).toBe(200)
    leaving.api.stop()
    const refused = await leaving.as(root)('GET', '/api/v1/namespaces')
    expect([refused.status, refused.headers['connection'], refused.headers['retry-after']]).toEqual([429, 'close', '5'])
    await leaving.close()
  })
})

test('metrics have Kubernetes’ names, and none of a Go program', async () => {
  await server.as(person('jane'))('GET', '/api/v1/nodes')
  await server.wire('GET', '/api/v1/nodes', { headers: { authorization: 'Bearer x' } })
  const { text } = await server.as(root)('GET', '/metrics')
  for (const line of [
    'apiserver_storage_objects{resource="namespaces"} 4',
    'apiserver_resource_objects{group="rbac.authorization.k8s.io",resource="clusterroles"}',
    'apiserver_current_inflight_requests{request_kind="readOnly"}',
    'apiserver_current_inqueue_requests{request_kind="mutating"} 0',
    'apiserver_flowcontrol_nominal_limit_seats{priority_level="workload-low"} 245',
    'authentication_attempts{result="error"} 1',
    'authenticated_user_requests{username="other"}',
    'authorization_attempts_total{result="no-opinion"}',
    'authorization_duration_seconds_count{result="allowed"}',
    'apiserver_authorization_decisions_total{type="RBAC",name="rbac",decision="allowed"}',
    'kubernetes_build_info{major="1",minor="36"',
    'kubernetes_healthcheck{name="ping",type="livez"} 1',
    '# TYPE process_cpu_seconds_total counter',
    'process_open_fds ',
    'process_max_fds ',
    'process_virtual_memory_bytes ',
  ]) {
    expect(text).toContain(line)
  }
  expect(text).not.toMatch(/^go_/m)
})

test('what tells of health alone has a path of its own', async () => {
  await server.as(root)('GET', '/livez')
  const { status, text } = await server.as(root)('GET', '/metrics/slis')
  const families = text.split('\n').flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? [])
  expect([status, families]).toEqual([200, ['kubernetes_healthcheck', 'kubernetes_healthchecks_total']])
})

test('requests that last are counted while they do', async () => {
  const stop = new AbortController()
  const transport = server.api.inProcess(root)
  const line =
    'apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="secrets",subresource="",scope="cluster",component="apiserver"}'
  const counted = async (): Promise<string | undefined> =>
    (await server.as(root)('GET', '/metrics')).text.split('\n').find((text) => text.startsWith(line))
  await transport.send({ method: 'GET', path: '/api/v1/secrets?watch=1', signal: stop.signal })
  expect(await counted()).toBe(`${line} 1`)
  stop.abort()
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(await counted()).toBe(`${line} 0`)
  await transport.close()
})

test('a client may name its request, to find it in the audit log', async () => {
  expect((await server.wire('GET', '/version', { headers: { 'audit-id': 'mine-1' } })).headers['audit-id']).toBe('mine-1')
  for (const strange of ['', 'x'.repeat(65), 'a b']) {
    expect((await server.wire('GET', '/version', { headers: { 'audit-id': strange } })).headers['audit-id']).toMatch(/^[0-9a-f-]{36}$/)
  }
})

describe('flow schemas and priority levels', () => {
  const group = '/apis/flowcontrol.apiserver.k8s.io/v1'
  const settled = async (holds: () => Promise<boolean>): Promise<boolean> => {
    for (let turn = 0; turn < 300; turn++) {
      if (await holds()) return true
      await new Promise((resolve) => setImmediate(resolve))
    }
    return false
  }
  const merge = { 'content-type': 'application/merge-patch+json' }

  test('are there from the start; each answer tells its own', async () => {
    const schemas = (await server.as(root)('GET', `${group}/flowschemas`)).json.items
    expect(schemas.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual([
      'catch-all',
      'exempt',
      'global-default',
      'kube-controller-manager',
      'kube-scheduler',
      'kube-system-service-accounts',
      'probes',
      'service-accounts',
      'system-leader-election',
      'system-node-high',
      'system-nodes',
    ])
    const uidOf = (name: string): string => schemas.find((item: { metadata: { name: string } }) => item.metadata.name === name).metadata.uid
    const { headers, status } = await server.as(person('jane'))('GET', '/api/v1/nodes')
    const level = (await server.as(root)('GET', `${group}/prioritylevelconfigurations/global-default`)).json
    expect([status, headers['x-kubernetes-pf-flowschema-uid'], headers['x-kubernetes-pf-prioritylevel-uid']]).toEqual([
      403,
      uidOf('global-default'),
      level.metadata.uid,
    ])
  })

  test('the mandatory are brought back; the suggested until somebody takes them over', async () => {
    const call = server.as(root)
    await call(
      'PATCH',
      `${group}/flowschemas/catch-all`,
      { metadata: { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } }, spec: { matchingPrecedence: 9_999 } },
      merge,
    )
    expect(await settled(async () => (await call('GET', `${group}/flowschemas/catch-all`)).json.spec.matchingPrecedence === 10_000)).toBe(
      true,
    )
    const level = `${group}/prioritylevelconfigurations/workload-low`
    const shares = async (): Promise<number> => (await call('GET', level)).json.spec.limited.nominalConcurrencyShares
    await call('PATCH', level, { spec: { limited: { nominalConcurrencyShares: 1 } } }, merge)
    expect(await settled(async () => (await shares()) === 100)).toBe(true)
    await call(
      'PATCH',
      level,
      { metadata: { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } }, spec: { limited: { nominalConcurrencyShares: 50 } } },
      merge,
    )
    await settled(async () => false)
    expect(await shares()).toBe(50)
    await call('DELETE', `${group}/flowschemas/probes`)
    expect(await settled(async () => (await call('GET', `${group}/flowschemas/probes`)).status === 200)).toBe(true)
  })

  test('a schema whose level is not there says so, and is heard again when it is', async () => {
    const call = server.as(root)
    const dangling = async (): Promise<unknown> =>
      (await call('GET', `${group}/flowschemas/mine`)).json.status?.conditions?.map(
        ({ type, status, reason, message }: Record<string, string>) => [type, status, reason, message],
      )
    await call('POST', `${group}/flowschemas`, {
      metadata: { name: 'mine' },
      spec: {
        priorityLevelConfiguration: { name: 'mine' },
        matchingPrecedence: 700,
        rules: [{ subjects: [{ kind: 'User', user: { name: 'jane' } }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }],
      },
    })
    const text = 'This FlowSchema references the PriorityLevelConfiguration object named "mine"'
    expect(await settled(async () => (await dangling()) !== undefined)).toBe(true)
    expect(await dangling()).toEqual([['Dangling', 'True', 'NotFound', `${text} but there is no such object`]])
    await call('POST', `${group}/prioritylevelconfigurations`, {
      metadata: { name: 'mine' },
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 5, limitResponse: { type: 'Reject' } } },
    })
    expect(await settled(async () => JSON.stringify(await dangling()).includes('"False"'))).toBe(true)
    expect(await dangling()).toEqual([['Dangling', 'False', 'Found', `${text} and it exists`]])
  })
})

describe('time', () => {
  test('a client may ask for less, and must say it well', async () => {
    const wrong = await server.wire('GET', '/api/v1/namespaces?timeout=soon')
    expect([wrong.status, wrong.json.message]).toEqual([
      400,
      'invalid timeout specified in the request URL - time: invalid duration "soon"',
    ])
    expect((await server.as(root)('GET', '/api/v1/namespaces?timeout=30s')).status).toBe(200)
  })
})
