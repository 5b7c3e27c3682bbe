// What flow control did, under Kubernetes' names (apiserver_flowcontrol_*). Nearly all is read when somebody asks.
import type { Clock } from '#base/clock'
import type { MetricsRegistry } from '#platform/metrics'
import { fairFraction } from './demand.ts'
import type { Flow, FlowControl } from './flow-control.ts'
import { type Level, usedBounds, wantedBounds } from './level.ts'

const byFlow = ['priority_level', 'flow_schema']
const waitBuckets = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]

export function registerFlowControlMetrics(metrics: MetricsRegistry, control: FlowControl, clock: Clock): void {
  const labelsOf = ({ level, schema }: Flow): string[] => [level.name, schema.metadata.name ?? '']
  const flows = (what: 'counterFrom' | 'gaugeFrom', name: string, help: string, value: (flow: Flow) => number): void =>
    metrics[what]({ name: `apiserver_flowcontrol_${name}`, help, labels: byFlow }, () =>
      control.flows().map((flow) => [labelsOf(flow), value(flow)] as const),
    )
  const levels = (name: string, help: string, value: (level: Level) => number): void =>
    metrics.gaugeFrom({ name: `apiserver_flowcontrol_${name}`, help, labels: ['priority_level'] }, () =>
      control.levels().map((level) => [[level.name], value(level)] as const),
    )
  flows(
    'counterFrom',
    'dispatched_requests_total',
    'Number of requests executed by API Priority and Fairness subsystem',
    (flow) => flow.counts.dispatched,
  )
  metrics.counterFrom(
    {
      name: 'apiserver_flowcontrol_rejected_requests_total',
      help: 'Number of requests rejected by API Priority and Fairness subsystem',
      labels: [...byFlow, 'reason'],
    },
    () =>
      control.flows().flatMap((flow) => [...flow.counts.rejected].map(([reason, count]) => [[...labelsOf(flow), reason], count] as const)),
  )
  flows(
    'gaugeFrom',
    'current_inqueue_requests',
    'Number of requests currently pending in queues of the API Priority and Fairness subsystem',
    (flow) => flow.counts.waiting,
  )
  flows(
    'gaugeFrom',
    'current_inqueue_seats',
    'Number of seats currently pending in queues of the API Priority and Fairness subsystem',
    (flow) => flow.counts.waitingSeats,
  )
  flows(
    'gaugeFrom',
    'current_executing_requests',
    'Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem',
    (flow) => flow.counts.executing,
  )
  flows(
    'gaugeFrom',
    'current_executing_seats',
    'Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem',
    (flow) => flow.counts.executingSeats,
  )
  levels('nominal_limit_seats', 'Nominal number of execution seats configured for each priority level', ({ seats }) => seats.limits.nominal)
  levels(
    'lower_limit_seats',
    'Configured lower bound on number of execution seats available to each priority level',
    ({ seats }) => seats.limits.nominal - seats.limits.lendable,
  )
  const upper = (level: Level): number =>
    Math.min(
      level.seats.limits.nominal + level.seats.limits.borrowing,
      control.levels().reduce((sum, { seats }) => sum + seats.limits.nominal, 0),
    )
  levels('upper_limit_seats', 'Configured upper bound on number of execution seats available to each priority level', upper)
  levels('current_limit_seats', 'current derived number of execution seats available to each priority level', ({ seats }) =>
    Math.max(seats.used, seats.limits.nominal),
  )
  const wait = metrics.histogram({
    name: 'apiserver_flowcontrol_request_wait_duration_seconds',
    help: 'Length of time a request spent waiting in its queue',
    labels: [...byFlow, 'execute'],
    buckets: waitBuckets,
    seriesMax: 500,
  })
  const histogram = (name: string, help: string, buckets: readonly number[], labels = byFlow) =>
    metrics.histogram({ name: `apiserver_flowcontrol_${name}`, help, labels, buckets, seriesMax: 500 })
  const served = histogram(
    'request_execution_seconds',
    'Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem',
    waitBuckets,
    [...byFlow, 'type'],
  )
  const estimated = histogram(
    'work_estimated_seats',
    'Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness',
    [1, 2, 4, 8, 16, 32, 64, 100],
  )
  // Asked for with each request: the series of a flow are looked for once.
  type Timed = 'regular' | 'watch' | 'estimated'
  const known = new WeakMap<Flow, Partial<Record<Timed, { observe(value: number): void }>>>()
  const seriesOf = (flow: Flow, what: Timed): { observe(value: number): void } => {
    let series = known.get(flow)
    if (series === undefined) {
      series = {}
      known.set(flow, series)
    }
    series[what] ??= what === 'estimated' ? estimated.series(labelsOf(flow)) : served.series([...labelsOf(flow), what])
    return series[what]
  }
  control.onServed = (flow, verb, seconds) => seriesOf(flow, verb === 'watch' ? 'watch' : 'regular').observe(seconds)
  control.onEstimated = (flow, seats) => seriesOf(flow, 'estimated').observe(seats)
  const length = histogram(
    'request_queue_length_after_enqueue',
    'Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued',
    [0, 10, 25, 50, 100, 250, 500, 1000],
  )
  control.onQueued = (flow, waiting) => length.observe(waiting, labelsOf(flow))
  flows(
    'counterFrom',
    'request_dispatch_no_accommodation_total',
    'Number of times a dispatch attempt resulted in a non accommodation due to lack of available seats',
    (flow) => flow.counts.unaccommodated,
  )
  registerDemandMetrics(metrics, control, clock)
  control.onWaited = (flow, seconds, admitted) => wait.observe(seconds, [...labelsOf(flow), String(admitted)])
}

