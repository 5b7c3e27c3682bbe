// The width of requests, and how long who is turned away is to stay away: by Kubernetes' figures.
import { describe, expect, test } from 'vitest'
import { fakeRequest } from '../fake-request.testing.ts'
import { createDroppedRequests } from './dropped-requests.ts'
import { createWatchTracker } from './watch-tracker.ts'
import { estimateWork, widthOf } from './work-estimate.ts'

describe('seats of a list', () => {
  const kilobyte = 1_000
  test.each<[what: string, query: string, count: number, averageBytes: number, levelMax: number, seats: number]>([
    ['of nothing: one', '', 0, 0, 0, 1],
    ['of little: one', '', 90, kilobyte, 0, 1],
    ['one for each hundred kilobytes', '', 450, kilobyte, 0, 5],
    ['from the cache, never more than a megabyte takes', '', 50_000, kilobyte, 0, 10],
    ['no more than the level gives', '', 50_000, kilobyte, 4, 4],
    ['only of as many as are asked for', '?limit=150', 50_000, kilobyte, 0, 2],
    ['of one by its name', '?fieldSelector=metadata.name%3Da', 50_000, kilobyte, 0, 1],
    ['of a revision, which is read from the store', '?resourceVersion=7&resourceVersionMatch=Exact', 5_000, kilobyte, 0, 50],
    ['of a revision, in full', '?resourceVersion=7&resourceVersionMatch=Exact', 90_000, kilobyte, 0, 100],
    ['not older than a revision, which the cache has', '?resourceVersion=7&resourceVersionMatch=NotOlderThan', 5_000, kilobyte, 0, 10],
    ['of a page of a revision', '?resourceVersion=7&limit=500', 5_000, kilobyte, 0, 5],
    ['of a page of any revision', '?resourceVersion=0&limit=500', 5_000, kilobyte, 0, 5],
    ['that goes on', '?continue=x&limit=500', 5_000, kilobyte, 0, 5],
    ['that goes on and looks at half of all for its selector', '?continue=x&limit=500&labelSelector=a%3Db', 5_000, kilobyte, 0, 25],
    ['of objects of unknown size', '', 1, 0, 0, 10],
    ['a watch without a revision begins like one', '?watch=1', 450, kilobyte, 0, 5],
    ['a watch with initial events too', '?watch=1&sendInitialEvents=true&resourceVersion=7', 450, kilobyte, 0, 5],
    ['a watch of what changes does not', '?watch=1&resourceVersion=7', 450, kilobyte, 0, 1],
  ])('%s', (_what, query, count, averageBytes, levelMax, seats) => {
    const request = fakeRequest(`/api/v1/pods${query}`)
    const work = estimateWork(request, levelMax, { objectStats: () => ({ count, averageBytes }), watchCount: () => 0 })
    expect(widthOf(work)).toBe(seats)
  })

  test('of what is not stored here: one', () => {
    const work = estimateWork(fakeRequest('/apis/x/v1/ys'), 0, { objectStats: () => undefined, watchCount: () => 0 })
    expect(work.initialSeats).toBe(1)
  })
})

describe('seats of a write', () => {
  test.each<[what: string, method: string, path: string, watches: number, levelMax: number, final: number, additionalMs: number]>([
    ['without watchers', 'POST', 'pods', 0, 0, 0, 0],
    ['with few', 'PUT', 'pods/a', 9, 0, 0, 0],
    ['with ten: one more, for five milliseconds', 'PUT', 'pods/a', 10, 0, 1, 5],
    ['with some', 'PATCH', 'pods/a', 45, 0, 5, 5],
    ['with many: narrower and longer', 'DELETE', 'pods/a', 1_000, 0, 10, 50],
    ['within what the level gives', 'POST', 'pods', 1_000, 4, 4, 125],
    ['a token changes nothing that is watched', 'POST', 'serviceaccounts/a/token', 1_000, 0, 0, 0],
    ['a whole collection is one', 'DELETE', 'pods', 1_000, 0, 0, 0],
  ])('%s', (_what, method, path, watches, levelMax, finalSeats, additionalMs) => {
    const request = fakeRequest(`/api/v1/namespaces/n/${path}`, { method })
    expect(estimateWork(request, levelMax, { watchCount: () => watches })).toEqual({ initialSeats: 1, finalSeats, additionalMs })
  })
})

test('a write is told to the watches of its resource, its namespace and its name', () => {
  const tracker = createWatchTracker()
  const watch = (target: string): (() => void) => tracker.register(fakeRequest(target))
  const interested = (target: string, method = 'PUT'): number => tracker.interested(fakeRequest(target, { method }).info)
  const all = watch('/api/v1/pods?watch=1')
  watch('/api/v1/namespaces/n/pods?watch=1')
  watch('/api/v1/namespaces/other/pods?watch=1')
  watch('/api/v1/namespaces/n/pods?watch=1&fieldSelector=metadata.name%3Da')
  watch('/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dnode-1')
  watch('/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D')
  watch('/apis/apps/v1/namespaces/n/deployments?watch=1')
  expect(interested('/api/v1/namespaces/n/pods/a')).toBe(4)
  expect(interested('/api/v1/namespaces/n/pods', 'POST')).toBe(3)
  expect(interested('/api/v1/namespaces/third/pods/a')).toBe(2)
  expect(interested('/api/v1/namespaces/n/services/a')).toBe(0)
  all()
  expect(interested('/api/v1/namespaces/third/pods/a')).toBe(1)
})

test('who is turned away is to stay away the longer the more are', () => {
  const dropped = createDroppedRequests()
  const drop = (second: number, count: number, level = 'low'): number => {
    let seconds = 0
    for (let i = 0; i < count; i++) seconds = dropped.record(level, second * 1000 + i)
    return seconds
  }
  expect(drop(100, 5)).toBe(1)
  expect(drop(101, 20)).toBe(2)
  // Not twice for one burst.
  expect(drop(102, 1)).toBe(2)
  expect(drop(103, 20)).toBe(4)
  expect(drop(104, 1, 'other')).toBe(1)
  // Quiet seconds bring it down, one at a time.
  expect(drop(120, 1)).toBe(3)
  expect(drop(130, 1)).toBe(2)
  expect(drop(140, 1)).toBe(1)
  expect(drop(150, 1)).toBe(1)
  let seconds = 0
  for (let second = 200; second < 400; second++) seconds = drop(second, 200)
  expect(seconds).toBe(32)
})
