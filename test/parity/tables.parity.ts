// The columns that people see, and what stands in them.
import { describe, expect, test } from 'vitest'
import { useParityCluster } from './parity-cluster.ts'

const cluster = useParityCluster()

interface Table {
  readonly columnDefinitions: readonly { name: string; type: string; format: string; priority: number }[]
  readonly rows: readonly { cells: readonly unknown[]; object: { kind: string; apiVersion: string } }[]
}

const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io'

async function table(path: string): Promise<Table> {
  const { status, text, json } = await cluster.ask('GET', path, { accept: asTable })
  expect(status, text).toBe(200)
  return json as Table
}

/** Columns by name; those that only `-o wide` shows in parentheses. */
const named = ({ columnDefinitions }: Table): string =>
  columnDefinitions.map(({ name, priority }) => (priority > 0 ? `(${name})` : name)).join(' | ')

describe('columns', () => {
  test.each([
    ['/api/v1/pods', 'Name | Ready | Status | Restarts | Age | (IP) | (Node) | (Nominated Node) | (Readiness Gates)'],
    ['/api/v1/services', 'Name | Type | Cluster-IP | External-IP | Port(s) | Age | (Selector)'],
    ['/api/v1/namespaces', 'Name | Status | Age'],
    [
      '/api/v1/nodes',
      'Name | Status | Roles | Age | Version | (Internal-IP) | (External-IP) | (OS-Image) | (Kernel-Version) | (Container-Runtime)',
    ],
    ['/api/v1/configmaps', 'Name | Data | Age'],
    ['/api/v1/secrets', 'Name | Type | Data | Age'],
    ['/api/v1/serviceaccounts', 'Name | Age'],
    ['/api/v1/events', 'Last Seen | Type | Reason | Object | (Subobject) | (Source) | Message | (First Seen) | (Count) | (Name)'],
    ['/api/v1/endpoints', 'Name | Endpoints | Age'],
    [
      '/api/v1/persistentvolumes',
      'Name | Capacity | Access Modes | Reclaim Policy | Status | Claim | StorageClass | VolumeAttributesClass | Reason | Age | (VolumeMode)',
    ],
    [
      '/api/v1/persistentvolumeclaims',
      'Name | Status | Volume | Capacity | Access Modes | StorageClass | VolumeAttributesClass | Age | (VolumeMode)',
    ],
    ['/api/v1/replicationcontrollers', 'Name | Desired | Current | Ready | Age | (Containers) | (Images) | (Selector)'],
    ['/api/v1/resourcequotas', 'Name | Request | Limit | Age'],
    ['/api/v1/limitranges', 'Name | Created At'],
    ['/api/v1/podtemplates', 'Name | Containers | Images | Pod Labels'],
    ['/apis/apps/v1/deployments', 'Name | Ready | Up-to-date | Available | Age | (Containers) | (Images) | (Selector)'],
    ['/apis/apps/v1/replicasets', 'Name | Desired | Current | Ready | Age | (Containers) | (Images) | (Selector)'],
    ['/apis/apps/v1/statefulsets', 'Name | Ready | Age | (Containers) | (Images)'],
    [
      '/apis/apps/v1/daemonsets',
      'Name | Desired | Current | Ready | Up-to-date | Available | Node Selector | Age | (Containers) | (Images) | (Selector)',
    ],
    ['/apis/apps/v1/controllerrevisions', 'Name | Controller | Revision | Age'],
    ['/apis/batch/v1/jobs', 'Name | Status | Completions | Duration | Age | (Containers) | (Images) | (Selector)'],
    [
      '/apis/batch/v1/cronjobs',
      'Name | Schedule | Timezone | Suspend | Active | Last Schedule | Age | (Containers) | (Images) | (Selector)',
    ],
    ['/apis/autoscaling/v2/horizontalpodautoscalers', 'Name | Reference | Targets | MinPods | MaxPods | Replicas | Age'],
    ['/apis/policy/v1/poddisruptionbudgets', 'Name | Min Available | Max Unavailable | Allowed Disruptions | Age'],
    ['/apis/networking.k8s.io/v1/ingresses', 'Name | Class | Hosts | Address | Ports | Age'],
    ['/apis/networking.k8s.io/v1/ingressclasses', 'Name | Controller | Parameters | Age'],
    ['/apis/networking.k8s.io/v1/networkpolicies', 'Name | Pod-Selector | Age'],
    ['/apis/storage.k8s.io/v1/storageclasses', 'Name | Provisioner | ReclaimPolicy | VolumeBindingMode | AllowVolumeExpansion | Age'],
    [
      '/apis/storage.k8s.io/v1/csidrivers',
      'Name | AttachRequired | PodInfoOnMount | StorageCapacity | TokenRequests | RequiresRepublish | Modes | Age',
    ],
    ['/apis/storage.k8s.io/v1/volumeattachments', 'Name | Attacher | PV | Node | Attached | Age'],
    ['/apis/rbac.authorization.k8s.io/v1/roles', 'Name | Created At'],
    ['/apis/rbac.authorization.k8s.io/v1/rolebindings', 'Name | Role | Age | (Users) | (Groups) | (ServiceAccounts)'],
    ['/apis/scheduling.k8s.io/v1/priorityclasses', 'Name | Value | Global-Default | Age | PreemptionPolicy'],
    ['/apis/node.k8s.io/v1/runtimeclasses', 'Name | Handler | Age'],
    ['/apis/coordination.k8s.io/v1/leases', 'Name | Holder | Age'],
    ['/apis/discovery.k8s.io/v1/endpointslices', 'Name | AddressType | Ports | Endpoints | Age'],
    ['/apis/certificates.k8s.io/v1/certificatesigningrequests', 'Name | Age | SignerName | Requestor | RequestedDuration | Condition'],
    ['/apis/apiextensions.k8s.io/v1/customresourcedefinitions', 'Name | Created At'],
    ['/apis/apiregistration.k8s.io/v1/apiservices', 'Name | Service | Available | Age'],
    ['/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', 'Name | Webhooks | Age'],
    ['/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies', 'Name | Validations | ParamKind | Age'],
    [
      '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas',
      'Name | PriorityLevel | MatchingPrecedence | DistinguisherMethod | Age | MissingPL',
    ],
  ])('of %s', async (path, columns) => {
    expect(named(await table(path))).toBe(columns)
  })
})

