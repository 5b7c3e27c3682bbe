// The Service by which cluster DNS is known: `kube-dns` in kube-system, at the address that pods have in their resolv.conf.
// It has no endpoints: each node answers the address itself.
import { isApiError } from '#api/errors'
import { Namespace } from '#api/kinds/core/namespace'
import { Service } from '#api/kinds/core/service'
import { type Controller, defineController } from '#client/controller'

const key = { namespace: 'kube-system', name: 'kube-dns' } as const

/** `dnsIp`: an address of the service range, from its part that is kept for fixed ones. */
export function createClusterDnsController(dnsIp: string): Controller {
  return defineController({
    name: 'cluster-dns-controller',
    watches: [
      { kind: Namespace, when: ({ metadata }) => metadata.name === key.namespace, keysOf: () => [`${key.namespace}/${key.name}`] },
      {
        kind: Service,
        when: ({ metadata }) => metadata.namespace === key.namespace && metadata.name === key.name,
        keysOf: () => [`${key.namespace}/${key.name}`],
      },
    ],
    concurrency: 1,
    async reconcile(text, { cache, client }) {
      if (cache.get(Service, text) !== undefined) return
      const labels = { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'DNS' }
      const ports = [
        { name: 'dns', port: 53, protocol: 'UDP' as const, targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' as const, targetPort: 53 },
      ]
      await client.create(Service, { metadata: { ...key, labels }, spec: { clusterIP: dnsIp, ports } }).catch((error) => {
        if (!isApiError(error, 'AlreadyExists') && !isApiError(error, 'NotFound')) throw error
      })
    },
  })
}
