// NamespaceLifecycle: nothing is made in a namespace that is not there or that is going away, and the system's own are not deleted.
import { ApiError, notFound } from '#api/errors'
import { Namespace } from '#api/kinds/core/namespace'
import type { Store } from '#storage/store'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

const immortal = new Set(['default', 'kube-system', 'kube-public'])
// Reviews ask about namespaces; they put nothing into them.
const reviews = new Set(['localsubjectaccessreviews'])

export function namespaceLifecycle({ reader, store }: { reader: LocalReader; store: Store }): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    handles: (operation, kind) =>
      operation === 'DELETE' ? kind.id === Namespace.id : operation !== 'CONNECT' && kind.namespaced && !reviews.has(kind.resource),
    async admit(request) {
      if (request.operation === 'DELETE') {
        if (immortal.has(request.name)) throw admissionForbidden(request, 'this namespace may not be deleted')
        return
      }
      const namespace = reader.get(Namespace, '', request.namespace)
      if (namespace === undefined) {
        // The cache may lag behind a namespace that another server has just made.
        if ((await store.get(`${Namespace.storagePrefix}/${request.namespace}`)) === undefined) throw notFound(Namespace, request.namespace)
        return
      }
      if (request.operation !== 'CREATE' || namespace.status?.phase !== 'Terminating') return
      throw terminating(request)
    },
  }
}

function terminating(request: AdmissionRequest): ApiError {
  const { namespace } = request
  const error = admissionForbidden(request, `unable to create new content in namespace ${namespace} because it is being terminated`)
  const cause = { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }
  return new ApiError({ ...error.status, details: { ...error.status.details, causes: [cause] } })
}
