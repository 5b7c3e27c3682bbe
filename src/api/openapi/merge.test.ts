import { describe, expect, test } from 'vitest'
import type { Json } from './definitions.ts'
import { inOneGo } from './documents.ts'
import { filterPaths, mergeDocuments } from './merge.ts'

const refTo = (name: string): Json => ({ $ref: `#/definitions/${name}` })
const path = (name: string): Json => ({ get: { responses: { 200: { description: 'OK', schema: refTo(name) } } } })

function merged(...documents: Json[]): Json {
  const [first, ...others] = documents
  const document = mergeDocuments(first!)
  for (const other of others) inOneGo(document.add(other))
  return document.finish()
}

describe('the paths of another server', () => {
  const document = {
    swagger: '2.0',
    paths: { '/apis/a/v1/x': path('X'), '/apis/b/v1/y': path('Y') },
    definitions: {
      X: { properties: { shared: refTo('Shared') } },
      Y: { properties: { shared: refTo('Shared'), only: refTo('OnlyOfY') } },
      Shared: { type: 'string' },
      OnlyOfY: { type: 'object', properties: { self: refTo('OnlyOfY') } },
      Nobodys: { type: 'string' },
    },
  }
  test('are kept with what they refer to, and with what nothing ever referred to', () => {
    const { paths, definitions } = filterPaths(document, (name) => name.startsWith('/apis/a/v1/'))
    expect(Object.keys(paths as Json)).toEqual(['/apis/a/v1/x'])
    expect(Object.keys(definitions as Json)).toEqual(['X', 'Shared', 'Nobodys'])
    expect(Object.keys(document.definitions)).toHaveLength(5)
  })
})

describe('documents of several servers', () => {
  const ours = {
    swagger: '2.0',
    info: { title: 'Kubernetes' },
    paths: { '/api/v1/pods': path('Status') },
    definitions: { Status: { type: 'object', properties: { code: { type: 'integer' } } } },
    parameters: { pretty: { name: 'pretty', in: 'query', type: 'string' } },
  }

  test('are one under our title, in the order of names', () => {
    const result = merged(ours, { info: { title: 'Theirs' }, paths: { '/api/a': path('A') }, definitions: { A: { type: 'string' } } })
    expect(result['info']).toEqual({ title: 'Kubernetes' })
    expect(Object.keys(result['paths'] as Json)).toEqual(['/api/a', '/api/v1/pods'])
    expect(Object.keys(result['definitions'] as Json)).toEqual(['A', 'Status'])
  })

  test('a definition that says the same is there once', () => {
    const same = { properties: { code: { type: 'integer' } }, type: 'object' }
    const result = merged(ours, { paths: { '/apis/a': path('Status') }, definitions: { Status: same } })
    expect(Object.keys(result['definitions'] as Json)).toEqual(['Status'])
  })

  test('one that says something else gets another name, wherever it is referred to', () => {
    const other = {
      paths: { '/apis/a': path('Wrap') },
      definitions: { Status: { type: 'string' }, Wrap: { allOf: [refTo('Status')] } },
      parameters: { pretty: { name: 'pretty', in: 'query', type: 'boolean' } },
    }
    const withParameter = { ...other, paths: { '/apis/a': { ...path('Wrap'), parameters: [{ $ref: '#/parameters/pretty' }] } } }
    const result = merged(ours, withParameter)
    expect(result['definitions']).toEqual({ ...ours.definitions, Status_v2: { type: 'string' }, Wrap: { allOf: [refTo('Status_v2')] } })
    expect((result['paths'] as Json)['/apis/a']).toMatchObject({ parameters: [{ $ref: '#/parameters/pretty_v2' }] })
    expect(Object.keys(result['parameters'] as Json)).toEqual(['pretty', 'pretty_v2'])
    expect(other.definitions.Wrap).toEqual({ allOf: [refTo('Status')] })
  })

  test('a name that was made for the same thing is taken again, and none that is in use', () => {
    const second = { paths: { '/apis/a': path('Status') }, definitions: { Status: { type: 'string' } } }
    const third = { paths: { '/apis/b': path('Status') }, definitions: { Status: { type: 'string' } } }
    const fourth = {
      paths: { '/apis/c': path('Status') },
      definitions: { Status: { type: 'number' }, Status_v3: { type: 'boolean' } },
    }
    expect(merged(ours, second, third, fourth)['definitions']).toEqual({
      ...ours.definitions,
      Status_v2: { type: 'string' },
      Status_v3: { type: 'boolean' },
      Status_v4: { type: 'number' },
    })
  })

  test('a path that was there first stays, and what only the other needed is left out', () => {
    const other = { paths: { '/api/v1/pods': path('Strange'), '/apis/a': path('A') }, definitions: { Strange: {}, A: {} } }
    const result = merged(ours, other)
    expect((result['paths'] as Json)['/api/v1/pods']).toEqual(path('Status'))
    expect(Object.keys(result['definitions'] as Json)).toEqual(['A', 'Status'])
    expect(merged(ours, { paths: { '/api/v1/pods': path('Strange') }, definitions: { Strange: {} } })).toEqual(ours)
  })

  test('kinds that both have are named under the group-versions of both', () => {
    const options = (group: string): Json => ({
      type: 'object',
      'x-kubernetes-group-version-kind': [{ group, version: 'v1', kind: 'DeleteOptions' }],
    })
    const result = merged(
      { paths: { '/a': path('Options') }, definitions: { Options: options('garden.example.com') } },
      { paths: { '/b': path('Options') }, definitions: { Options: options('apps') } },
    )
    expect(result['definitions']).toEqual({
      Options: {
        type: 'object',
        'x-kubernetes-group-version-kind': [
          { group: 'apps', version: 'v1', kind: 'DeleteOptions' },
          { group: 'garden.example.com', version: 'v1', kind: 'DeleteOptions' },
        ],
      },
    })
  })
})
