// The options of a log request (PodLogOptions): read, checked and refused in Kubernetes' words before any kubelet is asked.
import { badRequest, invalid } from '#api/errors'
import { canonicalTimestamp } from '#api/schema/go-time'
import { type FieldErrors, forbidden, invalid as invalidValue } from '#api/validation/field-errors'
import { booleanParam, integerParam } from '../verbs/query.ts'

const switches = ['follow', 'previous', 'timestamps'] as const
const passedOn = ['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes'] as const

/** The query for the kubelet. Throws BadRequest for what cannot be read, Invalid for what makes no sense. */
export function logQuery(query: URLSearchParams, podName: string): URLSearchParams {
  const sinceSeconds = integerParam(query, 'sinceSeconds')
  const sinceTime = query.get('sinceTime')
  if (sinceTime) checkTime(sinceTime)
  const tailLines = integerParam(query, 'tailLines')
  const limitBytes = integerParam(query, 'limitBytes')
  const errors: FieldErrors = []
  if (tailLines !== undefined && tailLines < 0) errors.push(invalidValue('tailLines', tailLines, 'must be greater than or equal to 0'))
  if (limitBytes !== undefined && limitBytes < 1) errors.push(invalidValue('limitBytes', limitBytes, 'must be greater than 0'))
  if (sinceSeconds !== undefined && sinceTime) {
    errors.push(forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'))
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalidValue('sinceSeconds', sinceSeconds, 'must be greater than 0'))
  }
  // One stream alone is an alpha of the served version (PodLogsQuerySplitStreams), off by default there.
  if (query.get('stream')) errors.push(forbidden('stream', 'may not be specified'))
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, podName, errors)
  const wanted = new URLSearchParams()
  for (const key of switches) if (booleanParam(query, key)) wanted.set(key, 'true')
  for (const key of passedOn) {
    const value = query.get(key)
    if (value !== null && value !== '') wanted.set(key, value)
  }
  return wanted
}

function checkTime(text: string): void {
  try {
    canonicalTimestamp(text)
  } catch (error) {
    throw badRequest((error as Error).message)
  }
}