describe('rows', () => {
  test('hold the cells, and of the object no more than its metadata', async () => {
    await cluster.create('v1', 'secrets', { metadata: { name: 'seen' }, stringData: { a: 'b', c: 'd' } })
    const { rows } = await table(`${cluster.at('v1', 'secrets')}?fieldSelector=metadata.name%3Dseen`)
    expect(rows.map(({ cells, object: { kind, apiVersion } }) => [cells, kind, apiVersion])).toEqual([
      [['seen', 'Opaque', 2, expect.stringMatching(/^\d+[smh]$/)], 'PartialObjectMetadata', 'meta.k8s.io/v1'],
    ])
  })

  test.each([
    [
      'a service by its ports',
      'v1',
      'services',
      {
        spec: {
          clusterIP: 'None',
          selector: { b: '2', a: '1' },
          ports: [
            { name: 'web', port: 80 },
            { name: 'dns', port: 53, protocol: 'UDP' },
          ],
        },
      },
      ['row', 'ClusterIP', 'None', '<none>', '80/TCP,53/UDP', '<age>', 'a=1,b=2'],
    ],
    [
      'a service of another name',
      'v1',
      'services',
      { spec: { type: 'ExternalName', externalName: 'example.com' } },
      ['row', 'ExternalName', '<none>', 'example.com', '<none>', '<age>', '<none>'],
    ],
    [
      'a cron job that rests',
      'batch/v1',
      'cronjobs',
      {
        spec: {
          schedule: '0 0 1 1 *',
          timeZone: 'Etc/UTC',
          suspend: true,
          jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } },
        },
      },
      ['row', '0 0 1 1 *', 'Etc/UTC', 'True', 0, '<none>', '<age>', 'c', 'i', '<none>'],
    ],
    [
      'an ingress',
      'networking.k8s.io/v1',
      'ingresses',
      {
        spec: {
          ingressClassName: 'none',
          tls: [{ hosts: ['a.example.com'] }],
          rules: ['a', 'b'].map((name) => ({ host: `${name}.example.com` })),
        },
      },
      ['row', 'none', 'a.example.com,b.example.com', '', '80, 443', '<age>'],
    ],
    [
      'an autoscaler that knows nothing yet',
      'autoscaling/v2',
      'horizontalpodautoscalers',
      { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' }, maxReplicas: 3 } },
      ['row', 'Deployment/x', 'cpu: <unknown>/80%', '1', 3, 0, '<age>'],
    ],
    [
      'a disruption budget',
      'policy/v1',
      'poddisruptionbudgets',
      { spec: { selector: { matchLabels: { a: 'b' } }, minAvailable: '50%' } },
      ['row', '50%', 'N/A', 0, '<age>'],
    ],
    [
      'a binding with its subjects',
      'rbac.authorization.k8s.io/v1',
      'rolebindings',
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [
          { kind: 'User', name: 'jane' },
          { kind: 'Group', name: 'devs' },
          { kind: 'ServiceAccount', name: 'bot', namespace: 'default' },
        ],
      },
      ['row', 'ClusterRole/view', '<age>', 'jane', 'devs', 'default/bot'],
    ],
    [
      'slices of endpoints',
      'discovery.k8s.io/v1',
      'endpointslices',
      {
        addressType: 'IPv4',
        ports: [{ port: 80 }],
        endpoints: ['1', '2', '3', '4', '5'].map((n) => ({ addresses: [`192.0.2.${n}`] })),
      },
      ['row', 'IPv4', '80', '192.0.2.1,192.0.2.2,192.0.2.3 + 2 more...', '<age>'],
    ],
    ['a policy for all pods', 'networking.k8s.io/v1', 'networkpolicies', { spec: { podSelector: {} } }, ['row', '<none>', '<age>']],
    ['a lease', 'coordination.k8s.io/v1', 'leases', { spec: { holderIdentity: 'me' } }, ['row', 'me', '<age>']],
    [
      'a claim that waits',
      'v1',
      'persistentvolumeclaims',
      { spec: { storageClassName: '', accessModes: ['ReadWriteOnce', 'ReadOnlyMany'], resources: { requests: { storage: '1Gi' } } } },
      ['row', 'Pending', '', '', '', '', '<unset>', '<age>', 'Filesystem'],
    ],
  ])('show %s', async (_name, groupVersion, resource, object, cells) => {
    const path = cluster.at(groupVersion, resource)
    const { status, text, json } = await cluster.ask('POST', `${path}?dryRun=All`, {
      body: { metadata: { name: 'row' }, ...object },
      accept: asTable,
    })
    expect(status, text).toBe(201)
    const table = json as Table
    const ages = table.columnDefinitions.map(({ name }) => name === 'Age')
    const [row] = table.rows
    expect(row?.cells.map((cell, n) => (ages[n] && /^\d+[smh]$/.test(String(cell)) ? '<age>' : cell))).toEqual(cells)
  })
})
