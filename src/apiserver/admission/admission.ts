// Runs the admission plugins. Which of them a write concerns is found once for each operation, kind and subresource.
import type { Kind } from '#api/kind'
import type { AdmissionPlugin, AdmissionRequest, Operation } from './plugin.ts'
import { beginSecondRound } from './reinvocation.ts'

export interface Admission {
  /** Lets plugins change the object, in order. */
  admit(request: AdmissionRequest): Promise<void>
  /** Lets plugins refuse the final object. */
  validate(request: AdmissionRequest): Promise<void>
  /** Whether anybody cares: saves making the request. */
  handles(operation: Operation, kind: Kind, subresource: string): boolean
}

interface Chain {
  readonly kind: Kind
  readonly admit: readonly AdmissionPlugin[]
  readonly validate: readonly AdmissionPlugin[]
}

export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  const chains = new Map<string, Chain>()
  const chainOf = (operation: Operation, kind: Kind, subresource: string): Chain => {
    const key = `${operation} ${kind.id} ${subresource}`
    let chain = chains.get(key)
    // A custom kind may come back under the same id as another value.
    if (chain === undefined || chain.kind !== kind) {
      const concerned = plugins.filter((plugin) => plugin.handles(operation, kind, subresource))
      chain = {
        kind,
        admit: concerned.filter((plugin) => plugin.admit !== undefined),
        validate: concerned.filter((plugin) => plugin.validate !== undefined),
      }
      chains.set(key, chain)
    }
    return chain
  }
  return {
    handles(operation, kind, subresource) {
      const chain = chainOf(operation, kind, subresource)
      return chain.admit.length + chain.validate.length > 0
    },
    async admit(request) {
      const { admit } = chainOf(request.operation, request.kind, request.subresource)
      await runAll(admit, request)
      if (!admit.some((plugin) => plugin.wantsAnotherRound?.(request))) return
      beginSecondRound(request)
      await runAll(admit, request)
    },
    async validate(request) {
      for (const plugin of chainOf(request.operation, request.kind, request.subresource).validate) {
        const waiting = plugin.validate!(request)
        if (waiting !== undefined) await waiting
      }
    },
  }
}

async function runAll(plugins: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  for (const plugin of plugins) {
    const waiting = plugin.admit!(request)
    if (waiting !== undefined) await waiting
  }
}
