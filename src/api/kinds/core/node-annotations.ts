// Annotations of nodes that stood for fields before there were fields: taints, and pods that a node would rather not have.
// Nothing reads them any more, yet what does not parse is still refused.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { parseJson } from '../../schema/json.ts'
import { invalid, required } from '../../validation/field-errors.ts'

const taintsAnnotation = 'scheduler.alpha.kubernetes.io/taints'
const avoidPodsAnnotation = 'scheduler.alpha.kubernetes.io/preferAvoidPods'
const path = 'metadata.annotations'

type CheckTaints = (taints: readonly coreV1.Taint[], path: string) => FieldError[]

/** What is wrong with the annotations that Kubernetes knows by name. */
export function validateNodeAnnotations(annotations: Readonly<Record<string, string>> = {}, checkTaints: CheckTaints): FieldError[] {
  const errors: FieldError[] = []
  const taints = annotations[taintsAnnotation]
  if (taints) {
    const found = read(taints, 'array', '[]core.Taint')
    if ('problem' in found) errors.push(invalid(path, taintsAnnotation, found.problem))
    else errors.push(...checkTaints((found.value as unknown[]).map(asObject) as unknown as coreV1.Taint[], `${path}.${taintsAnnotation}`))
  }
  const avoided = annotations[avoidPodsAnnotation]
  if (avoided) {
    const found = read(avoided, 'object', 'v1.AvoidPods')
    if ('problem' in found) errors.push(invalid(`${path}.AvoidPods`, avoidPodsAnnotation, found.problem))
    else errors.push(...validateAvoidPods(asObject(found.value)['preferAvoidPods']))
  }
  return errors
}

function validateAvoidPods(entries: unknown): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, entry] of (Array.isArray(entries) ? entries : []).entries()) {
    const at = `${path}.${avoidPodsAnnotation}[${i}].PodSignature`
    const owner = asObject(asObject(entry)['podSignature'])['podController']
    if (owner === undefined || owner === null) errors.push(required(at))
    else if (asObject(owner)['controller'] !== true) {
      errors.push(invalid(`${at}.PodController.Controller`, false, 'must point to a controller'))
    }
  }
  return errors
}

function read(text: string, want: 'array' | 'object', goType: string): { value: unknown } | { problem: string } {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    return { problem: (error as Error).message }
  }
  if (value === null) return { value: want === 'array' ? [] : {} }
  const got = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
  return got === want ? { value } : { problem: `json: cannot unmarshal ${got} into Go value of type ${goType}` }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
