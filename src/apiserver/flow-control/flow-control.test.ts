// Flow control as a whole: classification, seats, waiting, turning away, lending, configuration that changes.
import { describe, expect, test } from 'vitest'
import { FlowSchema } from '#api/kinds/flowcontrol/flow-schema'
import { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import { FakeClock } from '#base/fake-clock'
import { createMetrics } from '#platform/metrics'
import { fakeReader } from '../fake-reader.testing.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import type { ApiReply, User } from '../request.ts'
import { defaultLevels, defaultSchemas, type LevelSpec, levelObject, type SchemaSpec, schemaObject } from './default-objects.ts'
import { dumpFlowControl } from './dump.ts'
import { createFlowControl } from './flow-control.ts'
import { registerFlowControlMetrics } from './metrics.ts'
import { dealHand } from './queues.ts'

const jane: User = { name: 'jane', groups: ['system:authenticated'] }
const ok = async (): Promise<ApiReply> => ({ status: 200, headers: {}, body: undefined })

function open({
  levels = [] as [string, LevelSpec][],
  schemas = [] as [string, SchemaSpec][],
  totalSeats = 600,
  defaults = true,
  objects = { count: 0, averageBytes: 0 },
} = {}) {
  const clock = new FakeClock()
  const reader = fakeReader()
  let uids = 0
  const uid = () => `uid-${++uids}`
  const put = (kind: typeof FlowSchema | typeof PriorityLevelConfiguration, object: { metadata: { name: string } }) =>
    reader.put(kind as never, { ...object, metadata: { ...object.metadata, uid: uid() } } as never)
  if (defaults) {
    for (const level of defaultLevels) put(PriorityLevelConfiguration, levelObject(level))
    for (const schema of defaultSchemas) put(FlowSchema, schemaObject(schema))
  }
  for (const [name, spec] of levels) put(PriorityLevelConfiguration, levelObject({ name, spec, mandatory: false }))
  for (const [name, spec] of schemas) put(FlowSchema, schemaObject({ name, spec, mandatory: false }))
  const control = createFlowControl({ reader, clock, totalSeats, waitMsMax: 15_000, objectStats: () => objects })
  // A request that is served until `finish`.
  const start = (target: string, user: User = jane, method = 'GET') => {
    const request = fakeRequest(target, { user, method })
    const state = { phase: 'waiting', request, finish: (): void => undefined }
    const reply = Promise.resolve(
      control.stage.run(request, () => {
        state.phase = 'served'
        return new Promise<ApiReply>((resolve) => {
          state.finish = () => resolve({ status: 200, headers: {}, body: undefined })
        })
      }),
    )
    const ended = reply.then(
      () => (state.phase = 'done'),
      (error) => (state.phase = `${error.status.code}`),
    )
    return Object.assign(state, { ended })
  }
  return { clock, reader, control, start, put }
}

const everyone = (level: string, distinguisher?: string): SchemaSpec => ({
  priorityLevelConfiguration: { name: level },
  matchingPrecedence: 50,
  ...(distinguisher === undefined ? {} : { distinguisherMethod: { type: distinguisher } }),
  rules: [
    {
      subjects: [{ kind: 'Group', group: { name: 'system:authenticated' } }],
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
    },
  ],
})

const narrow = (shares: number, queueLengthLimit: number, lendablePercent = 0, queues = 1, handSize = 1): LevelSpec => ({
  type: 'Limited',
  limited: {
    nominalConcurrencyShares: shares,
    lendablePercent,
    borrowingLimitPercent: 0,
    limitResponse: { type: 'Queue', queuing: { queues, handSize, queueLengthLimit } },
  },
})

describe('which schema a request belongs to', () => {
  const user = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, 'system:authenticated'] })
  const account = (namespace: string, name: string): User =>
    user(`system:serviceaccount:${namespace}:${name}`, 'system:serviceaccounts', `system:serviceaccounts:${namespace}`)
  const node = user('system:node:a', 'system:nodes')
  const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x'

  test.each<[string, User, string, string, string]>([
    ['an administrator is exempt', user('root', 'system:masters'), 'GET', '/api/v1/pods', 'exempt'],
    ['a probe is exempt, whoever asks', { name: 'x', groups: ['system:unauthenticated'] }, 'GET', '/readyz/etcd', 'probes'],
    ['a node tells of itself', node, 'PATCH', '/api/v1/nodes/a/status', 'system-node-high'],
    ['a node renews its lease', node, 'PUT', lease, 'system-node-high'],
    ['a node reads a secret', node, 'GET', '/api/v1/namespaces/a/secrets/b', 'system-nodes'],
    ['a controller manager is elected', user('system:kube-controller-manager'), 'PUT', lease, 'system-leader-election'],
    [
      'a controller manager watches leases',
      user('system:kube-controller-manager'),
      'GET',
      '/apis/coordination.k8s.io/v1/leases?watch=1',
      'kube-controller-manager',
    ],
    ['a scheduler binds', user('system:kube-scheduler'), 'POST', '/api/v1/namespaces/a/pods/b/binding', 'kube-scheduler'],
    ['a system account', account('kube-system', 'dns'), 'GET', '/api/v1/services', 'kube-system-service-accounts'],
    ['any other account', account('shop', 'web'), 'GET', '/api/v1/services', 'service-accounts'],
    ['anybody else', jane, 'GET', '/api/v1/services', 'global-default'],
    ['who has no group at all', { name: 'x', groups: [] }, 'GET', '/api/v1/services', 'catch-all'],
  ])('%s', async (_what, who, method, target, schema) => {
    const { control } = open()
    const request = fakeRequest(target, { user: who, method })
    await control.stage.run(request, ok)
    const found = control.flows().find(({ counts }) => counts.dispatched === 1)
    expect([found?.schema.metadata.name, request.flow]).toEqual([
      schema,
      { schemaUid: found!.schema.metadata.uid, levelUid: found!.level.uid },
    ])
  })

  test('a session of exec belongs to none', async () => {
    const { control } = open()
    const request = fakeRequest('/api/v1/namespaces/a/pods/b/exec', { user: jane })
    await control.stage.run(request, ok)
    expect(request.flow).toBeUndefined()
  })

  test('before anything is stored there are the mandatory ones', async () => {
    const { control, put } = open({ defaults: false })
    expect(control.flows().map(({ schema }) => schema.metadata.name)).toEqual(['exempt', 'catch-all'])
    put(PriorityLevelConfiguration, levelObject({ name: 'mine', spec: narrow(10, 1), mandatory: false }))
    put(FlowSchema, schemaObject({ name: 'mine', spec: everyone('mine'), mandatory: false }))
    put(FlowSchema, schemaObject({ name: 'dangling', spec: everyone('nowhere'), mandatory: false }))
    expect(control.flows().map(({ schema }) => schema.metadata.name)).toEqual(['exempt', 'mine', 'catch-all'])
  })
})

