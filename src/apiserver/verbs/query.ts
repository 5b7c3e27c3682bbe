// Query parameters as Kubernetes reads them into its option types, with Go's words for what cannot be read.
import { badRequest } from '#api/errors'

/** A number, or undefined when the parameter is absent or empty. Throws BadRequest. */
export function integerParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (!/^[+-]?[0-9]+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`)
  return value
}

/** A truth value: absent is undefined, present without a value true. Anything but 0 and false, in any case, is true. */
export function booleanParam(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  return !/^(0|false)$/i.test(text)
}
