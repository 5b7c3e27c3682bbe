// The cluster roles, roles and bindings that every Kubernetes 1.36 cluster starts with. Names and rules are the API's own; clients
// and charts refer to them.
import type { PolicyRule, Subject } from '#api/generated/rbac-v1'
import { controllerRoles } from './controller-policy.ts'
import { core, type DefaultRole, eventsRule, everyGroup, on, paths, read, readWrite, write } from './policy-terms.ts'

const certificates = 'certificates.k8s.io'
const coordination = 'coordination.k8s.io'
const rbac = 'rbac.authorization.k8s.io'
const storage = 'storage.k8s.io'
const resource = 'resource.k8s.io'

/** What every node may; the Node authorizer narrows down much of it. */
export const nodeRules: readonly PolicyRule[] = [
  on('authentication.k8s.io', 'tokenreviews', 'create'),
  on('authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews', 'create'),
  on(core, 'services', read),
  on(core, 'nodes', 'create get list watch'),
  on(core, 'nodes/status', 'patch update'),
  on(core, 'nodes', 'patch update'),
  eventsRule,
  on(core, 'pods', read),
  on(core, 'pods', 'create delete'),
  on(core, 'pods/status', 'patch update'),
  on(core, 'pods/eviction', 'create'),
  on(core, 'configmaps secrets', read),
  on(core, 'persistentvolumeclaims persistentvolumes', 'get'),
  on(core, 'endpoints', 'get'),
  on(certificates, 'certificatesigningrequests', 'create get list watch'),
  on(coordination, 'leases', 'create delete get patch update'),
  on(storage, 'volumeattachments', 'get'),
  on(core, 'serviceaccounts/token', 'create'),
  on(core, 'persistentvolumeclaims/status', 'get patch update'),
  on(storage, 'csidrivers', read),
  on(storage, 'csinodes', 'create delete get patch update'),
  on('node.k8s.io', 'runtimeclasses', read),
  on(resource, 'resourceclaims', 'get'),
  on(resource, 'resourceslices', 'deletecollection'),
  on(core, 'serviceaccounts', 'get'),
]

