// Priority: a pod's class becomes its priority number; at most one class is the default.
import { Pod } from '#api/kinds/core/pod'
import { PriorityClass } from '#api/kinds/scheduling/priority-class'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

export function priority({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'Priority',
    handles: (operation, kind, subresource) =>
      (operation === 'CREATE' || operation === 'UPDATE') && subresource === '' && (kind.id === Pod.id || kind.id === PriorityClass.id),
    admit(request) {
      if (request.kind.id !== Pod.id) return
      if (request.operation === 'UPDATE') keepPriority(request.object as Pod, request.old as Pod)
      else setPriority(reader, request, request.object as Pod)
    },
    validate(request) {
      if (request.kind.id === PriorityClass.id) refuseSecondDefault(reader, request, request.object as PriorityClass)
    },
  }
}

function keepPriority(pod: Pod, old: Pod): void {
  if (pod.spec.priority === undefined && old.spec.priority !== undefined) pod.spec.priority = old.spec.priority
  if (pod.spec.preemptionPolicy === undefined && old.spec.preemptionPolicy !== undefined) {
    pod.spec.preemptionPolicy = old.spec.preemptionPolicy
  }
}

function setPriority(reader: LocalReader, request: AdmissionRequest, pod: Pod): void {
  const { spec } = pod
  let chosen: PriorityClass | undefined
  if (spec.priorityClassName) {
    chosen = reader.get(PriorityClass, '', spec.priorityClassName)
    if (chosen === undefined) throw admissionForbidden(request, `no PriorityClass with name ${spec.priorityClassName} was found`)
  } else {
    chosen = defaultClass(reader)
    if (chosen !== undefined) spec.priorityClassName = chosen.metadata.name
  }
  const value = chosen?.value ?? 0
  if (spec.priority !== undefined && spec.priority !== value) {
    const why = `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`
    throw admissionForbidden(request, why)
  }
  spec.priority = value
  const policy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority'
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    const why = `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`
    throw admissionForbidden(request, why)
  }
  spec.preemptionPolicy = policy
}

// Should there be several in spite of all, the lowest counts.
function defaultClass(reader: LocalReader): PriorityClass | undefined {
  let found: PriorityClass | undefined
  for (const one of reader.list(PriorityClass)) {
    if (one.globalDefault === true && (found === undefined || (one.value ?? 0) < (found.value ?? 0))) found = one
  }
  return found
}

function refuseSecondDefault(reader: LocalReader, request: AdmissionRequest, object: PriorityClass): void {
  if (object.globalDefault !== true) return
  const other = defaultClass(reader)
  if (other === undefined || (request.operation === 'UPDATE' && other.metadata.name === object.metadata.name)) return
  const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`
  throw admissionForbidden(request, why)
}
