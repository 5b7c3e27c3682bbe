// Server-side apply: who owns what, what a conflict says, and how fields change hands.
import { describe, expect, test } from 'vitest'
import { type Refusal, useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()

interface Owned {
  readonly metadata: { readonly managedFields: readonly { manager: string; operation: string; fieldsV1: object; subresource?: string }[] }
  readonly [key: string]: unknown
}

const contentType = 'application/apply-patch+yaml'

function apply(path: string, manager: string, body: object, more = '') {
  return cluster.ask('PATCH', `${path}?fieldManager=${manager}${more}`, { body, contentType })
}

async function applied(path: string, manager: string, body: object, more = ''): Promise<Owned> {
  const { status, text, json } = await apply(path, manager, body, more)
  expect([200, 201], text).toContain(status)
  return json as Owned
}

const owners = ({ metadata }: Owned): Record<string, object> =>
  Object.fromEntries(
    metadata.managedFields.map(({ manager, operation, subresource, fieldsV1 }) => [
      `${manager} ${operation}${subresource === undefined ? '' : ` ${subresource}`}`,
      fieldsV1,
    ]),
  )

const settings = (name: string, data: Record<string, string>): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })
const web = (name: string, containers: readonly object[], more: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers } }, ...more },
})

describe('apply', () => {
  test('creates what is not there, and owns what it says', async () => {
    const path = cluster.at('v1', 'configmaps', 'created')
    expect(owners(await applied(path, 'one', settings('created', { a: '1', b: '2' })))).toEqual({
      'one Apply': { 'f:data': { 'f:a': {}, 'f:b': {} } },
    })
  })

  test('a conflict names field and owner, and force takes the field over', async () => {
    const path = cluster.at('v1', 'configmaps', 'contested')
    await applied(path, 'one', settings('contested', { a: '1', b: '1' }))
    const { json } = await apply(path, 'two', settings('contested', { a: '2', c: '2' }))
    expect(json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Apply failed with 1 conflict: conflict with "one": .data.a',
      reason: 'Conflict',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' }] },
      code: 409,
    })
    expect(owners(await applied(path, 'two', settings('contested', { a: '2', c: '2' }), '&force=true'))).toEqual({
      'one Apply': { 'f:data': { 'f:b': {} } },
      'two Apply': { 'f:data': { 'f:a': {}, 'f:c': {} } },
    })
  })

  test('several conflicts are told by owner', async () => {
    const path = cluster.at('apps/v1', 'deployments', 'several')
    await applied(path, 'one', web('several', [{ name: 'c', image: 'navarch.local/web:1' }], { replicas: 0 }))
    const scaled = await cluster.ask('PATCH', `${path}?fieldManager=scaler`, {
      body: { spec: { replicas: 1 } },
      contentType: 'application/merge-patch+json',
    })
    expect(scaled.status).toBe(200)
    const { json } = await apply(path, 'two', web('several', [{ name: 'c', image: 'navarch.local/web:2' }], { replicas: 0, paused: true }))
    expect((json as Refusal).message).toBe(
      'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.template.spec.containers[name="c"].image\nconflicts with "scaler" using apps/v1:\n- .spec.replicas',
    )
  })

  test('the same value has several owners, and goes with the last of them', async () => {
    const path = cluster.at('v1', 'configmaps', 'shared')
    await applied(path, 'one', settings('shared', { a: '1', b: '1' }))
    expect(owners(await applied(path, 'two', settings('shared', { a: '1' })))).toEqual({
      'one Apply': { 'f:data': { 'f:a': {}, 'f:b': {} } },
      'two Apply': { 'f:data': { 'f:a': {} } },
    })
    expect((await applied(path, 'one', settings('shared', { b: '1' })))['data']).toEqual({ a: '1', b: '1' })
    expect((await applied(path, 'two', settings('shared', { c: '1' })))['data']).toEqual({ b: '1', c: '1' })
  })

  test('lists of objects are merged by their keys', async () => {
    const path = cluster.at('apps/v1', 'deployments', 'merged')
    await applied(
      path,
      'one',
      web('merged', [{ name: 'c', image: 'navarch.local/web:1', ports: [{ containerPort: 80 }] }], { replicas: 0 }),
    )
    const both = await applied(path, 'two', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'merged' },
      spec: { template: { spec: { containers: [{ name: 'side', image: 'navarch.local/side:1' }] } } },
    })
    const { template } = both['spec'] as { template: { spec: { containers: { name: string }[] } } }
    expect(template.spec.containers.map(({ name }) => name)).toEqual(['c', 'side'])
    expect(owners(both)['two Apply']).toEqual({
      'f:spec': {
        'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"side"}': { '.': {}, 'f:image': {}, 'f:name': {} } } } },
      },
    })
    expect(owners(both)['one Apply']).toEqual({
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:template': {
          'f:metadata': { 'f:labels': { 'f:app': {} } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"c"}': {
                '.': {},
                'f:image': {},
                'f:name': {},
                'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
              },
            },
          },
        },
      },
    })
  })

  test('what others wrote before is theirs, by how they wrote it', async () => {
    const made = await cluster.ask('POST', `${cluster.at('v1', 'configmaps')}?fieldManager=maker`, {
      body: { metadata: { name: 'written', labels: { a: 'b' } }, data: { a: '1' } },
    })
    expect(owners(made.json as Owned)).toEqual({
      'maker Update': { 'f:data': { '.': {}, 'f:a': {} }, 'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } } },
    })
    const { json } = await apply(cluster.at('v1', 'configmaps', 'written'), 'two', settings('written', { a: '2' }))
    expect((json as Refusal).message).toBe('Apply failed with 1 conflict: conflict with "maker" using v1: .data.a')
  })

  test('the scale is written through to its object, by name of the one who scaled', async () => {
    const path = cluster.at('apps/v1', 'deployments', 'scaled')
    await applied(path, 'one', web('scaled', [{ name: 'c', image: 'navarch.local/web:1' }], { replicas: 0 }))
    const scale = await cluster.ask('PATCH', `${path}/scale?fieldManager=scaler`, {
      body: { spec: { replicas: 0 } },
      contentType: 'application/merge-patch+json',
    })
    expect(scale.json).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: {}, status: { selector: 'app=scaled' } })
    const changed = await cluster.ask('PATCH', `${path}/scale?fieldManager=scaler`, {
      body: { spec: { replicas: 1 } },
      contentType: 'application/merge-patch+json',
    })
    expect(changed.status).toBe(200)
    expect(owners((await cluster.ask('GET', path)).json as Owned)['scaler Update scale']).toEqual({ 'f:spec': { 'f:replicas': {} } })
  })

  const refusals: readonly (readonly [name: string, query: string, body: object, code: number, message: string])[] = [
    [
      'managedFields',
      '?fieldManager=x',
      { ...settings('refused', {}), metadata: { name: 'refused', managedFields: [{}] } },
      400,
      'metadata.managedFields must be nil',
    ],
    [
      'another name than the path’s',
      '?fieldManager=x',
      settings('other', {}),
      400,
      'the name of the object (other) does not match the name on the URL (refused)',
    ],
    ['no kind', '?fieldManager=x', { metadata: { name: 'refused' } }, 400, 'invalid object type: /, Kind='],
  ]
  test.each(refusals)('refuses %s', async (_name, query, body, code, message) => {
    expect(await cluster.refused('PATCH', cluster.at('v1', 'configmaps', 'refused') + query, { body, contentType })).toMatchObject({
      code,
      message,
    })
  })

  test('force is for apply alone', async () => {
    await cluster.create('v1', 'configmaps', { metadata: { name: 'plain' } })
    const path = `${cluster.at('v1', 'configmaps', 'plain')}?force=true`
    expect(await cluster.refused('PATCH', path, { body: {}, contentType: 'application/merge-patch+json' })).toEqual({
      code: 422,
      reason: 'Invalid',
      message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    })
  })
})