const editRules: readonly PolicyRule[] = [
  on(core, 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy', read),
  on(core, 'serviceaccounts', 'impersonate'),
  on(core, 'pods pods/attach pods/exec pods/portforward pods/proxy', write),
  on(core, 'pods/eviction', 'create'),
  on(
    core,
    'configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
    write,
  ),
  on('core events.k8s.io', 'events', write),
  on(core, 'serviceaccounts/token', 'create'),
  on(
    'apps',
    'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
    write,
  ),
  on('autoscaling', 'horizontalpodautoscalers', write),
  on('batch', 'cronjobs jobs', write),
  on(
    'extensions',
    'daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale',
    write,
  ),
  on('policy', 'poddisruptionbudgets', write),
  on('networking.k8s.io', 'ingresses networkpolicies', write),
  on(coordination, 'leases', readWrite),
  on(resource, 'resourceclaims resourceclaimtemplates', write),
]

const viewRules: readonly PolicyRule[] = [
  on(
    core,
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
    read,
  ),
  on(
    core,
    'bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
    read,
  ),
  on('core events.k8s.io', 'events', read),
  on(core, 'namespaces', read),
  on('discovery.k8s.io', 'endpointslices', read),
  on(
    'apps',
    'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
    read,
  ),
  on('autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status', read),
  on('batch', 'cronjobs cronjobs/status jobs jobs/status', read),
  on(
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
    read,
  ),
  on('policy', 'poddisruptionbudgets poddisruptionbudgets/status', read),
  on('networking.k8s.io', 'ingresses ingresses/status networkpolicies', read),
  on(resource, 'resourceclaims resourceclaims/status resourceclaimtemplates', read),
]

const componentRules = {
  controllerManager: [
    eventsRule,
    on(coordination, 'leases', 'create'),
    on(coordination, 'leases', 'get update', 'kube-controller-manager'),
    on(core, 'secrets serviceaccounts', 'create'),
    on(core, 'secrets', 'delete'),
    on(core, 'configmaps namespaces secrets serviceaccounts', 'get'),
    on(core, 'secrets serviceaccounts', 'update'),
    on('authentication.k8s.io', 'tokenreviews', 'create'),
    on('authorization.k8s.io', 'subjectaccessreviews', 'create'),
    on(everyGroup, '*', 'list watch'),
    on(core, 'serviceaccounts/token', 'create'),
  ],
  scheduler: [
    eventsRule,
    on(coordination, 'leases', 'create'),
    on(coordination, 'leases', 'get list update watch', 'kube-scheduler'),
    on(coordination, 'leasecandidates', readWrite),
    on(core, 'nodes', read),
    on(core, 'pods', 'delete get list watch'),
    on(core, 'bindings pods/binding', 'create'),
    on(core, 'pods/status', 'patch update'),
    on(core, 'replicationcontrollers services', read),
    on('apps extensions', 'replicasets', read),
    on('apps', 'statefulsets', read),
    on('policy', 'poddisruptionbudgets', read),
    on(core, 'persistentvolumeclaims persistentvolumes', read),
    on('authentication.k8s.io', 'tokenreviews', 'create'),
    on('authorization.k8s.io', 'subjectaccessreviews', 'create'),
    on(storage, 'csinodes', read),
    on(storage, 'volumeattachments', read),
    on(core, 'namespaces', read),
    on(storage, 'csidrivers', read),
    on(storage, 'csistoragecapacities', read),
    on(resource, 'deviceclasses', read),
    on(resource, 'resourceclaims', 'get list patch update watch'),
    on(resource, 'resourceclaims/status', 'get list patch update watch'),
    on(resource, 'resourceclaims/binding', 'patch update'),
    on(core, 'pods/finalizers', 'update'),
    on(resource, 'resourceslices', read),
    on(resource, 'resourceclaims', 'create delete'),
  ],
} as const

const approvers: readonly DefaultRole[] = [
  ['legacy-unknown', 'legacy-unknown-approver'],
  ['kubelet-serving', 'kubelet-serving-approver'],
  ['kube-apiserver-client', 'kube-apiserver-client-approver'],
  ['kube-apiserver-client-kubelet', 'kube-apiserver-client-kubelet-approver'],
].map(([signer, name]) => ({
  name: `system:${certificates}:${name}`,
  rules: [on(certificates, 'signers', 'approve', `kubernetes.io/${signer}`)],
}))

/** Every cluster role, those of controllers included. */
export const clusterRoles: readonly DefaultRole[] = [
  { name: 'cluster-admin', rules: [on(everyGroup, '*', '*'), paths('*', '*')] },
  {
    name: 'system:discovery',
    rules: [paths('get', '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/')],
  },
  {
    name: 'system:monitoring',
    rules: [
      paths('get', '/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*'),
      on(core, 'nodes/metrics', 'get'),
      paths('get', '/flagz'),
      paths('get', '/statusz'),
    ],
  },
  {
    name: 'system:basic-user',
    rules: [
      on('authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews', 'create'),
      on('authentication.k8s.io', 'selfsubjectreviews', 'create'),
    ],
  },
  { name: 'system:public-info-viewer', rules: [paths('get', '/healthz /livez /readyz /version /version/')] },
  { name: 'admin', rules: [], aggregates: 'admin' },
  { name: 'edit', rules: [], aggregates: 'edit', aggregatesTo: 'admin' },
  { name: 'view', rules: [], aggregates: 'view', aggregatesTo: 'edit' },
  {
    name: 'system:aggregate-to-admin',
    aggregatesTo: 'admin',
    rules: [on('authorization.k8s.io', 'localsubjectaccessreviews', 'create'), on(rbac, 'rolebindings roles', readWrite)],
  },
  { name: 'system:aggregate-to-edit', aggregatesTo: 'edit', rules: editRules },
  { name: 'system:aggregate-to-view', aggregatesTo: 'view', rules: viewRules },
  { name: 'system:heapster', rules: [on(core, 'events namespaces nodes pods', read), on('extensions', 'deployments', read)] },
  { name: 'system:node', rules: nodeRules },
  { name: 'system:node-problem-detector', rules: [on(core, 'nodes', 'get'), on(core, 'nodes/status', 'patch'), eventsRule] },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      on(core, 'nodes', read),
      on(core, 'nodes', 'proxy'),
      on(core, 'nodes/log nodes/metrics nodes/proxy nodes/stats', '*'),
      on(core, 'nodes/configz nodes/healthz nodes/pods', '*'),
    ],
  },
  { name: 'system:node-bootstrapper', rules: [on(certificates, 'certificatesigningrequests', 'create get list watch')] },
  {
    name: 'system:auth-delegator',
    rules: [on('authentication.k8s.io', 'tokenreviews', 'create'), on('authorization.k8s.io', 'subjectaccessreviews', 'create')],
  },
  { name: 'system:kube-aggregator', rules: [on(core, 'endpoints services', read)] },
  { name: 'system:kube-controller-manager', rules: componentRules.controllerManager },
  { name: 'system:kube-dns', rules: [on(core, 'endpoints services', 'list watch')] },
  { name: 'system:kube-scheduler', rules: componentRules.scheduler },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      on(core, 'persistentvolumes', 'create delete get list watch'),
      on(core, 'persistentvolumeclaims', 'get list update watch'),
      on(storage, 'storageclasses', read),
      on(core, 'events', 'watch'),
      eventsRule,
    ],
  },
  {
    name: `system:${certificates}:certificatesigningrequests:nodeclient`,
    rules: [on(certificates, 'certificatesigningrequests/nodeclient', 'create')],
  },
  {
    name: `system:${certificates}:certificatesigningrequests:selfnodeclient`,
    rules: [on(certificates, 'certificatesigningrequests/selfnodeclient', 'create')],
  },
  {
    name: 'system:volume-scheduler',
    rules: [
      on(core, 'persistentvolumes', 'get list patch update watch'),
      on(storage, 'storageclasses', read),
      on(core, 'persistentvolumeclaims', 'get list patch update watch'),
    ],
  },
  ...approvers,
  {
    name: 'system:node-proxier',
    rules: [
      on(core, 'endpoints services', 'list watch'),
      on(core, 'nodes', read),
      eventsRule,
      on('networking.k8s.io', 'servicecidrs', 'list watch'),
      on('discovery.k8s.io', 'endpointslices', 'list watch'),
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [paths('get', '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/')],
  },
  ...controllerRoles,
]

