import { describe, expect, test } from 'vitest'
import { identityValues, separateIdentityHeaders } from './identity-headers.ts'

describe('identity headers', () => {
  test('keep their values apart, commas and all', () => {
    const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'a, b, ,c', accept: 'x, y' }
    const raw = ['Impersonate-User', 'jane', 'Impersonate-Group', 'a', 'accept', 'x', 'Impersonate-Group', 'b, ,c', 'Accept', 'y']
    separateIdentityHeaders(headers, raw)
    expect(identityValues(headers['impersonate-group'])).toEqual(['a', 'b, ,c'])
    expect([headers['impersonate-user'], headers.accept]).toEqual(['jane', 'x, y'])
  })

  test('are left alone where nobody is named', () => {
    const headers = { 'impersonate-group': 'a, b' }
    separateIdentityHeaders(headers, ['Impersonate-Group', 'a', 'Impersonate-Group', 'b'])
    expect([headers, identityValues(undefined)]).toEqual([{ 'impersonate-group': 'a, b' }, []])
  })
})
