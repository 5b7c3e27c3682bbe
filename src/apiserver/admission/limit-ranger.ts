// LimitRanger: a namespace's LimitRanges complete the resources of containers, and bound those of pods, containers and claims.
import type { Container, LimitRangeItem } from '#api/generated/core-v1'
import { LimitRange } from '#api/kinds/core/limit-range'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { compareQuantities, formatQuantity, parseQuantity, type Quantity, quantityAsNumber } from '#api/quantity'
import { parseResources, podLimits, podRequests, type Resources } from '#api/resources'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

const annotation = 'kubernetes.io/limit-ranger'

export function limitRanger({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    handles(operation, kind, subresource) {
      if (subresource !== '') return kind.id === Pod.id && subresource === 'resize' && operation === 'UPDATE'
      if (kind.id === Pod.id) return operation === 'CREATE'
      return kind.id === PersistentVolumeClaim.id && (operation === 'CREATE' || operation === 'UPDATE')
    },
    admit(request) {
      if (request.kind.id !== Pod.id || request.operation !== 'CREATE') return
      for (const range of reader.list(LimitRange, request.namespace)) completePod(request.object as Pod, range)
    },
    validate(request) {
      if (request.old?.metadata.deletionTimestamp !== undefined) return
      for (const range of reader.list(LimitRange, request.namespace)) {
        const errors = [...new Set(range.spec.limits.flatMap((limit) => check(request, limit)))]
        if (errors.length > 0) throw admissionForbidden(request, errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]`)
      }
    },
  }
}

function completePod(pod: Pod, range: LimitRange): void {
  const limits: Record<string, string> = {}
  const requests: Record<string, string> = {}
  for (const item of range.spec.limits) {
    if (item.type !== 'Container') continue
    Object.assign(limits, item.default)
    Object.assign(requests, item.defaultRequest)
  }
  const said: string[] = []
  for (const container of pod.spec.containers) said.push(...completeContainer(container, requests, limits, 'container'))
  for (const container of pod.spec.initContainers ?? []) said.push(...completeContainer(container, requests, limits, 'init container'))
  if (said.length === 0) return
  pod.metadata.annotations = { ...pod.metadata.annotations, [annotation]: `LimitRanger plugin set: ${said.join('; ')}` }
}

function completeContainer(
  container: Container,
  requests: Readonly<Record<string, string>>,
  limits: Readonly<Record<string, string>>,
  what: string,
): string[] {
  const said: string[] = []
  for (const [field, defaults] of [
    ['requests', requests],
    ['limits', limits],
  ] as const) {
    const set: string[] = []
    for (const [name, amount] of Object.entries(defaults)) {
      const own = container.resources?.[field]
      if (own !== undefined && Object.hasOwn(own, name)) continue
      container.resources = { ...container.resources, [field]: { ...own, [name]: amount } }
      set.push(name)
    }
    if (set.length > 0) said.push(`${set.sort().join(', ')} ${field === 'limits' ? 'limit' : 'request'} for ${what} ${container.name}`)
  }
  return said
}

type Amounts = Readonly<Resources>

function check(request: AdmissionRequest, limit: LimitRangeItem): string[] {
  if (request.kind.id === PersistentVolumeClaim.id) {
    if (limit.type !== 'PersistentVolumeClaim') return []
    const claim = request.object as PersistentVolumeClaim
    const requests = parseResources(claim.spec.resources?.requests)
    return [
      ...each(limit.min, (name, bound) => below(limit.type, name, bound, requests, {})),
      ...each(limit.max, (name, bound) => requestAbove(limit.type, name, bound, requests)),
    ]
  }
  const { spec } = request.object as Pod
  if (limit.type === 'Container') {
    return [...spec.containers, ...(spec.initContainers ?? [])].flatMap((container) =>
      bounded(limit, parseResources(container.resources?.requests), parseResources(container.resources?.limits)),
    )
  }
  if (limit.type !== 'Pod') return []
  const { overhead: _, ...own } = spec
  return bounded(limit, podRequests({ spec: own }), podLimits({ spec: own }))
}

function bounded(limit: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  return [
    ...each(limit.min, (name, bound) => below(limit.type, name, bound, requests, limits)),
    ...each(limit.max, (name, bound) => above(limit.type, name, bound, requests, limits)),
    ...each(limit.maxLimitRequestRatio, (name, bound) => ratioAbove(limit.type, name, bound, requests, limits)),
  ]
}

function each(list: Readonly<Record<string, string>> | undefined, run: (name: string, bound: Quantity) => string | undefined): string[] {
  const errors: string[] = []
  for (const [name, text] of Object.entries(list ?? {})) {
    const error = run(name, parseQuantity(text))
    if (error !== undefined) errors.push(error)
  }
  return errors
}

function below(type: string, name: string, bound: Quantity, requests: Amounts, limits: Amounts): string | undefined {
  const start = `minimum ${name} usage per ${type} is ${formatQuantity(bound)}`
  const request = requests[name]
  const limit = limits[name]
  if (request === undefined) return `${start}.  No request is specified`
  if (compareQuantities(request, bound) < 0) return `${start}, but request is ${formatQuantity(request)}`
  if (limit !== undefined && compareQuantities(limit, bound) < 0) return `${start}, but limit is ${formatQuantity(limit)}`
  return undefined
}

function requestAbove(type: string, name: string, bound: Quantity, requests: Amounts): string | undefined {
  const start = `maximum ${name} usage per ${type} is ${formatQuantity(bound)}`
  const request = requests[name]
  if (request === undefined) return `${start}.  No request is specified`
  return compareQuantities(request, bound) > 0 ? `${start}, but request is ${formatQuantity(request)}` : undefined
}

function above(type: string, name: string, bound: Quantity, requests: Amounts, limits: Amounts): string | undefined {
  const start = `maximum ${name} usage per ${type} is ${formatQuantity(bound)}`
  const request = requests[name]
  const limit = limits[name]
  if (limit === undefined) return `${start}.  No limit is specified`
  if (compareQuantities(limit, bound) > 0) return `${start}, but limit is ${formatQuantity(limit)}`
  if (request !== undefined && compareQuantities(request, bound) > 0) return `${start}, but request is ${formatQuantity(request)}`
  return undefined
}

function ratioAbove(type: string, name: string, bound: Quantity, requests: Amounts, limits: Amounts): string | undefined {
  const start = `${name} max limit to request ratio per ${type} is ${formatQuantity(bound)}`
  const request = requests[name] === undefined ? 0 : quantityAsNumber(requests[name])
  const limit = limits[name] === undefined ? 0 : quantityAsNumber(limits[name])
  if (request === 0) return `${start}, but no request is specified or request is 0`
  if (limit === 0) return `${start}, but no limit is specified or limit is 0`
  return limit / request > quantityAsNumber(bound) ? `${start}, but provided ratio is ${(limit / request).toFixed(6)}` : undefined
}
