// What flow control is doing at this moment, as tables for a person: levels, queues, requests. Kubernetes' debug paths and columns.
import { formatGoDuration } from '#api/schema/go-time'
import { type Clock, timestamp } from '#base/clock'
import type { ApiReply, ApiRequest } from '../request.ts'
import { distinguisherOf, type FlowControl, type Running, type WaitingRequest } from './flow-control.ts'
import type { Level, RejectReason } from './level.ts'
import type { Queue, Waiter } from './queues.ts'

const root = '/debug/api_priority_and_fairness/'

/** The table at a path below /debug/api_priority_and_fairness; undefined when there is none. */
export function dumpFlowControl(request: ApiRequest, control: FlowControl, clock: Clock): ApiReply | undefined {
  if (!request.path.startsWith(root)) return undefined
  const name = request.path.slice(root.length)
  const rows =
    name === 'dump_priority_levels'
      ? levelRows(control)
      : name === 'dump_queues'
        ? queueRows(control)
        : name === 'dump_requests'
          ? requestRows(control, clock, Boolean(request.query.get('includeRequestDetails')))
          : undefined
  if (rows === undefined) return undefined
  return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from(tableText(rows)) }
}

type Row = readonly (string | number | boolean)[]

// Each cell but the last is followed by a comma and filled up to its column's width.
function tableText(rows: readonly Row[]): string {
  const texts = rows.map((row) => row.map((cell, i) => (i < row.length - 1 ? `${cell},` : String(cell))))
  const widths = texts[0]!.map((_, i) => Math.max(8, ...texts.map((row) => (row[i] ?? '').length + 1)))
  return texts.map((row) => `${row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i]!) : cell)).join('')}\n`).join('')
}

function levelRows(control: FlowControl): Row[] {
  const rows = [...control.levels()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((level) => {
      const flows = control.flows().filter((flow) => flow.level === level)
      const sum = (count: (flow: (typeof flows)[number]) => number): number => flows.reduce((all, flow) => all + count(flow), 0)
      const rejected = (...reasons: RejectReason[]): number =>
        sum(({ counts }) => reasons.reduce((all, reason) => all + (counts.rejected.get(reason) ?? 0), 0))
      const executing = sum(({ counts }) => counts.executing)
      return [
        level.name,
        level.queues?.all.filter(({ waiting }) => waiting.size > 0).length ?? 0,
        level.waiting === 0 && executing === 0,
        level.retired,
        level.waiting,
        executing,
        sum(({ counts }) => counts.dispatched),
        rejected('queue-full', 'concurrency-limit'),
        rejected('time-out'),
        rejected('cancelled'),
      ]
    })
  return [levelColumns, ...rows]
}

const levelColumns = [
  'PriorityLevelName',
  'ActiveQueues',
  'IsIdle',
  'IsQuiescing',
  'WaitingRequests',
  'ExecutingRequests',
  'DispatchedRequests',
  'RejectedRequests',
  'TimedoutRequests',
  'CancelledRequests',
]

function queueRows(control: FlowControl): Row[] {
  const rows = control.levels().flatMap((level) =>
    (level.queues?.all ?? []).map((queue, i) => {
      const sum = (count: (waiter: Waiter) => number): number => [...queue.waiting].reduce((all, waiter) => all + count(waiter), 0)
      const served = runningOf(control, level, queue)
      return [
        level.name,
        i,
        queue.waiting.size,
        served.length,
        served.reduce((seats, [, { place }]) => seats + place.seats, 0),
        seatSeconds(queue.nextStart),
        sum(({ servedSeats }) => servedSeats),
        sum(({ seats }) => seats),
        seatSeconds(sum(({ servedSeats, laterWork }) => servedSeats * guessedSeconds + laterWork)),
      ]
    }),
  )
  return [queueColumns, ...rows]
}

const guessedSeconds = 0.003

const queueColumns = [
  'PriorityLevelName',
  'Index',
  'PendingRequests',
  'ExecutingRequests',
  'SeatsInUse',
  'NextDispatchR',
  'InitialSeatsSum',
  'MaxSeatsSum',
  'TotalWorkSum',
]

function seatSeconds(value: number): string {
  return `${value.toFixed(8)}ss`
}

function runningOf(control: FlowControl, level: Level, queue: Queue | undefined): [ApiRequest, Running][] {
  return [...control.running].filter(([, { flow, place }]) => flow.level === level && place.queue === queue)
}

function requestRows(control: FlowControl, clock: Clock, details: boolean): Row[] {
  const rows: Row[] = [details ? [...requestColumns, ...detailColumns] : requestColumns]
  // Between the monotonic clock and the wall.
  const offsetMs = clock.now() - clock.monotonic()
  const add = (level: Level, schema: string, queue: number, index: number, request: ApiRequest, work: Row, startMs: number): void => {
    const flow = control.flows().find((candidate) => candidate.schema.metadata.name === schema)
    const distinguisher = flow === undefined ? '' : distinguisherOf(request, flow.schema)
    const arrived = timestamp(request.receivedAtMs)
    const started = Number.isFinite(startMs) ? timestamp(startMs) : neverStarted
    rows.push([level.name, schema, queue, index, distinguisher, arrived, ...work, started, ...(details ? detailsOf(request) : [])])
  }
  for (const level of control.levels()) {
    const served = (queue: Queue | undefined, i: number): void => {
      for (const [request, { flow, place }] of runningOf(control, level, queue)) {
        const startMs = place.sinceMs === 0 ? request.receivedAtMs : place.sinceMs + offsetMs
        const work = [place.servedSeats || 1, place.additionalMs > 0 ? place.seats : 0, goDuration(place.additionalMs)]
        add(level, flow.schema.metadata.name ?? '', i, -1, request, work, startMs)
      }
    }
    for (const [i, queue] of (level.queues?.all ?? []).entries()) {
      for (const [index, waiter] of [...queue.waiting].entries()) {
        const { request, schema = '' } = waiter.about as WaitingRequest
        const work = [waiter.servedSeats, waiter.laterWork > 0 ? waiter.seats : 0, goDuration((waiter.laterWork / waiter.seats) * 1000)]
        add(level, schema, i, index, request, work, Number.NEGATIVE_INFINITY)
      }
      served(queue, i)
    }
    served(undefined, -1)
  }
  return rows
}

// Who waits has not begun: Go's zero time.
const neverStarted = '0001-01-01T00:00:00Z'

const requestColumns = [
  'PriorityLevelName',
  'FlowSchemaName',
  'QueueIndex',
  'RequestIndexInQueue',
  'FlowDistingsher',
  'ArriveTime',
  'InitialSeats',
  'FinalSeats',
  'AdditionalLatency',
  'StartTime',
]

const detailColumns = ['UserName', 'Verb', 'APIPath', 'Namespace', 'Name', 'APIVersion', 'Resource', 'SubResource']

function detailsOf({ user, info, path }: ApiRequest): Row {
  const apiVersion = info.group === '' ? info.version : `${info.group}/${info.version}`
  return [user.name, info.verb, path, info.namespace, info.name, apiVersion, info.resource, info.subresource]
}

function goDuration(ms: number): string {
  return formatGoDuration(BigInt(Math.round(ms * 1e6)))
}
