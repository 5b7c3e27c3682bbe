// Every live namespace has the ConfigMap `kube-root-ca.crt`, by which pods verify the API server.
import { isApiError } from '#api/errors'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Namespace } from '#api/kinds/core/namespace'
import { keyText } from '#api/object'
import { type Controller, defineController } from '#client/controller'
import { watchKind } from '../watches.ts'

const name = 'kube-root-ca.crt'
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'

/** `caPem`: the authority of the API server's certificate. */
export function createRootCaController(caPem: string): Controller {
  return defineController({
    name: 'root-ca-certificate-publisher-controller',
    watches: [
      watchKind(Namespace),
      { kind: ConfigMap, when: ({ metadata }) => metadata.name === name, keysOf: ({ metadata }) => [metadata.namespace ?? ''] },
    ],
    async reconcile(namespace, { cache, client }) {
      const found = cache.get(Namespace, namespace)
      if (found === undefined || found.metadata.deletionTimestamp !== undefined) return
      const current = cache.get(ConfigMap, keyText(namespace, name))
      const data = { 'ca.crt': caPem }
      try {
        if (current === undefined) {
          const annotations = { 'kubernetes.io/description': description }
          await client.create(ConfigMap, { metadata: { name, namespace, annotations }, data })
        } else if (JSON.stringify(current.data) !== JSON.stringify(data)) await client.update(ConfigMap, { ...current, data })
      } catch (error) {
        if (!isApiError(error, 'AlreadyExists') && !isApiError(error, 'Forbidden') && !isApiError(error, 'NotFound')) throw error
      }
    },
  })
}
