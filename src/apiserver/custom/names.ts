// Whether the names of a CustomResourceDefinition are free in its group, and what its status says of that.
import type { CustomResourceDefinitionCondition, CustomResourceDefinitionNames } from '#api/generated/apiextensions-v1'
import { approvalOf, type CustomResourceDefinition, isProtectedGroup } from '#api/kinds/apiextensions/custom-resource-definition'
import { goQuote } from '#api/validation/text'
import { timestamp } from '#base/clock'
import { cloneJson, sameJson } from '../registry/written.ts'
import { caBundleProblem } from './ca-bundle.ts'

type Status = CustomResourceDefinition['status']

/** The status that the definition should have, among the others as they are. */
export function statusOf(definition: CustomResourceDefinition, others: readonly CustomResourceDefinition[], nowMs: number): Status {
  const { spec } = definition
  const before: Partial<Status> = definition.status ?? {}
  const wanted = {
    ...spec.names,
    singular: spec.names.singular || spec.names.kind.toLowerCase(),
    listKind: spec.names.listKind || `${spec.names.kind}List`,
  }
  const { accepted, conflict } = acceptNames(wanted, before.acceptedNames, takenNames(definition, others))
  const conditions = cloneJson(before.conditions ?? [])
  if (conflict === undefined) {
    setCondition(conditions, 'NamesAccepted', 'True', 'NoConflicts', 'no conflicts found', nowMs)
    const badBundle = caBundleProblem(spec.conversion?.webhook?.clientConfig?.caBundle) !== undefined
    if (isEstablished(definition) || !badBundle) {
      setCondition(conditions, 'Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted', nowMs)
    } else {
      setCondition(conditions, 'Established', 'False', 'InvalidCABundle', 'The conversion webhook CABundle is invalid', nowMs)
    }
  } else {
    setCondition(conditions, 'NamesAccepted', 'False', conflict.reason, conflict.message, nowMs)
    // Once established, it stays so under the names that it had.
    if (!isEstablished(definition)) setCondition(conditions, 'Established', 'False', 'NotAccepted', 'not all names are accepted', nowMs)
  }
  if (isProtectedGroup(spec.group)) {
    const { reason, message } = approvalOf(definition)
    const approved = reason === 'ApprovedAnnotation' ? 'True' : 'False'
    setCondition(conditions, 'KubernetesAPIApprovalPolicyConformant', approved, reason, message, nowMs)
  }
  const storage = spec.versions.find((version) => version.storage)?.name
  const storedVersions = [...(before.storedVersions ?? [])]
  if (storage !== undefined && !storedVersions.includes(storage)) storedVersions.push(storage)
  return { ...before, conditions, acceptedNames: accepted, storedVersions }
}

interface Taken {
  readonly resources: ReadonlySet<string>
  readonly kinds: ReadonlySet<string>
}

function takenNames({ spec, metadata }: CustomResourceDefinition, others: readonly CustomResourceDefinition[]): Taken {
  const resources = new Set<string>()
  const kinds = new Set<string>()
  for (const other of others) {
    if (other.spec.group !== spec.group || other.metadata.name === metadata.name) continue
    const names = other.status?.acceptedNames
    if (names === undefined) continue
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) if (name) resources.add(name)
    for (const name of [names.kind, names.listKind]) if (name) kinds.add(name)
  }
  return { resources, kinds }
}

interface Acceptance {
  readonly accepted: CustomResourceDefinitionNames
  readonly conflict: { readonly reason: string; readonly message: string } | undefined
}

// Each name is accepted or refused by itself; a refused one stays what it was, and the last one is told.
function acceptNames(wanted: CustomResourceDefinitionNames, before: CustomResourceDefinitionNames | undefined, taken: Taken): Acceptance {
  const accepted: CustomResourceDefinitionNames = { ...(before ?? { plural: '', kind: '' }) }
  let conflict: Acceptance['conflict']
  const refuse = (what: string, ...names: string[]): void => {
    const texts = [...new Set(names)].map((name) => `${goQuote(name)} is already in use`)
    conflict = { reason: `${what}Conflict`, message: texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]` }
  }
  // A name that is its own already is not taken from it.
  const isTaken = (name: string | undefined, own: string | undefined, names: ReadonlySet<string>): name is string =>
    Boolean(name) && name !== own && names.has(name!)
  if (isTaken(wanted.plural, before?.plural, taken.resources)) refuse('Plural', wanted.plural)
  else accepted.plural = wanted.plural
  if (isTaken(wanted.singular, before?.singular, taken.resources)) refuse('Singular', wanted.singular)
  else if (wanted.singular) accepted.singular = wanted.singular
  const short = (wanted.shortNames ?? []).filter((name) => before?.shortNames?.includes(name) !== true && taken.resources.has(name))
  if (short.length > 0) refuse('ShortNames', ...short)
  else if (wanted.shortNames !== undefined) accepted.shortNames = [...wanted.shortNames]
  else delete accepted.shortNames
  if (isTaken(wanted.kind, before?.kind, taken.kinds)) refuse('Kind', wanted.kind)
  else accepted.kind = wanted.kind
  if (isTaken(wanted.listKind, before?.listKind, taken.kinds)) refuse('ListKind', wanted.listKind)
  else if (wanted.listKind) accepted.listKind = wanted.listKind
  if (wanted.categories === undefined) delete accepted.categories
  else accepted.categories = [...wanted.categories]
  return { accepted, conflict }
}

/** Sets a condition; its time changes only with its status. */
export function setCondition(
  conditions: CustomResourceDefinitionCondition[],
  type: string,
  status: string,
  reason: string,
  message: string,
  nowMs: number,
): void {
  const known = conditions.find((condition) => condition.type === type)
  const lastTransitionTime = known?.status === status ? known.lastTransitionTime : timestamp(nowMs)
  const condition = { type, status, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }), reason, message }
  if (known === undefined) conditions.push(condition)
  else Object.assign(known, condition)
}

export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True') === true
}

export function sameStatus(a: Status | undefined, b: Status): boolean {
  return sameJson(a, b)
}
