// Kubernetes' own tables: which webhooks are asked again, how long each may take, and which conditions keep writes from them.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../../api-core.testing.ts'
import { type Review, startWebhookServer, type WebhookServer } from './webhook-server.testing.ts'

let server: WebhookServer
let api: TestCore

beforeAll(async () => {
  server = await startWebhookServer()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.asked.length = 0
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  })
  for (const [name, value] of Object.entries({ 'low-priority': 1, 'high-priority': 10 })) {
    const body = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value }
    await api.ok('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { body })
  }
})
afterEach(() => api.close())

type Kind = 'Mutating' | 'Validating'

async function register(kind: Kind, webhooks: readonly object[]): Promise<void> {
  const rules = [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }]
  const full = webhooks.map((webhook, i) => ({
    name: `w${i}.hooks.test`,
    rules,
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...webhook,
  }))
  await api.ok('POST', `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`, {
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name: 'hooks' },
      webhooks: full,
    },
  })
}

const createPod = (spec: object = {}, options: object = {}, name = 'labeled', query = ''): Promise<Answer> => {
  const metadata = { name, labels: { x: 'true' } }
  const body = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } }
  return api.call('POST', `/api/v1/namespaces/default/pods${query}`, { body, ...options })
}

const patch = (...operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
})
const label = (name: string, value: string): object => patch({ op: 'add', path: `/metadata/labels/${name}`, value })

const behaviours: Readonly<Record<string, (request: Review) => object>> = {
  '/noop': () => ({ allowed: true }),
  '/settrue': () => label('fight', 'true'),
  '/setfalse': () => label('fight', 'false'),
  '/addlabel': ({ object }) => (object.metadata.labels.a === 'true' ? { allowed: true } : label('a', 'true')),
  '/conditionaladdlabel': ({ object }) => (object.metadata.labels.a === undefined ? { allowed: true } : label('b', 'true')),
  '/setpriority': ({ object }) =>
    object.spec.priorityClassName === 'high-priority'
      ? { allowed: true }
      : patch({ op: 'add', path: '/spec/priorityClassName', value: 'high-priority' }, { op: 'remove', path: '/spec/priority' }),
  '/setinvalidpriority': () => patch({ op: 'add', path: '/spec/priorityClassName', value: 'invalid' }),
}

const low = { priorityClassName: 'low-priority' }
const again = { reinvocationPolicy: 'IfNeeded' }

