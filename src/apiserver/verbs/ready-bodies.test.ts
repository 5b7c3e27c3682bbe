import { describe, expect, test } from 'vitest'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { ReadyBodies } from './ready-bodies.ts'

describe('bodies that are ready', () => {
  const object = (): StoredObject => ({}) as StoredObject
  const body = (bytes: number): Buffer => Buffer.alloc(bytes)

  test('a body is kept when it was made a second time', () => {
    const bodies = new ReadyBodies()
    const [pod, second] = [object(), body(10)]
    bodies.made(pod, 'json', body(10))
    expect(bodies.find(pod, 'json')).toBeUndefined()
    bodies.made(pod, 'json', second)
    expect(bodies.find(pod, 'json')).toBe(second)
    expect(bodies.find(pod, 'protobuf')).toBeUndefined()
    expect(bodies.find(object(), 'json')).toBeUndefined()
  })

  test('the other form of an object that is kept is kept at once', () => {
    const bodies = new ReadyBodies()
    const pod = object()
    bodies.made(pod, 'json', body(10))
    bodies.made(pod, 'json', body(10))
    bodies.made(pod, 'protobuf', body(7))
    expect(bodies.find(pod, 'protobuf')).toHaveLength(7)
    expect(bodies.bytes).toBe(17)
  })

  test('those that were kept longest go when there are too many bytes', () => {
    const bodies = new ReadyBodies(1_600)
    const pods = Array.from({ length: 20 }, object)
    for (const pod of pods) for (let turn = 0; turn < 2; turn++) bodies.made(pod, 'json', body(100))
    expect(pods.map((pod) => bodies.find(pod, 'json') !== undefined)).toEqual(pods.map((_, i) => i >= 4))
    expect(bodies.bytes).toBe(1_600)
  })

  test('a big one is not kept, and puts nobody out', () => {
    const bodies = new ReadyBodies(1_600)
    const pod = object()
    for (let turn = 0; turn < 3; turn++) bodies.made(pod, 'json', body(101))
    expect(bodies.find(pod, 'json')).toBeUndefined()
    expect(bodies.bytes).toBe(0)
  })

  test('objects that are read once are not remembered for ever', () => {
    const bodies = new ReadyBodies()
    const first = object()
    bodies.made(first, 'json', body(1))
    for (let i = 0; i < 300; i++) bodies.made(object(), 'json', body(1))
    bodies.made(first, 'json', body(1))
    expect(bodies.find(first, 'json')).toBeUndefined()
  })
})
