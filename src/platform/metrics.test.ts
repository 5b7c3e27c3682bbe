// The text that scrapers read, and the bound on series.
import { describe, expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

describe('metrics', () => {
  test('counters, gauges and histograms read as Prometheus expects', () => {
    const metrics = createMetrics()
    const requests = metrics.counter({ name: 'requests_total', help: 'Requests.', labels: ['verb', 'code'] })
    requests.inc(['get', '200'])
    requests.series(['get', '200']).inc(2)
    requests.inc(['we"ird\\', '5\n0'])
    metrics.gauge({ name: 'inflight', help: 'Now.' }).set(3)
    metrics.gaugeFrom({ name: 'size', help: 'Read late.', labels: ['kind'] }, () => [[['pod'], 7]])
    const seconds = metrics.histogram({ name: 'seconds', help: 'Took.', buckets: [0.1, 1] })
    seconds.observe(0.05)
    seconds.observe(0.5)
    seconds.observe(5)
    expect([...metrics.text()].join('')).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{verb="get",code="200"} 3
requests_total{verb="we\\"ird\\\\",code="5\\n0"} 1
# HELP inflight Now.
# TYPE inflight gauge
inflight 3
# HELP size Read late.
# TYPE size gauge
size{kind="pod"} 7
# HELP seconds Took.
# TYPE seconds histogram
seconds_bucket{le="0.1"} 1
seconds_bucket{le="1"} 2
seconds_bucket{le="+Inf"} 3
seconds_sum 5.55
seconds_count 3
`)
  })

  test('series beyond the bound are counted together', () => {
    const metrics = createMetrics()
    const counter = metrics.counter({ name: 'c', help: 'C.', labels: ['path'], seriesMax: 2 })
    for (const path of ['/a', '/b', '/c', '/d']) counter.inc([path])
    expect([...metrics.text()].join('')).toContain('c{path="other"} 2')
  })

  test('a name is registered once', () => {
    const metrics = createMetrics()
    metrics.gauge({ name: 'x', help: '' })
    expect(() => metrics.gauge({ name: 'x', help: '' })).toThrow('registered twice')
  })
})