function registerDemandMetrics(metrics: MetricsRegistry, control: FlowControl, clock: Clock): void {
  const now = (): number => clock.monotonic() / 1000
  const limited = (): Level[] => control.levels().filter(({ exempt }) => !exempt)
  const gauge = (name: string, help: string, value: (level: Level) => number): void =>
    metrics.gaugeFrom({ name: `apiserver_flowcontrol_${name}`, help, labels: ['priority_level'] }, () =>
      limited().map((level) => [[level.name], value(level)] as const),
    )
  const period = 'over last adjustment period, of demand_seats'
  gauge('demand_seats_high_watermark', `High watermark, ${period}`, ({ demand }) => demand.read(now()).highWatermark)
  gauge('demand_seats_average', `Time-weighted average, ${period}`, ({ demand }) => demand.read(now()).average)
  gauge('demand_seats_stdev', `Time-weighted standard deviation, ${period}`, ({ demand }) => demand.read(now()).deviation)
  gauge('demand_seats_smoothed', 'Smoothed seat demands', ({ demand }) => demand.read(now()).smoothed)
  const wishOf = ({ demand, seats: { limits } }: Level) => {
    const { highWatermark, smoothed } = demand.read(now())
    const least = Math.max(limits.nominal - limits.lendable, Math.min(limits.nominal, highWatermark))
    return { least, most: limits.nominal + limits.borrowing, target: Math.max(least, smoothed) }
  }
  gauge('target_seats', 'Seat allocation targets', (level) => wishOf(level).target)
  metrics.gaugeFrom(
    {
      name: 'apiserver_flowcontrol_seat_fair_frac',
      help: "Fair fraction of server's concurrency to allocate to each priority level that can use it",
    },
    () => {
      const total = control.levels().reduce((sum, { seats }) => sum + seats.limits.nominal, 0)
      return fairFraction(total, limited().map(wishOf))
    },
  )
  metrics.histogramFrom(
    {
      name: 'apiserver_flowcontrol_priority_level_seat_utilization',
      help: 'Observations, at the end of every nanosecond, of utilization of seats for any stage of execution (but only initial stage for WATCHes)',
      labels: ['priority_level', 'phase'],
      buckets: usedBounds,
    },
    () => limited().map(({ name, utilization }) => [[name, 'executing'], utilization.used.read(now())] as const),
  )
  metrics.histogramFrom(
    {
      name: 'apiserver_flowcontrol_demand_seats',
      help: 'Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / (nominal number of seats for that level)',
      labels: ['priority_level'],
      buckets: wantedBounds,
    },
    () => limited().map(({ name, utilization }) => [[name], utilization.wanted.read(now())] as const),
  )
  metrics.gaugeFrom({ name: 'apiserver_flowcontrol_current_r', help: 'R(time of last change)', labels: ['priority_level'] }, () =>
    limited().flatMap(({ name, queues }) => (queues === undefined ? [] : [[[name], queues.virtual] as const])),
  )
}
