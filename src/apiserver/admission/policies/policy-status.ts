// Keeps the status of validating policies: which generation was looked at, and what its expressions get wrong about the types of
// the objects. Kubernetes has a controller for that; here it is a loop of the API server, as for custom resource definitions,
// because expressions, their checker and the schemas of all served kinds live in this layer and nowhere else.
import type { ValidatingAdmissionPolicy as Policy } from '#api/generated/admissionregistration-v1'
import { ValidatingAdmissionPolicy } from '#api/kinds/admissionregistration/validating-admission-policy'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import { internalCall } from '../../registry/call.ts'
import type { Registries } from '../../registry/registries.ts'
import type { KindCatalog, LocalReader } from '../../request.ts'
import { applied } from '../../verbs/apply.ts'
import { checkTypes } from './type-checks.ts'

export interface PolicyStatusDeps {
  readonly reader: LocalReader
  readonly registries: Registries
  readonly catalog: KindCatalog
  readonly clock: Clock
  readonly log?: (message: string, error?: unknown) => void
}

const manager = 'validatingadmissionpolicy-status'
const failedAgainMs = 5_000

/** Begins at once; ends with the signal. */
export function runPolicyStatus(deps: PolicyStatusDeps, signal: AbortSignal): void {
  const { reader, clock, log } = deps
  let running = false
  let again = false
  const pass = async (): Promise<void> => {
    for (const policy of reader.list(ValidatingAdmissionPolicy)) {
      if (signal.aborted) return
      if ((policy.metadata.generation ?? 0) <= (policy.status?.observedGeneration ?? 0)) continue
      try {
        await writeStatus(deps, policy, signal)
      } catch (error) {
        if (signal.aborted) return
        log?.(`cannot check the types of the validating admission policy ${policy.metadata.name}`, error)
        clock.after(failedAgainMs, schedule, { background: true })
      }
    }
  }
  const schedule = (): void => {
    if (signal.aborted) return
    if (running) {
      again = true
      return
    }
    running = true
    void pass().finally(() => {
      running = false
      if (!again) return
      again = false
      schedule()
    })
  }
  const unsubscribe = reader.onChange(ValidatingAdmissionPolicy, schedule)
  signal.addEventListener('abort', unsubscribe, { once: true })
  schedule()
}

async function writeStatus({ registries, catalog, clock }: PolicyStatusDeps, policy: Policy, signal: AbortSignal): Promise<void> {
  const { name, generation } = policy.metadata
  const expressionWarnings = await checkTypes(policy, catalog)
  const typeChecking = expressionWarnings.length === 0 ? {} : { expressionWarnings }
  const kind = ValidatingAdmissionPolicy
  const value = {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name },
    status: { observedGeneration: generation, typeChecking },
  }
  const registry = registries.of(kind)
  const call = internalCall(manager, { signal })
  await registry
    .update(
      { namespace: '', name },
      {
        subresource: 'status',
        createIfMissing: false,
        tracked: true,
        // A policy that was changed meanwhile is looked at again, for its next generation.
        make: (old) => applied(kind, old as KubeObject, { value, manager, force: true }, 'status', clock.now()) as Policy,
      },
      call,
    )
    .catch((error: unknown) => {
      if ((error as { reason?: string }).reason !== 'NotFound') throw error
    })
}
