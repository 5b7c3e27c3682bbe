// References from environment variables and downward API files to the pod's own fields and resources.
import type { FieldError } from '../../errors.ts'
import type { ObjectFieldSelector, ResourceFieldSelector } from '../../generated/core-v1.ts'
import { canonicalQuantity, isQuantity, parseQuantity, quantitySign } from '../../quantity.ts'
import { invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'

const knownFields: ReadonlySet<string> = new Set([
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.serviceAccountName',
  'spec.schedulerName',
  'status.phase',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
])

/** `metadata.labels['key']` in its parts; no subscript: the path alone. */
export function splitSubscript(fieldPath: string): { path: string; subscript?: string } {
  const match = /^(.*?)\['(.*)'\]$/s.exec(fieldPath)
  if (match === null || match[1] === '') return { path: fieldPath }
  return { path: match[1]!, subscript: match[2]! }
}

export function validateFieldRef(ref: ObjectFieldSelector, allowed: ReadonlySet<string>, path: string): FieldError[] {
  if (!ref.apiVersion) return [required(`${path}.apiVersion`)]
  if (!ref.fieldPath) return [required(`${path}.fieldPath`)]
  const at = `${path}.fieldPath`
  const { path: field, subscript } = splitSubscript(ref.fieldPath)
  if (ref.apiVersion !== 'v1') {
    return [invalid(at, ref.fieldPath, `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`)]
  }
  if (subscript !== undefined) {
    if (field === 'metadata.annotations') return invalidEach(path, subscript.toLowerCase(), checkLabelKey(subscript.toLowerCase()))
    if (field === 'metadata.labels') return invalidEach(path, subscript, checkLabelKey(subscript))
    return [invalid(at, ref.fieldPath, `error converting fieldPath: field label does not support subscript: ${ref.fieldPath}`)]
  }
  if (!knownFields.has(field)) {
    return [invalid(at, ref.fieldPath, `error converting fieldPath: field label not supported: ${ref.fieldPath}`)]
  }
  return allowed.has(field) ? [] : [notSupported(at, field, [...allowed].sort())]
}

const resourcePaths = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
]

function isHugePages(resource: string): boolean {
  return resource.startsWith('requests.hugepages-') || resource.startsWith('limits.hugepages-')
}

/** `inVolume`: the container must be named, since a volume belongs to none. */
export function validateResourceFieldRef(ref: ResourceFieldSelector, path: string, inVolume: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (inVolume && !ref.containerName) errors.push(required(`${path}.containerName`))
  else if (!ref.resource) errors.push(required(`${path}.resource`))
  else if (!resourcePaths.includes(ref.resource) && !isHugePages(ref.resource)) {
    errors.push(notSupported(`${path}.resource`, ref.resource, resourcePaths))
  }
  return [...errors, ...validateDivisor(ref.resource ?? '', ref.divisor, `${path}.divisor`)]
}

const cpuDivisors = ['1m', '1']
const byteDivisors = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei']

function validateDivisor(resource: string, divisor: string | undefined, path: string): FieldError[] {
  if (divisor === undefined || !isQuantity(divisor) || quantitySign(parseQuantity(divisor)) === 0) return []
  const shown = canonicalQuantity(divisor)
  const kind = isHugePages(resource) ? 'hugepages' : (resource.split('.')[1] ?? '')
  if (kind === 'cpu') {
    return cpuDivisors.includes(shown)
      ? []
      : [invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")]
  }
  if (byteDivisors.includes(shown)) return []
  const names: Readonly<Record<string, string>> = {
    memory: 'memory',
    'ephemeral-storage': 'local ephemeral storage',
    hugepages: 'hugepages',
  }
  const name = names[kind]
  if (name === undefined) return []
  return [invalid(path, resource, `only divisor's values ${byteDivisors.join(', ')} are supported with the ${name} resource`)]
}
