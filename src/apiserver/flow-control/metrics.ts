// What flow control did, under Kubernetes' names (apiserver_flowcontrol_*). Nearly all is read when somebody asks.
import type { MetricsRegistry } from '#platform/metrics'
import type { Flow, FlowControl } from './flow-control.ts'
import type { Level } from './level.ts'

const byFlow = ['priority_level', 'flow_schema']
const waitBuckets = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]

export function registerFlowControlMetrics(metrics: MetricsRegistry, control: FlowControl): void {
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
  control.onWaited = (flow, seconds, admitted) => wait.observe(seconds, [...labelsOf(flow), String(admitted)])
}
