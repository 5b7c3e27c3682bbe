// GET /containerLogs: which container's log is meant, or why there is none, in Kubernetes' words.
import type { ContainerStatus, PodStatus } from '#api/generated/core-v1'
import type { LogOptions } from '../logs/read-log.ts'

/** The request cannot be served; `code` and the message go to the client. */
export class LogRequestError extends Error {
  override readonly name = 'LogRequestError'
  readonly code: 400 | 404 | 422
  constructor(code: 400 | 404 | 422, message: string) {
    super(message)
    this.code = code
  }
}

export interface LogQuery extends LogOptions {
  readonly previous: boolean
}

/** The options of the query string; Kubernetes' limits and words for what makes no sense. */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const flag = (name: string): boolean => {
    const value = query.get(name)
    return value !== null && !/^(0|false)$/i.test(value)
  }
  const number = (name: string, min: number): number | undefined => {
    const text = query.get(name)
    if (text === null || text === '') return undefined
    const value = Number(text)
    if (!Number.isSafeInteger(value)) throw new LogRequestError(400, `unable to decode query: ${name} must be an integer`)
    if (value < min) throw new LogRequestError(422, `${name}: Invalid value: ${value}: must be greater than or equal to ${min}`)
    return value
  }
  const sinceSeconds = number('sinceSeconds', 1)
  const sinceTime = query.get('sinceTime')
  if (sinceSeconds !== undefined && sinceTime) {
    throw new LogRequestError(422, 'at most one of `sinceTime` or `sinceSeconds` may be specified')
  }
  const sinceMs = sinceSeconds !== undefined ? nowMs - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined
  if (sinceMs !== undefined && Number.isNaN(sinceMs)) throw new LogRequestError(400, `unable to decode query: sinceTime ${sinceTime}`)
  const tailLines = number('tailLines', 0)
  const limitBytes = number('limitBytes', 1)
  const stream = query.get('stream')
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(stream === 'Stdout' ? { stream: 'stdout' as const } : stream === 'Stderr' ? { stream: 'stderr' as const } : {}),
  }
}

/** The id of the container whose log is meant, without the engine's prefix. */
export function containerIdForLogs(podName: string, status: PodStatus, name: string, previous: boolean): string {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? []), ...(status.ephemeralContainerStatuses ?? [])]
  const container = all.find((c) => c.name === name)
  const what = `container ${JSON.stringify(name)} in pod ${JSON.stringify(podName)}`
  if (container === undefined) throw new LogRequestError(400, `${what} is not available`)
  const id = pickId(container, what, previous)
  return id.slice(id.indexOf('://') + 3)
}

function pickId({ state, lastState, containerID }: ContainerStatus, what: string, previous: boolean): string {
  const last = lastState?.terminated?.containerID
  if (previous) {
    if (last) return last
    throw new LogRequestError(400, `previous terminated ${what} not found`)
  }
  if (state?.running !== undefined && containerID !== undefined) return containerID
  if (state?.terminated !== undefined) {
    const id = state.terminated.containerID ?? last
    if (id) return id
    throw new LogRequestError(400, `${what} is terminated`)
  }
  if (last) return last
  const reason = state?.waiting?.reason
  if (reason === undefined) throw new LogRequestError(400, `${what} is waiting to start - no logs yet`)
  const why = { ErrImagePull: "image can't be pulled", ImagePullBackOff: 'trying and failing to pull image' }[reason] ?? reason
  throw new LogRequestError(400, `${what} is waiting to start: ${why}`)
}
