// Who may have devices, and say what became of them (KEPs 5018 and 4381): access past what others hold is only for namespaces that the
// administrator has marked, and the parts of a claim's status are for whom the rights for them were given to.
import { type FieldError, invalid } from '#api/errors'
import type * as resourceV1 from '#api/generated/resource-v1'
import { Namespace } from '#api/kinds/core/namespace'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { ResourceClaimTemplate } from '#api/kinds/resource/resource-claim-template'
import { forbidden, semanticEqual } from '#api/validation/field-errors'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import { forbiddenError } from '../pipeline/authorize.ts'
import type { LocalReader, User } from '../request.ts'
import type { AdmissionPlugin, AdmissionRequest } from './plugin.ts'

const adminLabel = 'resource.kubernetes.io/admin-access'
const needsLabel = `admin access to devices requires the \`${adminLabel}: true\` label on the containing namespace`

interface DeviceAccessDeps {
  readonly reader: LocalReader
  /** It is made after admission. */
  readonly authorizer: () => Authorizer
}

export function deviceAccess({ reader, authorizer }: DeviceAccessDeps): AdmissionPlugin {
  const isMarked = (namespace: string): boolean => reader.get(Namespace, '', namespace)?.metadata.labels?.[adminLabel] === 'true'
  return {
    name: 'DeviceAccess',
    handles: (operation, kind, subresource) =>
      (operation === 'CREATE' && subresource === '' && (kind.id === ResourceClaim.id || kind.id === ResourceClaimTemplate.id)) ||
      (operation === 'UPDATE' && subresource === 'status' && kind.id === ResourceClaim.id),
    async validate(request) {
      const { kind, object, old, namespace } = request
      const errors: FieldError[] = []
      if (request.operation === 'CREATE') {
        const spec = kind.id === ResourceClaim.id ? (object as ResourceClaim).spec : (object as ResourceClaimTemplate).spec.spec
        const path = adminPathOf(
          (spec.devices?.requests ?? []).map(({ exactly }) => exactly),
          'spec.devices.requests',
        )
        if (path !== undefined && !isMarked(namespace)) errors.push(forbidden(path, needsLabel))
      } else {
        const [now, before] = [(object as ResourceClaim).status ?? {}, (old as ResourceClaim).status ?? {}]
        const pathIn = ({ allocation }: resourceV1.ResourceClaimStatus): string | undefined =>
          adminPathOf(allocation?.devices?.results ?? [], 'status.allocation.devices.results')
        const path = pathIn(before) === undefined ? pathIn(now) : undefined
        if (path !== undefined && !isMarked(namespace)) errors.push(forbidden(path, needsLabel))
        // The server's own writes ask nobody.
        if (request.origin !== undefined) errors.push(...(await statusErrors(request, now, before, authorizer())))
      }
      if (errors.length > 0) throw invalid(kind, object?.metadata.name ?? '', errors)
    },
  }
}

function adminPathOf(items: readonly ({ adminAccess?: boolean } | undefined)[], path: string): string | undefined {
  const first = items.findIndex((item) => item?.adminAccess === true)
  return first < 0 ? undefined : `${path}[${first}].adminAccess`
}

async function statusErrors(
  request: AdmissionRequest,
  now: resourceV1.ResourceClaimStatus,
  before: resourceV1.ResourceClaimStatus,
  authorizer: Authorizer,
): Promise<FieldError[]> {
  const errors: FieldError[] = []
  const verb = request.origin?.verb ?? 'update'
  const may = (attributes: Partial<Attributes>): Promise<string | undefined> => refusal(request, attributes, authorizer)
  if (!semanticEqual(now.allocation, before.allocation) || !semanticEqual(now.reservedFor, before.reservedFor)) {
    const why = await may({ verb, subresource: 'binding', namespace: '', name: '' })
    const what = `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${verb}" permission`
    if (why !== undefined) errors.push(forbidden('status.allocation', `${what}: ${why}`))
  }
  // What is said of devices goes with the allocation.
  if (now.allocation === undefined) return errors
  const onItsNode = runsOn(request.user, nodeOf(now.allocation))
  const verbs = [...(onItsNode ? [`associated-node:${verb}`] : []), `arbitrary-node:${verb}`]
  for (const driver of changedDrivers(now, before)) {
    let why: string | undefined = ''
    for (const one of verbs) {
      const refused = await may({ verb: one, subresource: 'driver', name: driver })
      why = refused === undefined ? undefined : why || refused
      if (why === undefined) break
    }
    const what = `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(' ')}]" permission`
    if (why !== undefined) errors.push(forbidden('status.devices', `${what}: ${why}`))
  }
  return errors
}

async function refusal(
  { user, kind, namespace, name, origin }: AdmissionRequest,
  more: Partial<Attributes>,
  authorizer: Authorizer,
): Promise<string | undefined> {
  const version = origin?.version ?? kind.version
  const base = { user, isResource: true, verb: '', group: kind.group, version, namespace, resource: kind.resource, subresource: '', name }
  const attributes: Attributes = { ...base, path: '', ...more }
  const { verdict, reason, error } = await authorizer.authorize(attributes)
  if (verdict === 'allow') return undefined
  return forbiddenError(attributes, error === undefined ? reason : reason === '' ? error : `${error}: ${reason}`).message
}

// Of the devices whose entries came, went or changed; in order.
function changedDrivers({ devices: now = [] }: resourceV1.ResourceClaimStatus, { devices: before = [] }: resourceV1.ResourceClaimStatus) {
  const keyOf = ({ driver, pool, device, shareID = '' }: resourceV1.AllocatedDeviceStatus): string =>
    [driver, pool, device, shareID].join('\u0000')
  const left = new Map(before.map((entry) => [keyOf(entry), entry]))
  const drivers = new Set<string>()
  for (const entry of now) {
    const old = left.get(keyOf(entry))
    left.delete(keyOf(entry))
    if (old === undefined || !semanticEqual(old, entry)) drivers.add(entry.driver)
  }
  for (const { driver } of left.values()) drivers.add(driver)
  return [...drivers].sort()
}

// The one node that an allocation is for.
function nodeOf({ nodeSelector }: resourceV1.AllocationResult): string | undefined {
  const [term, ...others] = nodeSelector?.nodeSelectorTerms ?? []
  if (term === undefined || others.length > 0 || (term.matchExpressions ?? []).length > 0) return undefined
  const [field, ...more] = term.matchFields ?? []
  if (field === undefined || more.length > 0 || field.key !== 'metadata.name' || field.operator !== 'In') return undefined
  return field.values?.length === 1 ? field.values[0] : undefined
}

function runsOn({ name, extra }: User, node: string | undefined): boolean {
  const nodes = extra?.['authentication.kubernetes.io/node-name'] ?? []
  return node !== undefined && name.startsWith('system:serviceaccount:') && nodes.length === 1 && nodes[0] === node
}
