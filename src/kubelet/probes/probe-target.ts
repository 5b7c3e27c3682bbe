// What a probe or a lifecycle hook is aimed at: ports by name, addresses, URLs.
import type { Container, HTTPGetAction } from '#api/generated/core-v1'

/** The number of a port that may be given by its name. Throws in Kubernetes' words. */
export function portNumber(port: number | string, container: Pick<Container, 'ports' | 'name'>): number {
  const number = typeof port === 'number' ? port : (container.ports?.find((p) => p.name === port)?.containerPort ?? Number(port))
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number
  if (typeof port === 'string') throw new Error(`couldn't find port: ${JSON.stringify(port)} in container ${container.name}`)
  throw new Error(`invalid port number: ${number}`)
}

export interface HttpTarget {
  readonly url: URL
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export function httpTarget(action: HTTPGetAction, container: Container, podIp: string): HttpTarget {
  const host = action.host ? action.host : podIp
  const port = portNumber(action.port, container)
  const scheme = (action.scheme ?? 'HTTP').toLowerCase()
  const path = action.path ?? '/'
  const url = new URL(`${scheme}://${bracketed(host)}:${port}${path.startsWith('/') ? path : `/${path}`}`)
  return { url, headers: (action.httpHeaders ?? []).map((h) => [h.name, h.value] as const) }
}

export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