describe('mutating webhooks, asked in rounds', () => {
  beforeEach(() => {
    for (const [path, respond] of Object.entries(behaviours)) server.answer(path, respond)
  })

  interface Rounds {
    readonly spec?: object
    readonly hooks: readonly (readonly [path: string, more: object])[]
    readonly asked: readonly string[]
    /** By place: whether the webhook changed the pod then. */
    readonly mutated: Readonly<Record<string, boolean>>
    readonly labels?: object
  }
  test.each<[string, Rounds]>([
    [
      'not again for what plugins did before it',
      { spec: low, hooks: [['/noop', again]], asked: ['/noop'], mutated: { round_0_index_0: false } },
    ],
    [
      'not again when plugins change nothing after it',
      { spec: low, hooks: [['/addlabel', again]], asked: ['/addlabel'], mutated: { round_0_index_0: true } },
    ],
    [
      'again after plugins that had to follow',
      {
        spec: low,
        hooks: [['/setpriority', again]],
        asked: ['/setpriority', '/setpriority'],
        mutated: { round_0_index_0: true, round_1_index_0: false },
      },
    ],
    [
      'again those before one that changed something',
      {
        spec: low,
        hooks: [
          ['/addlabel', again],
          ['/conditionaladdlabel', again],
        ],
        asked: ['/addlabel', '/conditionaladdlabel', '/addlabel'],
        mutated: { round_0_index_0: true, round_0_index_1: true, round_1_index_0: false },
        labels: { x: 'true', a: 'true', b: 'true' },
      },
    ],
    [
      'all again when one changes something again, and then no more',
      {
        hooks: [
          ['/settrue', again],
          ['/setfalse', again],
        ],
        asked: ['/settrue', '/setfalse', '/settrue', '/setfalse'],
        mutated: { round_0_index_0: true, round_0_index_1: true, round_1_index_0: true, round_1_index_1: true },
        labels: { x: 'true', fight: 'false' },
      },
    ],
    [
      'not again when it was not asked at first',
      {
        hooks: [
          ['/conditionaladdlabel', { ...again, objectSelector: { matchLabels: { a: 'true' } } }],
          ['/addlabel', again],
        ],
        asked: ['/addlabel'],
        mutated: { round_0_index_1: true },
        labels: { x: 'true', a: 'true' },
      },
    ],
    [
      'never again by default',
      {
        hooks: [
          ['/conditionaladdlabel', {}],
          ['/addlabel', { reinvocationPolicy: 'Never' }],
        ],
        asked: ['/conditionaladdlabel', '/addlabel'],
        mutated: { round_0_index_0: false, round_0_index_1: true },
        labels: { x: 'true', a: 'true' },
      },
    ],
    [
      'by their place among all, in the audit log',
      {
        hooks: [
          ['/noop', { rules: [{ operations: ['DELETE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }] }],
          ['/addlabel', again],
        ],
        asked: ['/addlabel'],
        mutated: { round_0_index_1: true },
      },
    ],
  ])('%s', async (_, { spec, hooks, asked, mutated, labels }) => {
    await register(
      'Mutating',
      hooks.map(([path, more]) => ({ clientConfig: server.clientConfig(path), ...more })),
    )
    const answer = await createPod(spec)
    expect(answer.status).toBe(201)
    expect(server.asked.map(({ path }) => path)).toEqual(asked)
    const noted = Object.entries(answer.annotations).filter(([key]) => key.startsWith('mutation.webhook.admission.k8s.io/'))
    const expected = Object.entries(mutated).map(([at, changed]) => [
      `mutation.webhook.admission.k8s.io/${at}`,
      JSON.stringify({ configuration: 'hooks', webhook: `w${at.at(-1)}.hooks.test`, mutated: changed }),
    ])
    expect(noted).toEqual(expected)
    if (labels !== undefined) expect(answer.json.metadata.labels).toEqual(labels)
  })

  test('may not set what plugins refuse', async () => {
    await register('Mutating', [{ clientConfig: server.clientConfig('/setinvalidpriority'), ...again }])
    expect((await createPod()).json.message).toBe('pods "labeled" is forbidden: no PriorityClass with name invalid was found')
    expect(server.asked).toHaveLength(1)
  })
})

describe('the time of a client', () => {
  const hooks = (...timeouts: number[]): object[] =>
    timeouts.map((timeoutSeconds, i) => ({ clientConfig: server.clientConfig(`/${i}`), timeoutSeconds }))
  const asked = (): string[] => server.asked.map(({ path, query }) => `${path}${query}`)

  test('bounds that of webhooks, and what one takes the next have not', async () => {
    server.answer('/0', () => ({ allowed: true }))
    await register(
      'Mutating',
      hooks(20, 5, 20).map((hook) => ({ ...hook, clientConfig: server.clientConfig('/m') })),
    )
    await register(
      'Validating',
      hooks(5, 10, 20).map((hook) => ({ ...hook, clientConfig: server.clientConfig('/v') })),
    )
    server.answer('/m', () => {
      void api.clock.advance(1_000)
      return { allowed: true }
    })
    server.answer('/v', () => ({ allowed: true }))
    const answer = await createPod({}, { dueMs: api.clock.monotonic() + 10_000 })
    expect(answer.status).toBe(201)
    expect(asked()).toEqual(['/m?timeout=10s', '/m?timeout=5s', '/m?timeout=8s', '/v?timeout=5s', '/v?timeout=7s', '/v?timeout=7s'])
  })

  test.each<[Kind, string[]]>([
    ['Mutating', ['/0?timeout=3s']],
    ['Validating', ['/0?timeout=3s', '/1?timeout=3s']],
  ])('when it is over: %s webhooks that may fail do not let the write go on', async (kind, expected) => {
    const waiting = new Promise<void>((resolve) => {
      server.answer('/0', () => void resolve())
    })
    server.answer('/1', () => ({ allowed: true }))
    await register(
      kind,
      hooks(4, 5).map((hook) => ({ ...hook, failurePolicy: 'Ignore' })),
    )
    const answer = createPod({}, { dueMs: api.clock.monotonic() + 3_000 })
    await waiting
    await expect.poll(() => server.asked.length).toBe(expected.length)
    await api.clock.advance(3_000)
    expect((await answer).json).toMatchObject({
      code: 504,
      reason: 'Timeout',
      message: 'Timeout: request did not complete within requested timeout',
    })
    expect(asked().sort()).toEqual(expected)
    expect((await api.call('GET', '/api/v1/namespaces/default/pods/labeled')).status).toBe(404)
  })
})

describe.each<Kind>(['Mutating', 'Validating'])('the conditions of %s webhooks', (kind) => {
  const bad = "object.nonExistentProperty == 'someval'"
  const authorized = "authorizer.group('').resource('pods').namespace('default').check('create').allowed()"
  const twice = [authorized, authorized].join(' && ')
  const forbidden = `pods "labeled" is forbidden: expression '${bad}' resulted in error: no such key: nonExistentProperty`
  const badTwice = forbidden.replace(/(expression.*)/, '[$1, $1]')

  interface Conditions {
    readonly of: readonly string[]
    readonly asked: boolean
    readonly message?: string | RegExp
    readonly failurePolicy?: string
  }
  test.each<[string, Conditions]>([
    ['all have to hold', { of: ["object.metadata.namespace == 'default'", "object.metadata.name == 'labeled'"], asked: true }],
    ['one that does not is enough', { of: ["object.metadata.namespace == 'default'", "object.metadata.name == 'other'"], asked: false }],
    ['one that does not outweighs what fails', { of: [bad, 'true', 'false', 'true', bad], asked: false }],
    ['what fails refuses', { of: [bad, 'true', bad], asked: false, message: badTwice }],
    ['what fails refuses when the webhook says so', { of: [bad, 'true'], asked: false, message: forbidden, failurePolicy: 'Fail' }],
    ['what fails is no reason to ask', { of: [bad, 'true'], asked: false, failurePolicy: 'Ignore' }],
    ['there is no old object of what is new', { of: ['oldObject == null'], asked: true }],
    [
      'one may cost too much',
      { of: [`${twice} && ${authorized}`], asked: false, message: /operation cancelled: actual cost limit exceeded/ },
    ],
    [
      'all together may cost too much',
      {
        of: Array.from({ length: 8 }, () => twice),
        asked: false,
        message:
          'pods "labeled" is forbidden: validation failed due to running out of cost budget, no further validation rules will be run',
      },
    ],
  ])('%s', async (_, { of, asked, message, failurePolicy }) => {
    server.answer('/hook', () => ({ allowed: true }))
    const matchConditions = of.map((expression, i) => ({ name: `c${i}`, expression }))
    await register(kind, [{ clientConfig: server.clientConfig('/hook'), matchConditions, ...(failurePolicy && { failurePolicy }) }])
    const answer = await createPod({}, {}, 'labeled', '?dryRun=All')
    if (message === undefined) expect(answer.status).toBe(201)
    else expect(answer.json).toMatchObject({ code: 403, message: message instanceof RegExp ? expect.stringMatching(message) : message })
    expect(server.asked).toHaveLength(asked ? 1 : 0)
  })
})

test('what a webhook did to an object is noted with its operations, also when nothing came of it', async () => {
  await register('Mutating', [
    { clientConfig: server.clientConfig('/addlabel') },
    { clientConfig: server.clientConfig('/again') },
    { clientConfig: server.clientConfig('/noop') },
  ])
  for (const [path, respond] of Object.entries({ ...behaviours, '/again': () => label('x', 'true') })) server.answer(path, respond)
  const { annotations } = await createPod()
  const patches = Object.entries(annotations).filter(([key]) => key.startsWith('patch.webhook.admission.k8s.io/'))
  const operation = (name: string): string => `{"op":"add","path":"/metadata/labels/${name}","value":"true"}`
  const noted = (i: number, name: string): string =>
    `{"configuration":"hooks","webhook":"w${i}.hooks.test","patch":[${operation(name)}],"patchType":"JSONPatch"}`
  expect(Object.fromEntries(patches)).toEqual({
    'patch.webhook.admission.k8s.io/round_0_index_0': noted(0, 'a'),
    'patch.webhook.admission.k8s.io/round_0_index_1': noted(1, 'x'),
  })
})
