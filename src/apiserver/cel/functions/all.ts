// Everything that Kubernetes' expressions may call, by name.
import { authorizerFunctions } from './authorizer.ts'
import { listFunctions } from './lists.ts'
import { networkFunctions } from './network.ts'
import { optionalFunctions } from './optional.ts'
import type { Overload } from './overload.ts'
import { quantityLikeFunctions } from './quantities.ts'
import { regexFunctions } from './regex.ts'
import { standardFunctions } from './standard.ts'
import { textFunctions } from './text.ts'

const libraries = [
  standardFunctions,
  optionalFunctions,
  textFunctions,
  regexFunctions,
  listFunctions,
  networkFunctions,
  quantityLikeFunctions,
  authorizerFunctions,
]

/** Overloads by the function's name; methods and functions of one name stand together. */
export const functions: ReadonlyMap<string, readonly Overload[]> = byName()

function byName(): Map<string, Overload[]> {
  const found = new Map<string, Overload[]>()
  for (const overload of libraries.flat()) {
    const list = found.get(overload.name)
    if (list === undefined) found.set(overload.name, [overload])
    else list.push(overload)
  }
  return found
}
