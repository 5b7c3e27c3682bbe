// Binding a pod to a node: the scheduler's one write. A pod is bound once.
import { badRequest, conflict, type FieldError, invalid, type StatusBody } from '#api/errors'
import type { Binding } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { setPodCondition } from '#api/pods'
import { notSupported, required } from '#api/validation/field-errors'
import { validateAnnotations, validateLabels } from '#api/validation/object-meta'
import type { Clock } from '#base/clock'
import type { Call } from '../registry/call.ts'
import type { Registries } from '../registry/registries.ts'
import { cloneJson } from '../registry/written.ts'
import type { CreateHandler, SubresourceTarget } from './subresource.ts'

export interface BindingDeps {
  readonly registries: Registries
  readonly clock: Clock
}

const bodyKinds = [{ apiVersion: 'v1', kind: 'Binding' }]
const success: StatusBody = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }

/** `pods/binding`, and the older `bindings` resource. */
export function bindingHandlers(deps: BindingDeps): readonly CreateHandler[] {
  const create = async (body: KubeObject, target: SubresourceTarget, call: Call): Promise<StatusBody> => {
    const binding = body as Binding
    const name = target.name || binding.metadata.name
    if (target.name !== '' && binding.metadata.name && binding.metadata.name !== target.name) {
      throw badRequest('name in URL does not match name in Binding object')
    }
    if (!name) throw badRequest('Name parameter required.')
    const errors = check(binding)
    if (errors.length > 0) throw invalid({ group: '', kind: 'Binding' }, name, errors)
    await bind(deps, binding, { namespace: target.namespace, name }, call)
    return success
  }
  return [
    { type: 'create', group: '', resource: 'pods', subresource: 'binding', bodyKinds, create },
    { type: 'create', group: '', resource: 'bindings', subresource: '', bodyKinds, create },
  ]
}

// Labels and annotations become the pod's, which is not validated anew.
function check({ metadata, target }: Binding): FieldError[] {
  const { labels, annotations } = metadata
  const errors: FieldError[] = [...validateLabels(labels, 'metadata.labels'), ...validateAnnotations(annotations, 'metadata.annotations')]
  if (target?.kind && target.kind !== 'Node') errors.push(notSupported('target.kind', target.kind, ['Node', '<empty>']))
  if (!target?.name) errors.push(required('target.name'))
  return errors
}

async function bind({ registries, clock }: BindingDeps, binding: Binding, target: SubresourceTarget, call: Call): Promise<void> {
  const refuse = (why: string): never => {
    throw conflict({ group: '', resource: 'pods/binding' }, target.name, why)
  }
  const { name: node = '' } = binding.target
  await registries.of(Pod).update(
    target,
    {
      subresource: 'binding',
      createIfMissing: false,
      unchecked: true,
      make(old) {
        const pod = cloneJson(old!)
        const { uid } = binding.metadata
        if (uid && uid !== pod.metadata.uid) {
          refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`)
        }
        if (pod.metadata.deletionTimestamp !== undefined) {
          refuse(`pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`)
        }
        if (pod.spec.nodeName) refuse(`pod ${pod.metadata.name} is already assigned to node "${pod.spec.nodeName}"`)
        if ((pod.spec.schedulingGates?.length ?? 0) > 0) refuse(`pod ${pod.metadata.name} has non-empty .spec.schedulingGates`)
        pod.spec.nodeName = node
        const { annotations } = binding.metadata
        if (annotations !== undefined) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
        const { labels } = binding.metadata
        if (labels !== undefined) pod.metadata.labels = { ...pod.metadata.labels, ...labels }
        setPodCondition(pod.status, { type: 'PodScheduled', status: 'True' }, clock.now())
        return pod
      },
    },
    call,
  )
}
