import { describe, expect, test } from 'vitest'
import type { HPAScalingRules } from '#api/generated/autoscaling-v2'
import { limitReplicas, noHistory, withScaleEvent } from './behavior.ts'

const nowMs = 1_000_000_000
const ago = (seconds: number): number => nowMs - seconds * 1_000
const wish = (current: number, desired: number, min = 1, max = 100) => ({ current, desired, min, max })

describe('without behavior', () => {
  test.each<[string, ReturnType<typeof wish>, number, string]>([
    ['within the limits', wish(3, 5), 5, 'False DesiredWithinRange'],
    ['more than twice as many', wish(10, 50), 20, 'True ScaleUpLimit'],
    ['from one to four at most', wish(1, 50), 4, 'True ScaleUpLimit'],
    ['more than the maximum', wish(10, 50, 1, 15), 15, 'True TooManyReplicas'],
    ['fewer than the minimum', wish(3, 1, 2), 2, 'True TooFewReplicas'],
  ])('%s', (_, wanted, replicas, limited) => {
    const found = limitReplicas(wanted, undefined, noHistory, nowMs)
    expect([found.replicas, `${found.scalingLimited.status} ${found.scalingLimited.reason}`]).toEqual([replicas, limited])
  })

  test('the highest recommendation of the last five minutes counts', () => {
    const recommendations = [
      { replicas: 9, atMs: ago(301) },
      { replicas: 7, atMs: ago(100) },
    ]
    const found = limitReplicas(wish(8, 2), undefined, { ...noHistory, recommendations }, nowMs)
    expect(found).toMatchObject({ replicas: 7, ableToScale: { reason: 'ScaleDownStabilized' }, scalingLimited: { status: 'False' } })
    expect(found.recommendations).toEqual([
      { replicas: 7, atMs: ago(100) },
      { replicas: 2, atMs: nowMs },
    ])
  })
})

describe('with behavior', () => {
  const rules = (more: HPAScalingRules): HPAScalingRules => ({ selectPolicy: 'Max', stabilizationWindowSeconds: 0, policies: [], ...more })
  const pods = (value: number, periodSeconds = 60) => ({ type: 'Pods', value, periodSeconds })
  const percent = (value: number, periodSeconds = 60) => ({ type: 'Percent', value, periodSeconds })
  const open = rules({ policies: [percent(1_000)] })

  test.each<[string, ReturnType<typeof wish>, HPAScalingRules, number, string]>([
    ['the most that any policy allows', wish(10, 50), rules({ policies: [pods(4), percent(200)] }), 30, 'ScaleUpLimit'],
    ['the least', wish(10, 50), rules({ policies: [pods(4), percent(200)], selectPolicy: 'Min' }), 14, 'ScaleUpLimit'],
    ['none', wish(10, 50), rules({ policies: [pods(4)], selectPolicy: 'Disabled' }), 10, 'ScaleUpLimit'],
    ['a percentage moves at least one', wish(1, 5), rules({ policies: [percent(1)] }), 2, 'ScaleUpLimit'],
    ['no more than the maximum', wish(10, 50, 1, 20), rules({ policies: [percent(1_000)] }), 20, 'TooManyReplicas'],
  ])('up: %s', (_, wanted, scaleUp, replicas, reason) => {
    const found = limitReplicas(wanted, { scaleUp, scaleDown: open }, noHistory, nowMs)
    expect([found.replicas, found.scalingLimited.reason]).toEqual([replicas, reason])
  })

  test.each<[string, ReturnType<typeof wish>, HPAScalingRules, number, string]>([
    ['the most that any policy allows', wish(100, 1), rules({ policies: [pods(5), percent(20)] }), 80, 'ScaleDownLimit'],
    ['the least', wish(100, 1), rules({ policies: [pods(5), percent(20)], selectPolicy: 'Min' }), 95, 'ScaleDownLimit'],
    ['none', wish(100, 1), rules({ policies: [pods(5)], selectPolicy: 'Disabled' }), 100, 'ScaleDownLimit'],
    ['no fewer than the minimum', wish(100, 1, 60), rules({ policies: [percent(50)] }), 60, 'TooFewReplicas'],
  ])('down: %s', (_, wanted, scaleDown, replicas, reason) => {
    const found = limitReplicas(wanted, { scaleUp: open, scaleDown }, noHistory, nowMs)
    expect([found.replicas, found.scalingLimited.reason]).toEqual([replicas, reason])
  })

  test('what was added within the period counts against it, what was taken away does not', () => {
    const scaleUp = rules({ policies: [pods(4)] })
    const behavior = { scaleUp, scaleDown: open }
    let history = withScaleEvent(noHistory, behavior, { from: 5, to: 9 }, ago(100))
    history = withScaleEvent(history, behavior, { from: 9, to: 12 }, ago(30))
    expect(history.ups).toEqual([{ change: 3, atMs: ago(30) }])
    expect(limitReplicas(wish(12, 50), behavior, history, nowMs).replicas).toBe(13)
    const down = withScaleEvent(history, behavior, { from: 12, to: 10 }, ago(10))
    expect(limitReplicas(wish(10, 50), behavior, down, nowMs).replicas).toBe(13)
  })

  test('each direction has its window', () => {
    const behavior = {
      scaleUp: rules({ policies: [percent(1_000)], stabilizationWindowSeconds: 60 }),
      scaleDown: rules({ policies: [percent(100)], stabilizationWindowSeconds: 120 }),
    }
    const recommendations = [
      { replicas: 4, atMs: ago(30) },
      { replicas: 9, atMs: ago(100) },
    ]
    const up = limitReplicas(wish(3, 10), behavior, { ...noHistory, recommendations }, nowMs)
    expect([up.replicas, up.ableToScale.reason]).toEqual([4, 'ScaleUpStabilized'])
    const down = limitReplicas(wish(12, 2), behavior, { ...noHistory, recommendations }, nowMs)
    expect([down.replicas, down.ableToScale.reason]).toEqual([9, 'ScaleDownStabilized'])
  })

  test('a window of scale down that is not set is that of the whole controller', () => {
    const { stabilizationWindowSeconds: _, ...scaleDown } = rules({ policies: [percent(100)] })
    const recommendations = [{ replicas: 9, atMs: ago(250) }]
    expect(limitReplicas(wish(12, 2), { scaleUp: open, scaleDown }, { ...noHistory, recommendations }, nowMs).replicas).toBe(9)
  })
})
