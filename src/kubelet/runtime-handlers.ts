// RuntimeClass: the name in a pod's spec to the engine's handler (KEP-585). A class's handler never changes, so it is asked once.

import { isApiError } from '#api/errors'
import type { Pod } from '#api/generated/core-v1'
import { RuntimeClass } from '#api/kinds/node/runtime-class'
import type { Client } from '#client/client'

const classesMax = 256

export function createRuntimeHandlers(client: Client): (pod: Pod) => Promise<string> {
  const handlers = new Map<string, string>()
  return async ({ spec }) => {
    const name = spec.runtimeClassName ?? ''
    if (name === '') return ''
    const known = handlers.get(name)
    if (known !== undefined) return known
    const runtimeClass = await client.get(RuntimeClass, { namespace: '', name }).catch((error) => {
      throw isApiError(error, 'NotFound') ? new Error(`RuntimeClass ${JSON.stringify(name)} not found`) : error
    })
    if (handlers.size < classesMax) handlers.set(name, runtimeClass.handler)
    return runtimeClass.handler
  }
}
