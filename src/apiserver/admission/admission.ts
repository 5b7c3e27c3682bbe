// Runs the admission plugins. Which of them a write concerns is found once for each operation, kind and subresource.
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import { createMetrics } from '#platform/metrics'
import { late } from './late.ts'
import { keepManagedFieldsValid } from './managed-fields.ts'
import { type AdmissionMetrics, createAdmissionMetrics, type PluginPhase, type Timed } from './metrics.ts'
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

export interface AdmissionMeasures {
  readonly clock: Clock
  readonly metrics: AdmissionMetrics
}

/** Measures that nobody reads. */
export function unreadMeasures(clock: Clock): AdmissionMeasures {
  return { clock, metrics: createAdmissionMetrics(createMetrics()) }
}

interface Chain {
  readonly kind: Kind
  readonly admit: Phase
  readonly validate: Phase
}

/** The plugins that one phase of a form of write concerns. */
interface Phase {
  readonly phase: PluginPhase
  readonly plugins: readonly AdmissionPlugin[]
  readonly timed: readonly Timed[]
  readonly step: Timed
}

export function createAdmission(plugins: readonly AdmissionPlugin[], { clock, metrics }: AdmissionMeasures): Admission {
  const chains = new Map<string, Chain>()
  const phaseOf = (phase: PluginPhase, operation: Operation, concerned: readonly AdmissionPlugin[]): Phase => {
    const own = concerned.filter((plugin) => plugin[phase] !== undefined)
    const timed = own.map(({ name }) => metrics.plugin(name, phase, operation))
    return { phase, plugins: own, timed, step: metrics.step(phase, operation) }
  }
  const chainOf = (operation: Operation, kind: Kind, subresource: string): Chain => {
    const key = `${operation} ${kind.id} ${subresource}`
    let chain = chains.get(key)
    // A custom kind may come back under the same id as another value.
    if (chain === undefined || chain.kind !== kind) {
      const concerned = plugins.filter((plugin) => plugin.handles(operation, kind, subresource))
      chain = { kind, admit: phaseOf('admit', operation, concerned), validate: phaseOf('validate', operation, concerned) }
      chains.set(key, chain)
    }
    return chain
  }
  const run = async ({ phase, plugins: own, timed, step }: Phase, request: AdmissionRequest): Promise<void> => {
    const startedMs = clock.monotonic()
    let lastMs = startedMs
    for (let i = 0; i < own.length; i++) {
      let rejected = true
      try {
        const waiting = own[i]![phase]!(request)
        if (waiting !== undefined) await waiting
        rejected = false
      } finally {
        const nowMs = clock.monotonic()
        timed[i]!.observe((nowMs - lastMs) / 1_000, rejected)
        if (rejected || i === own.length - 1) step.observe((nowMs - startedMs) / 1_000, rejected)
        lastMs = nowMs
      }
      if (request.origin?.dueMs !== undefined && lastMs >= request.origin.dueMs) throw late()
    }
  }
  return {
    handles(operation, kind, subresource) {
      const { admit, validate } = chainOf(operation, kind, subresource)
      return admit.plugins.length + validate.plugins.length > 0
    },
    async admit(request) {
      const { admit } = chainOf(request.operation, request.kind, request.subresource)
      const managedFields = request.object?.metadata?.managedFields
      await run(admit, request)
      if (admit.plugins.some((plugin) => plugin.wantsAnotherRound?.(request))) {
        beginSecondRound(request)
        await run(admit, request)
      }
      keepManagedFieldsValid(request, managedFields)
    },
    async validate(request) {
      await run(chainOf(request.operation, request.kind, request.subresource).validate, request)
    },
  }
}