describe('other patches', () => {
  const refusals: readonly (readonly [contentType: string, body: unknown, code: number, message: string])[] = [
    [
      'application/json-patch+json',
      [{ op: 'test', path: '/data/a', value: '2' }],
      422,
      'the server rejected our request due to an error in our request',
    ],
    [
      'application/json-patch+json',
      [{ op: 'remove', path: '/data/none' }],
      422,
      'the server rejected our request due to an error in our request',
    ],
    [
      'application/merge-patch+json',
      { metadata: { name: 'other' } },
      400,
      'the name of the object (other) does not match the name on the URL (patched)',
    ],
    [
      'application/merge-patch+json',
      { metadata: { resourceVersion: '1' } },
      409,
      'Operation cannot be fulfilled on configmaps "patched": the object has been modified; please apply your changes to the latest version and try again',
    ],
    [
      'application/strategic-merge-patch+json',
      { data: ['a'] },
      422,
      ' "" is invalid: patch: Invalid value: "map[data:[a]]": cannot restore map from slice',
    ],
  ]
  test.each(refusals)('%s %j is refused', async (contentType, body, code, message) => {
    const path = cluster.at('v1', 'configmaps', 'patched')
    if ((await cluster.ask('GET', path)).status !== 200)
      await cluster.create('v1', 'configmaps', { metadata: { name: 'patched' }, data: { a: '1' } })
    expect(await cluster.refused('PATCH', path, { body, contentType })).toMatchObject({ code, message })
  })
})
