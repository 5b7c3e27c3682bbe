// The API server's checks under the names that kube-apiserver gives them: those of its hooks that are something here too.
import type { Store } from '#storage/store'
import type { HealthCheck } from './health.ts'

/** How far the server has come. */
export interface ServerState {
  /** The watch caches hold what the store held at the start. */
  cachesFilled(): boolean
  /** The objects that every cluster has are there: namespaces, priority classes, the kubernetes Service, its ranges. */
  objectsMade(): boolean
  rolesMade(): boolean
  flowControlMade(): boolean
  authenticationPublished(): boolean
  readonly stopping: AbortSignal
}

export interface Checks {
  readonly live: readonly HealthCheck[]
  readonly ready: readonly HealthCheck[]
}

export function serverChecks(store: Pick<Store, 'currentRevision'>, state: ServerState): Checks {
  const fine = (name: string): HealthCheck => ({ name, check: () => undefined })
  const reachable = (name: string): HealthCheck => ({
    name,
    check: async () => {
      await store.currentRevision()
      return undefined
    },
  })
  const hook = (name: string, done: () => boolean): HealthCheck => ({
    name: `poststarthook/${name}`,
    check: () => (done() ? undefined : 'not finished'),
  })
  const first = [fine('ping'), fine('log'), reachable('etcd')]
  const hooks = [
    hook('generic-apiserver-start-informers', state.cachesFilled),
    hook('priority-and-fairness-config-consumer', state.cachesFilled),
    hook('priority-and-fairness-filter', state.cachesFilled),
    hook('start-apiextensions-controllers', state.objectsMade),
    hook('crd-informer-synced', state.cachesFilled),
    hook('start-system-namespaces-controller', state.objectsMade),
    hook('start-cluster-authentication-info-controller', state.authenticationPublished),
    hook('start-service-ip-repair-controllers', state.objectsMade),
    hook('rbac/bootstrap-roles', state.rolesMade),
    hook('scheduling/bootstrap-system-priority-classes', state.objectsMade),
    hook('priority-and-fairness-config-producer', state.flowControlMade),
    hook('bootstrap-controller', state.objectsMade),
    hook('start-kubernetes-service-cidr-controller', state.objectsMade),
    hook('apiservice-registration-controller', state.objectsMade),
    hook('apiservice-discovery-controller', state.objectsMade),
    hook('apiservice-openapi-controller', state.objectsMade),
    hook('apiservice-openapiv3-controller', state.objectsMade),
  ]
  return {
    live: [...first, ...hooks],
    ready: [
      ...first,
      reachable('etcd-readiness'),
      { name: 'informer-sync', check: () => (state.cachesFilled() ? undefined : 'the watch caches are still being filled') },
      ...hooks,
      { name: 'shutdown', check: () => (state.stopping.aborted ? 'process is shutting down' : undefined) },
    ],
  }
}
