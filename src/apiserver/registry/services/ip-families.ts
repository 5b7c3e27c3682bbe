// Which address families a service has: what its user says, completed by what the cluster has (KEP-563).
import { type FieldError, invalid } from '#api/errors'
import type { Service } from '#api/kinds/core/service'
import { isHeadless } from '#api/kinds/core/services'
import { invalid as invalidField } from '#api/validation/field-errors'
import type { IpFamily } from './ip-range.ts'

const about = { group: '', kind: 'Service' }
const policyPath = 'spec.ipFamilyPolicy'

export function familyOf(ip: string): IpFamily {
  return ip.includes(':') ? 'IPv6' : 'IPv4'
}

/** Fills in ipFamilyPolicy and ipFamilies. `configured`: the cluster's families, its default first. Throws Invalid. */
export function completeFamilies(service: Service, old: Service | undefined, configured: readonly IpFamily[]): void {
  const { spec } = service
  if (spec.type === 'ExternalName') return
  if (old !== undefined && isUntouchedPreferDualStack(service, old)) return
  const selectorless = isHeadless(service) && Object.keys(spec.selector ?? {}).length === 0
  spec.ipFamilyPolicy ??= old?.spec.ipFamilyPolicy ?? (selectorless ? 'RequireDualStack' : 'SingleStack')
  const errors: FieldError[] = []
  if (old !== undefined) errors.push(...reduceOnPurpose(service, old))
  errors.push(...tooManyForSingleStack(service), ...inferFamilies(service, configured))
  if (errors.length > 0) throw invalid(about, service.metadata.name, errors)

  const families = spec.ipFamilies ?? []
  if (selectorless) {
    // Its endpoints are made by hand, of whatever family.
    if (families.length === 0) families.push(configured[0]!)
    if (families.length < 2 && spec.ipFamilyPolicy !== 'SingleStack') families.push(otherOf(families[0]!))
    spec.ipFamilies = families
    return
  }
  if (spec.ipFamilyPolicy === 'RequireDualStack' && configured.length < 2) {
    errors.push(invalidField(policyPath, spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'))
  }
  for (const [i, family] of families.entries()) {
    if (!configured.includes(family as IpFamily))
      errors.push(invalidField(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'))
  }
  if (errors.length > 0) throw invalid(about, service.metadata.name, errors)
  if (families.length === 0) families.push(configured[0]!)
  if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1 && configured.length === 2) families.push(otherOf(families[0]!))
  spec.ipFamilies = families
}

function otherOf(family: string): IpFamily {
  return family === 'IPv4' ? 'IPv6' : 'IPv4'
}

// A service that prefers two families keeps what it has when the cluster gains or loses one.
function isUntouchedPreferDualStack({ spec }: Service, { spec: before }: Service): boolean {
  return (
    before.type !== 'ExternalName' &&
    spec.ipFamilyPolicy === 'PreferDualStack' &&
    before.ipFamilyPolicy === 'PreferDualStack' &&
    same(spec.clusterIPs, before.clusterIPs) &&
    same(spec.ipFamilies, before.ipFamilies)
  )
}

function same(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return (a ?? []).join() === (b ?? []).join()
}

// Going back to one family is asked for by the policy, not by leaving the second one out.
function reduceOnPurpose({ spec }: Service, { spec: before }: Service): FieldError[] {
  if (spec.ipFamilyPolicy === 'SingleStack') {
    if (same(spec.clusterIPs, before.clusterIPs) && (spec.clusterIPs?.length ?? 0) > 1) spec.clusterIPs = spec.clusterIPs!.slice(0, 1)
    if (same(spec.ipFamilies, before.ipFamilies) && (spec.ipFamilies?.length ?? 0) > 1) spec.ipFamilies = spec.ipFamilies!.slice(0, 1)
    return []
  }
  const errors: FieldError[] = []
  const reduced = (now: readonly string[] = [], then: readonly string[] = []): boolean =>
    now.length > 0 && now.length < then.length && now[0] === then[0]
  if (reduced(spec.clusterIPs, before.clusterIPs)) {
    errors.push(invalidField(policyPath, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP"))
  }
  if (reduced(spec.ipFamilies, before.ipFamilies)) {
    errors.push(invalidField(policyPath, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary IP family"))
  }
  return errors
}

function tooManyForSingleStack({ spec }: Service): FieldError[] {
  if (spec.ipFamilyPolicy !== 'SingleStack') return []
  const errors: FieldError[] = []
  const why = (what: string): string => `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`
  if (spec.clusterIPs?.length === 2) errors.push(invalidField(policyPath, spec.ipFamilyPolicy, why('cluster IPs')))
  if (spec.ipFamilies?.length === 2) errors.push(invalidField(policyPath, spec.ipFamilyPolicy, why('IP families')))
  return errors
}

function inferFamilies({ spec }: Service, configured: readonly IpFamily[]): FieldError[] {
  const errors: FieldError[] = []
  const families = [...(spec.ipFamilies ?? [])]
  for (const [i, ip] of (spec.clusterIPs ?? []).entries()) {
    if (ip === 'None') break
    if (i < families.length) continue
    const family = familyOf(ip)
    if (configured.includes(family)) families.push(family)
    else errors.push(invalidField(`spec.clusterIPs[${i}]`, spec.clusterIPs, `${family} is not configured on this cluster`))
  }
  if (families.length > 0) spec.ipFamilies = families
  return errors
}
