import { describe, expect, test } from 'vitest'
import { RequestHead, RequestHeads } from './request-head.ts'

describe('the head of a request', () => {
  test.each([
    ['a path', '/api/v1/pods', '/api/v1/pods', '/api/v1/pods', ''],
    ['with a query', '/api/v1/pods?limit=5&x=%41', '/api/v1/pods', '/api/v1/pods', 'limit=5&x=%41'],
    ['encoded', '/a%20b', '/a b', '/a%20b', ''],
    ['in absolute form', 'https://host:1/version?a', '/version', '/version', 'a'],
  ])('%s', (_what, target, path, rawPath, rawQuery) => {
    expect(new RequestHead('GET', target, {})).toMatchObject({ path, rawPath, rawQuery })
  })

  test.each(['pods', '/%zz', '/a%00b'])('%s is refused', (target) => {
    expect(() => new RequestHead('GET', target, {})).toThrow('request')
  })
})

describe('heads that come again', () => {
  const raw = ['Host', 'here', 'Authorization', 'Bearer a']
  const headers = { host: 'here', authorization: 'Bearer a' }
  const meet = (heads: RequestHeads, target: string, method = 'GET', said = raw): RequestHead =>
    heads.find(method, target, said) ?? heads.meet(method, target, said, headers)

  test('are one from the second time on', () => {
    const heads = new RequestHeads()
    const first = meet(heads, '/a')
    const second = meet(heads, '/a')
    expect(second).not.toBe(first)
    expect([meet(heads, '/a'), heads.find('GET', '/a', [...raw])]).toEqual([second, second])
    expect(heads.find('GET', '/a', [...raw])).toBe(second)
  })

  test.each<[string, string, string, string[]]>([
    ['another method', 'HEAD', '/a', raw],
    ['another target', 'GET', '/a?x', raw],
    ['another token', 'GET', '/a', ['Host', 'here', 'Authorization', 'Bearer b']],
    ['another spelling', 'GET', '/a', ['host', 'here', 'Authorization', 'Bearer a']],
    ['a header more', 'GET', '/a', [...raw, 'Impersonate-User', 'jane']],
    ['a header less', 'GET', '/a', raw.slice(0, 2)],
  ])('%s is another head', (_what, method, target, said) => {
    const heads = new RequestHeads()
    for (let i = 0; i < 3; i++) meet(heads, '/a')
    expect(heads.find(method, target, said)).toBeUndefined()
  })

  test('only reads are remembered, and no giant ones', () => {
    const heads = new RequestHeads()
    for (let i = 0; i < 3; i++) {
      meet(heads, '/a', 'DELETE')
      meet(heads, '/b', 'GET', ['Cookie', 'x'.repeat(9_000)])
    }
    expect(heads.size).toBe(0)
  })

  test('a target that is forgotten while another head of it comes is remembered anew, and counted once', () => {
    const heads = new RequestHeads()
    for (let i = 0; i < 256; i++) for (let turn = 0; turn < 2; turn++) meet(heads, `/${i}`)
    meet(heads, '/0', 'GET', ['Host', 'elsewhere'])
    expect(heads.size).toBe(256)
    expect(heads.find('GET', '/0', ['Host', 'elsewhere'])).toBeDefined()
    expect(heads.find('GET', '/0', raw)).toBeUndefined()
  })

  test('many targets and many tokens stay within bounds', () => {
    const heads = new RequestHeads()
    for (let i = 0; i < 1_000; i++) for (let turn = 0; turn < 2; turn++) meet(heads, `/${i}`)
    expect(heads.size).toBe(256)
    expect(heads.find('GET', '/0', raw)).toBeUndefined()
    expect(heads.find('GET', '/999', raw)).toBeDefined()
    const tokens = new RequestHeads()
    for (let i = 0; i < 100; i++) meet(tokens, '/a', 'GET', ['Authorization', `Bearer ${i}`])
    expect(tokens.size).toBe(8)
    expect(tokens.find('GET', '/a', ['Authorization', 'Bearer 99'])).toBeDefined()
  })
})