/** A binding of a role to its subjects; `namespace` is empty for cluster-wide ones. */
export interface DefaultBinding {
  readonly name: string
  readonly namespace: string
  readonly roleKind: 'ClusterRole' | 'Role'
  readonly role: string
  readonly subjects: readonly Subject[]
}

function user(name: string): Subject {
  return { apiGroup: rbac, kind: 'User', name }
}

function group(name: string): Subject {
  return { apiGroup: rbac, kind: 'Group', name }
}

function account(name: string): Subject {
  return { kind: 'ServiceAccount', name, namespace: 'kube-system' }
}

function clusterBinding(role: string, subjects: readonly Subject[], name = role): DefaultBinding {
  return { name, namespace: '', roleKind: 'ClusterRole', role, subjects }
}

const controllerPrefix = 'system:controller:'

export const clusterRoleBindings: readonly DefaultBinding[] = [
  clusterBinding('cluster-admin', [group('system:masters')]),
  clusterBinding('system:monitoring', [group('system:monitoring')]),
  clusterBinding('system:discovery', [group('system:authenticated')]),
  clusterBinding('system:basic-user', [group('system:authenticated')]),
  clusterBinding('system:public-info-viewer', [group('system:authenticated'), group('system:unauthenticated')]),
  clusterBinding('system:node-proxier', [user('system:kube-proxy')]),
  clusterBinding('system:kube-controller-manager', [user('system:kube-controller-manager')]),
  clusterBinding('system:kube-dns', [account('kube-dns')]),
  clusterBinding('system:kube-scheduler', [user('system:kube-scheduler')]),
  clusterBinding('system:volume-scheduler', [user('system:kube-scheduler')]),
  // Nodes have their rights from the Node authorizer; the binding stays, for those who look for it.
  clusterBinding('system:node', []),
  clusterBinding('system:service-account-issuer-discovery', [group('system:serviceaccounts')]),
  ...controllerRoles.map(({ name }) => clusterBinding(name, [account(name.slice(controllerPrefix.length))])),
  // Our controllers run in one process under one identity, which therefore holds what each of them may do, and no more.
  ...controllerRoles.map(({ name }) =>
    clusterBinding(name, [user('system:kube-controller-manager')], `navarch:${name.slice('system:'.length)}`),
  ),
]

