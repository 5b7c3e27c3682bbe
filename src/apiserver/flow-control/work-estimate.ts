// How much of the server a request is taken to need: seats while it is served, and seats that stay taken for a while after it, for
// the watchers that are told of what it wrote. Kubernetes' formulas and figures.
import type { ApiRequest, RequestInfo } from '../request.ts'

/** A request's need of seats. */
export interface WorkEstimate {
  /** While it is served. */
  readonly initialSeats: number
  /** After it, for `additionalMs`. */
  readonly finalSeats: number
  readonly additionalMs: number
}

/** What is stored of a resource. */
export interface ObjectStats {
  readonly count: number
  readonly averageBytes: number
}

export interface EstimateDeps {
  /** Undefined for what is not stored here. */
  readonly objectStats?: (info: RequestInfo) => ObjectStats | undefined
  /** How many watches are told of what the request writes. */
  readonly watchCount: (info: RequestInfo) => number
}

export const oneSeat: WorkEstimate = { initialSeats: 1, finalSeats: 0, additionalMs: 0 }

const listSeatsMax = 100
const writeSeatsMax = 10
const bytesPerSeat = 100_000
// A list from the cache is written as a stream, so that it never takes more memory than this at a time.
const streamedBytesMax = 1_000_000
const watchesPerSeat = 10
const eventMs = 5
// Of objects whose size nobody knows.
const objectBytesMax = 1_500_000

/** `levelMax`: the most seats that the priority level gives to one request; 0 when it has no bound of its own. */
export function estimateWork(request: ApiRequest, levelMax: number, deps: EstimateDeps): WorkEstimate {
  const { info } = request
  switch (info.verb) {
    case 'get':
      return oneSeat
    case 'list':
    case 'watch': {
      const seats = listSeats(request, deps)
      const most = levelMax === 0 ? listSeatsMax : Math.min(levelMax, listSeatsMax)
      return seats <= 1 ? oneSeat : { initialSeats: Math.min(seats, most), finalSeats: 0, additionalMs: 0 }
    }
    case 'create':
    case 'update':
    case 'patch':
    case 'delete':
      return writeWork(info, levelMax, deps)
    default:
      return oneSeat
  }
}

function listSeats({ info, query }: ApiRequest, { objectStats }: EstimateDeps): number {
  if (info.verb === 'watch') {
    const revision = query.get('resourceVersion') ?? ''
    // Only a watch that begins with what is there is like a list.
    if (!/^(?:true|1)$/i.test(query.get('sendInitialEvents') ?? '') && revision !== '' && revision !== '0') return 1
  }
  const stats = objectStats?.(info)
  if (stats === undefined) return 1
  const averageBytes = stats.averageBytes <= 0 && stats.count > 0 ? objectBytesMax : stats.averageBytes
  const limit = Number(query.get('limit') ?? 0)
  const limited = limit > 0 ? Math.min(limit, stats.count) : stats.count
  const fromCache = info.verb === 'watch' || isFromCache(query, limit)
  const selective = query.get('labelSelector') || query.get('fieldSelector')
  const objects = info.name !== '' ? 1 : fromCache || !selective ? limited : Math.max(limited, Math.floor(stats.count / 2))
  const bytes = objects * averageBytes
  return Math.ceil((fromCache ? Math.min(bytes, streamedBytesMax) : bytes) / bytesPerSeat)
}

function isFromCache(query: URLSearchParams, limit: number): boolean {
  const match = query.get('resourceVersionMatch') ?? ''
  if (match !== '') return match === 'NotOlderThan'
  if (query.get('continue')) return false
  const revision = query.get('resourceVersion') ?? ''
  return !(limit > 0 && revision !== '' && revision !== '0')
}

// A tenth of a seat for five milliseconds for each watcher; wide work is made narrower and longer.
function writeWork(info: RequestInfo, levelMax: number, { watchCount }: EstimateDeps): WorkEstimate {
  // A token is no change of its service account.
  if (info.resource === 'serviceaccounts' && info.subresource === 'token') return oneSeat
  const watches = watchCount(info)
  if (watches < watchesPerSeat) return oneSeat
  const seats = Math.ceil(watches / watchesPerSeat)
  const finalSeats = Math.min(seats, levelMax === 0 ? writeSeatsMax : Math.min(levelMax, writeSeatsMax))
  return { initialSeats: 1, finalSeats, additionalMs: (seats * eventMs) / finalSeats }
}

/** The seats that are taken as long as any are. */
export function widthOf({ initialSeats, finalSeats }: WorkEstimate): number {
  return Math.max(initialSeats, finalSeats)
}
