import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { compileDecoder, type FieldValidation } from '../schema/decode.ts'
import { applyPatchText, type PatchType } from './apply-patch.ts'

const schema = builtinSchema('apps/v1', 'Deployment')
const current = compileDecoder<{ spec: { replicas: number } }>(schema)(
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { a: '1' } },
    spec: { replicas: 1, template: { spec: { containers: [{ name: 'c' }] } } },
  },
  'ignore',
).object

const types: Record<string, PatchType> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}

function patch(type: string, body: unknown, validation: FieldValidation = 'strict') {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return applyPatchText<typeof current>({ schema, current, type: types[type]!, text, validation })
}

function errorOf(run: () => unknown): ApiError {
  try {
    run()
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a patch body', () => {
  test.each([
    ['json', [{ op: 'replace', path: '/spec/replicas', value: 3 }]],
    ['merge', { spec: { replicas: 3 } }],
    ['strategic', { spec: { replicas: 3 } }],
  ])('of type %s is applied and decoded, the object given is not changed', (type, body) => {
    const before = JSON.stringify(current)
    const { object, warnings } = patch(type, body)
    expect(object.spec.replicas).toBe(3)
    expect(warnings).toEqual([])
    expect(JSON.stringify(current)).toBe(before)
  })

  test('that is no JSON is a bad request', () => {
    const told = (type: string, text: string, validation: FieldValidation): unknown => {
      const { status } = errorOf(() => patch(type, text, validation))
      expect(status).toMatchObject({ code: 400, reason: 'BadRequest' })
      return status.message
    }
    const end = 'unexpected end of JSON input'
    const character = "invalid character 'i' looking for beginning of value"
    expect(told('merge', '{', 'warn')).toBe(`error decoding patch: ${end}`)
    expect(told('merge', '{', 'ignore')).toBe('Invalid JSON Patch')
    expect(told('json', 'i', 'strict')).toBe(`error decoding patch: ${character}`)
    expect(told('json', 'i', 'ignore')).toBe(character)
    expect(told('strategic', 'i', 'warn')).toBe(character)
    expect(told('strategic', '', 'ignore')).toBe(end)
  })

  test('that is null changes nothing, or is no merge patch', () => {
    expect(patch('json', 'null').object).toEqual(patch('json', []).object)
    expect(patch('strategic', 'null').object).toEqual(patch('strategic', {}).object)
    expect(errorOf(() => patch('merge', 'null')).message).toBe('Invalid JSON Patch')
  })

  test('of the wrong shape is a bad request', () => {
    expect(errorOf(() => patch('json', {})).message).toBe(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    )
    expect(errorOf(() => patch('merge', [])).message).toBe(
      'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
    )
    expect(errorOf(() => patch('strategic', [])).code).toBe(400)
    expect(errorOf(() => patch('json', [{ op: 1 }])).message).toContain('Go struct field jsonPatchOp.op of type string')
  })

  test('that is nested too deep is a bad request', () => {
    expect(errorOf(() => patch('merge', `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`)).code).toBe(400)
  })

  test('with too many operations is too large', () => {
    const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'Deployment' }))
    expect(errorOf(() => patch('json', operations)).status).toMatchObject({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: 'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
    })
  })

  test('that cannot be carried out is unprocessable', () => {
    expect(errorOf(() => patch('json', [{ op: 'remove', path: '/spec/nothing' }])).status).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
    })
  })

  test('whose result is of the wrong type is invalid', () => {
    const error = errorOf(() => patch('merge', { spec: { replicas: 'three' } }))
    expect(error.code).toBe(422)
    expect(error.message).toMatch(/^ "" is invalid: patch: Invalid value: "\{\\"/)
    expect(error.message).toContain('json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32')
  })

  test.each([
    [{ replicas: 'x' }, 'unrecognized type: int32'],
    [{ replicas: 1.5 }, 'cannot convert float64 to int32'],
    [{ paused: 'x' }, 'unrecognized type: bool'],
    [{ template: { spec: { restartPolicy: 5 } } }, 'cannot convert int64 to v1.RestartPolicy'],
    [{ template: 5 }, 'cannot restore struct from: int64'],
    [{ template: { spec: { containers: {} } } }, 'cannot restore slice from map'],
    [{ template: { spec: { nodeSelector: [] } } }, 'cannot restore map from slice'],
  ])('that merges %j strategically is invalid in the words of its converter', (spec, words) => {
    expect(errorOf(() => patch('strategic', { spec })).message).toMatch(new RegExp(`: ${words}$`))
  })

  test('with unknown or doubled fields is refused when strict, warned of, or let through', () => {
    const body = '{"spec":{"replcas":3,"paused":true,"paused":false}}'
    expect(errorOf(() => patch('merge', body)).message).toContain(
      'strict decoding error: duplicate field "spec.paused", unknown field "spec.replcas"',
    )
    expect(errorOf(() => patch('strategic', body)).message).toContain(
      'Invalid value: "map[spec:map[paused:false replcas:3]]": strict decoding',
    )
    expect(patch('merge', body, 'warn').warnings).toEqual(['duplicate field "spec.paused"', 'unknown field "spec.replcas"'])
    expect(patch('merge', body, 'ignore').warnings).toEqual([])
  })

  test('of operations with unknown fields is warned of', () => {
    expect(patch('json', [{ op: 'test', path: '/kind', value: 'Deployment', foo: 1 }], 'warn').warnings).toEqual([
      'json patch unknown field "[0].foo"',
    ])
  })
})