/** Roles within a namespace. */
export interface NamespacedRole extends DefaultRole {
  readonly namespace: string
}

const leaderLocks: readonly PolicyRule[] = [
  on(coordination, 'leases', 'create get list update watch'),
  on(coordination, 'leasecandidates', 'create get list update watch'),
]

// Ours: the Service by which cluster DNS is known is made by a controller, not by whoever sets the cluster up.
const clusterDnsRole = 'navarch:controller:cluster-dns-controller'

export const roles: readonly NamespacedRole[] = [
  { namespace: 'kube-system', name: clusterDnsRole, rules: [on(core, 'services', 'create')] },
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [on(core, 'configmaps', read, 'extension-apiserver-authentication')],
  },
  { namespace: 'kube-system', name: `${controllerPrefix}bootstrap-signer`, rules: [on(core, 'secrets', read)] },
  { namespace: 'kube-system', name: `${controllerPrefix}cloud-provider`, rules: [on(core, 'configmaps', 'create get list watch')] },
  { namespace: 'kube-system', name: `${controllerPrefix}token-cleaner`, rules: [on(core, 'secrets', 'delete get list watch'), eventsRule] },
  {
    namespace: 'kube-system',
    name: 'system::leader-locking-kube-controller-manager',
    rules: leaderLocks,
  },
  {
    namespace: 'kube-system',
    name: 'system::leader-locking-kube-scheduler',
    rules: leaderLocks,
  },
  {
    namespace: 'kube-public',
    name: `${controllerPrefix}bootstrap-signer`,
    rules: [on(core, 'configmaps', read), on(core, 'configmaps', 'update', 'cluster-info'), eventsRule],
  },
]

function localBinding(namespace: string, role: string, subjects: readonly Subject[], name = role): DefaultBinding {
  return { name, namespace, roleKind: 'Role', role, subjects }
}

export const roleBindings: readonly DefaultBinding[] = [
  localBinding('kube-system', clusterDnsRole, [user('system:kube-controller-manager')]),
  localBinding('kube-system', 'system::leader-locking-kube-controller-manager', [
    user('system:kube-controller-manager'),
    account('kube-controller-manager'),
    account('leader-election-controller'),
  ]),
  localBinding('kube-system', 'system::leader-locking-kube-scheduler', [user('system:kube-scheduler'), account('kube-scheduler')]),
  localBinding(
    'kube-system',
    'extension-apiserver-authentication-reader',
    [user('system:kube-controller-manager'), user('system:kube-scheduler')],
    'system::extension-apiserver-authentication-reader',
  ),
  ...['bootstrap-signer', 'cloud-provider', 'token-cleaner'].map((name) =>
    localBinding('kube-system', `${controllerPrefix}${name}`, [account(name)]),
  ),
  localBinding('kube-public', `${controllerPrefix}bootstrap-signer`, [account('bootstrap-signer')]),
]