describe('seats', () => {
  test('are shared out by shares, rounded up', () => {
    const { control } = open()
    expect(Object.fromEntries(control.levels().map(({ name, seats }) => [name, [seats.limits.nominal, seats.limits.lendable]]))).toEqual({
      exempt: [0, 0],
      'catch-all': [13, 0],
      system: [74, 24],
      'node-high': [98, 25],
      'leader-election': [25, 0],
      'workload-high': [98, 49],
      'workload-low': [245, 221],
      'global-default': [49, 25],
    })
  })

  test('who finds none free waits, in order, and goes on when one is', async () => {
    const { clock, control, start } = open({
      defaults: false,
      levels: [['one', narrow(5, 2)]],
      schemas: [['one', everyone('one')]],
      totalSeats: 2,
    })
    const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map((name) => start(`/api/v1/namespaces/x/pods/${name}`))
    await fourth!.ended
    expect([first!.phase, second!.phase, third!.phase, fourth!.phase]).toEqual(['served', 'waiting', 'waiting', '429'])
    await clock.advance(100)
    first!.finish()
    await first!.ended
    expect([second!.phase, third!.phase]).toEqual(['served', 'waiting'])
    second!.finish()
    await second!.ended
    expect(third!.phase).toBe('served')
    third!.finish()
    await third!.ended
    const { counts } = control.flows()[1]!
    expect(counts).toEqual({
      executing: 0,
      executingSeats: 0,
      waiting: 0,
      waitingSeats: 0,
      dispatched: 3,
      waitedMs: 200,
      rejected: new Map([['queue-full', 1]]),
      unaccommodated: 3,
    })
    expect(control.counts).toEqual({ readOnly: 0, mutating: 0, longRunning: 0 })
    expect(clock.pending).toBe(0)
  })

  test('nobody waits longer than a quarter of its time', async () => {
    const { clock, start } = open({ defaults: false, levels: [['one', narrow(5, 2)]], schemas: [['one', everyone('one')]], totalSeats: 2 })
    start('/api/v1/nodes/a')
    const late = start('/api/v1/nodes/b')
    await clock.advance(14_999)
    expect(late.phase).toBe('waiting')
    await clock.advance(1)
    expect(late.phase).toBe('429')
  })

  test('the catch-all turns away at once', async () => {
    const { start } = open({ defaults: false, totalSeats: 1 })
    const first = start('/api/v1/nodes/a')
    const second = start('/api/v1/nodes/b')
    await second.ended
    expect([first.phase, second.phase]).toEqual(['served', '429'])
  })

  test('the exempt are never kept waiting', async () => {
    const { start } = open({ defaults: false, totalSeats: 1 })
    const root: User = { name: 'root', groups: ['system:masters'] }
    expect(Array.from({ length: 20 }, () => start('/api/v1/nodes/a', root).phase)).toEqual(Array(20).fill('served'))
  })

  test('a watch has its seat until it has begun', async () => {
    const { control } = open()
    const body = async () => undefined
    const reply = await control.stage.run(fakeRequest('/api/v1/pods?watch=1', { user: jane }), async () => ({
      status: 200,
      headers: {},
      body,
    }))
    const level = control.levels().find(({ name }) => name === 'global-default')!
    expect([level.seats.used, control.counts.longRunning]).toEqual([0, 1])
    await (reply.body as (sink: unknown, signal: AbortSignal) => Promise<void>)(undefined, new AbortController().signal)
    expect(control.counts.longRunning).toBe(0)
  })

  test('a streamed answer keeps its place until it is written, whatever becomes of it', async () => {
    const { control } = open()
    const level = control.levels().find(({ name }) => name === 'global-default')!
    for (const fails of [false, true]) {
      const { body } = await control.stage.run(fakeRequest('/api/v1/pods', { user: jane }), async () => ({
        status: 200,
        headers: {},
        body: async () => {
          if (fails) throw new Error('broken')
        },
      }))
      expect([control.counts.readOnly, level.seats.used]).toEqual([1, 1])
      await (body as (sink: unknown, signal: AbortSignal) => Promise<void>)(undefined, new AbortController().signal).catch(() => undefined)
      expect([control.counts.readOnly, level.seats.used]).toEqual([0, 0])
    }
  })

  test('a list is as wide as what it goes through, within bounds', async () => {
    const { control, start } = open({ objects: { count: 550, averageBytes: 1_000 } })
    const level = control.levels().find(({ name }) => name === 'workload-low')!
    const account: User = { name: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts', 'system:authenticated'] }
    const list = start('/api/v1/pods', account)
    expect(level.seats.used).toBe(6)
    start('/api/v1/namespaces/a/pods/x', account)
    expect(level.seats.used).toBe(7)
    list.finish()
    await list.ended
    expect(level.seats.used).toBe(1)
  })

  test('a watch that begins with what is there keeps the seats of a list until that is written', async () => {
    const { control } = open({ objects: { count: 250, averageBytes: 1_000 } })
    const level = control.levels().find(({ name }) => name === 'global-default')!
    let begin!: () => void
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const reply = { status: 200, headers: {}, body: async () => undefined, begun }
    await control.stage.run(fakeRequest('/api/v1/pods?watch=1&sendInitialEvents=true', { user: jane }), async () => reply)
    expect(level.seats.used).toBe(3)
    begin()
    await begun
    expect(level.seats.used).toBe(0)
  })

  test('a write that many watch keeps more seats, for a while after it', async () => {
    const { clock, control, start } = open()
    const level = control.levels().find(({ name }) => name === 'global-default')!
    const reply = { status: 200, headers: {}, body: async () => undefined }
    for (let i = 0; i < 35; i++) {
      const request = fakeRequest('/api/v1/namespaces/a/pods?watch=1&resourceVersion=7', { user: jane })
      await control.stage.run(request, async () => reply)
    }
    expect(level.seats.used).toBe(0)
    const elsewhere = start('/api/v1/namespaces/b/pods', jane, 'POST')
    expect(level.seats.used).toBe(1)
    elsewhere.finish()
    await elsewhere.ended
    const write = start('/api/v1/namespaces/a/pods', jane, 'POST')
    expect(level.seats.used).toBe(4)
    write.finish()
    await write.ended
    expect(level.seats.used).toBe(4)
    await clock.advance(4)
    expect(level.seats.used).toBe(4)
    await clock.advance(1)
    expect(level.seats.used).toBe(0)
  })

  test('what a level does not use it lends, and has back as it falls free', async () => {
    const borrower: LevelSpec = { ...narrow(10, 10), limited: { ...narrow(10, 10).limited!, borrowingLimitPercent: 100 } }
    const { start } = open({
      defaults: false,
      levels: [
        ['lender', narrow(10, 10, 50)],
        ['borrower', borrower],
      ],
      schemas: [
        ['borrower', everyone('borrower')],
        [
          'lender',
          {
            ...everyone('lender'),
            matchingPrecedence: 40,
            rules: [{ ...everyone('lender').rules![0]!, subjects: [{ kind: 'User', user: { name: 'lender' } }] }],
          },
        ],
      ],
      // Two for the catch-all, which lends none.
      totalSeats: 10,
    })
    const lender: User = { name: 'lender', groups: ['system:authenticated'] }
    const taken = Array.from({ length: 7 }, () => start('/api/v1/nodes/a'))
    expect(taken.map(({ phase }) => phase)).toEqual([...Array(6).fill('served'), 'waiting'])
    const own = Array.from({ length: 3 }, () => start('/api/v1/nodes/a', lender))
    expect(own.map(({ phase }) => phase)).toEqual(['served', 'served', 'waiting'])
    taken[0]!.finish()
    await taken[0]!.ended
    // The borrower's own waiting request may not take what the lender asks back.
    expect([taken[6]!.phase, own[2]!.phase].sort()).toEqual(['served', 'waiting'])
  })
})

describe('fairness', () => {
  test('a hand is the same for the same flow, without doubles, and other for most others', () => {
    const hands = Array.from({ length: 50 }, (_, i) => dealHand(`flow-${i}`, 64, 6))
    for (const [i, hand] of hands.entries()) {
      expect(hand).toEqual(dealHand(`flow-${i}`, 64, 6))
      expect(new Set(hand).size).toBe(6)
      for (const card of hand) expect(card >= 0 && card < 64).toBe(true)
    }
    expect(new Set(hands.map((hand) => [...hand].sort((a, b) => a - b).join())).size).toBeGreaterThan(48)
    expect(dealHand('small', 3, 3).sort()).toEqual([0, 1, 2])
  })

  test('one that asks a hundred times does not keep another waiting behind it all', async () => {
    const { clock, start } = open({
      defaults: false,
      levels: [['shared', narrow(5, 200, 0, 64, 4)]],
      schemas: [['shared', everyone('shared', 'ByUser')]],
      totalSeats: 2,
    })
    const flood = Array.from({ length: 100 }, () => start('/api/v1/nodes/a', { name: 'flood', groups: ['system:authenticated'] }))
    const quiet = start('/api/v1/nodes/a', { name: 'quiet', groups: ['system:authenticated'] })
    let served = 0
    while (quiet.phase === 'waiting') {
      const next = flood.find(({ phase }) => phase === 'served')!
      await clock.advance(10)
      next.finish()
      await next.ended
      served++
    }
    expect(served).toBeLessThan(10)
  })
})

test('a level that goes lets out who waits there; one that changes takes effect at once', async () => {
  const { reader, put, control, start } = open({
    defaults: false,
    levels: [['one', narrow(5, 5)]],
    schemas: [['one', everyone('one')]],
    totalSeats: 2,
  })
  const [first, second] = [start('/api/v1/nodes/a'), start('/api/v1/nodes/b')]
  expect(second.phase).toBe('waiting')
  put(PriorityLevelConfiguration, levelObject({ name: 'one', spec: narrow(50, 5), mandatory: false }))
  control.flows()
  await Promise.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  expect(second.phase).toBe('served')
  reader.remove(PriorityLevelConfiguration as never, '', 'one')
  expect(control.flows().map(({ schema }) => schema.metadata.name)).toEqual(['exempt', 'catch-all'])
  first.finish()
  second.finish()
  await Promise.all([first.ended, second.ended])
})

test('what happened stands in the metrics', async () => {
  const { clock, control, start } = open({ defaults: false, totalSeats: 1 })
  const metrics = createMetrics()
  registerFlowControlMetrics(metrics, control, clock)
  start('/api/v1/nodes/a')
  await start('/api/v1/nodes/b').ended
  const text = [...metrics.text()].join('')
  for (const line of [
    '# TYPE apiserver_flowcontrol_dispatched_requests_total counter',
    'apiserver_flowcontrol_dispatched_requests_total{priority_level="catch-all",flow_schema="catch-all"} 1',
    'apiserver_flowcontrol_rejected_requests_total{priority_level="catch-all",flow_schema="catch-all",reason="concurrency-limit"} 1',
    'apiserver_flowcontrol_current_executing_requests{priority_level="catch-all",flow_schema="catch-all"} 1',
    'apiserver_flowcontrol_nominal_limit_seats{priority_level="catch-all"} 1',
  ]) {
    expect(text).toContain(line)
  }
})

test('what is under way can be looked at', async () => {
  const { clock, control, start } = open({
    schemas: [['flow', everyone('small', 'ByUser')]],
    levels: [['small', narrow(1, 10)]],
    defaults: false,
    totalSeats: 1,
  })
  start('/api/v1/namespaces/a/pods/b')
  await clock.advance(1_000)
  start('/api/v1/namespaces/a/pods/c')
  const dump = (path: string): string[] => {
    const reply = dumpFlowControl(fakeRequest(`/debug/api_priority_and_fairness/${path}`), control, clock)
    return `${reply?.body}`
      .trimEnd()
      .split('\n')
      .map((row) => row.split(/, */).join(','))
  }
  expect(dump('dump_priority_levels')).toEqual([
    'PriorityLevelName,ActiveQueues,IsIdle,IsQuiescing,WaitingRequests,ExecutingRequests,DispatchedRequests,RejectedRequests,TimedoutRequests,CancelledRequests',
    'catch-all,0,true,false,0,0,0,0,0,0',
    'exempt,0,true,false,0,0,0,0,0,0',
    'small,1,false,false,1,1,1,0,0,0',
  ])
  expect(dump('dump_queues')).toEqual([
    'PriorityLevelName,Index,PendingRequests,ExecutingRequests,SeatsInUse,NextDispatchR,InitialSeatsSum,MaxSeatsSum,TotalWorkSum',
    'small,0,1,0,0,0.00000000ss,1,1,0.00300000ss',
  ])
  expect(dump('dump_requests?includeRequestDetails=1')).toEqual([
    'PriorityLevelName,FlowSchemaName,QueueIndex,RequestIndexInQueue,FlowDistingsher,ArriveTime,InitialSeats,FinalSeats,AdditionalLatency,StartTime,UserName,Verb,APIPath,Namespace,Name,APIVersion,Resource,SubResource',
    'small,flow,0,0,jane,1970-01-01T00:00:00Z,1,0,0s,0001-01-01T00:00:00Z,jane,get,/api/v1/namespaces/a/pods/c,a,c,v1,pods,',
    'small,flow,-1,-1,jane,1970-01-01T00:00:00Z,1,0,0s,1970-01-01T00:00:00Z,jane,get,/api/v1/namespaces/a/pods/b,a,b,v1,pods,',
  ])
  expect(dumpFlowControl(fakeRequest('/debug/api_priority_and_fairness/else'), control, clock)).toBeUndefined()
})
