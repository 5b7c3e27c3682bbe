// Every live namespace has a service account named `default`.
import { isApiError } from '#api/errors'
import { Namespace } from '#api/kinds/core/namespace'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { keyText } from '#api/object'
import { defineController } from '#client/controller'
import { watchKind } from '../watches.ts'

export const serviceAccountController = defineController({
  name: 'serviceaccount-controller',
  watches: [
    watchKind(Namespace),
    { kind: ServiceAccount, when: ({ metadata }) => metadata.name === 'default', keysOf: ({ metadata }) => [metadata.namespace ?? ''] },
  ],
  async reconcile(namespace, { cache, client }) {
    const found = cache.get(Namespace, namespace)
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return
    if (cache.get(ServiceAccount, keyText(namespace, 'default')) !== undefined) return
    await client.create(ServiceAccount, { metadata: { name: 'default', namespace } }).catch((error) => {
      if (!isApiError(error, 'AlreadyExists') && !isApiError(error, 'Forbidden') && !isApiError(error, 'NotFound')) throw error
    })
  },
})
