// The contract of an authorizer, and how several stand together. Most decide from what this process already holds, by plain function
// calls; those that ask somebody else give a promise.
import type { Eventual } from '#base/eventual'
import type { User } from '../request.ts'

/** Who wants to do what. For other than resource requests only user, verb and path count. */
export interface Attributes {
  readonly user: User
  readonly isResource: boolean
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly namespace: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  readonly path: string
  /** The request's selectors as they came; some authorizers limit lists by them. */
  readonly fieldSelector?: string
  readonly labelSelector?: string
  /** Verb, group, version, resource and subresource as one text, where somebody has it already. */
  readonly action?: string
}

/** `none`: no opinion; the next one is asked. The reason is for people (audit log, access reviews). */
export interface Decision {
  readonly verdict: 'allow' | 'deny' | 'none'
  readonly reason: string
  /** Why the decision may be another one than it should: somebody could not be asked. */
  readonly error?: string
}

export interface Authorizer {
  readonly name: string
  /** Never rejects. */
  authorize(attributes: Attributes): Eventual<Decision>
}

/** An authorizer that never has to wait. */
export interface LocalAuthorizer extends Authorizer {
  authorize(attributes: Attributes): Decision
}

export const noOpinion: Decision = { verdict: 'none', reason: '' }

/** Asks one after another; the first that allows or denies decides. */
export function unionAuthorizer(authorizers: readonly LocalAuthorizer[]): LocalAuthorizer
export function unionAuthorizer(authorizers: readonly Authorizer[]): Authorizer
export function unionAuthorizer(authorizers: readonly Authorizer[]): Authorizer {
  const from = (index: number, attributes: Attributes, reasons: string, errors: readonly string[]): Eventual<Decision> => {
    let [said, failed] = [reasons, errors]
    for (let i = index; i < authorizers.length; i++) {
      const decision = authorizers[i]!.authorize(attributes)
      if (decision instanceof Promise) {
        const before = [said, failed] as const
        return decision.then((known) => {
          if (known.verdict !== 'none') return known
          return from(
            i + 1,
            attributes,
            joined(before[0], known.reason),
            known.error === undefined ? before[1] : [...before[1], known.error],
          )
        })
      }
      if (decision.verdict !== 'none') return decision
      said = joined(said, decision.reason)
      if (decision.error !== undefined) failed = [...failed, decision.error]
    }
    if (said === '' && failed.length === 0) return noOpinion
    const error = failed.length > 1 ? `[${failed.join(', ')}]` : failed[0]
    return { verdict: 'none', reason: said, ...(error === undefined ? {} : { error }) }
  }
  return { name: 'union', authorize: (attributes) => from(0, attributes, '', noErrors) }
}

const noErrors: readonly string[] = []

function joined(reasons: string, reason: string): string {
  return reason === '' ? reasons : reasons === '' ? reason : `${reasons}\n${reason}`
}

/** Members of system:masters may do everything (the loopback client and the first administrator). */
export const mastersAuthorizer: LocalAuthorizer = {
  name: 'masters',
  authorize: ({ user }) => (user.groups.includes('system:masters') ? mastersMay : noOpinion),
}

const mastersMay: Decision = { verdict: 'allow', reason: '' }

/** Kubernetes' modes AlwaysAllow and AlwaysDeny. */
export const everybodyMay: LocalAuthorizer = { name: 'AlwaysAllow', authorize: () => mastersMay }
export const nobodyMay: LocalAuthorizer = { name: 'AlwaysDeny', authorize: () => everythingForbidden }

// Kubernetes' AlwaysDeny has no opinion, so that what stands behind it is asked.
const everythingForbidden: Decision = { verdict: 'none', reason: 'Everything is forbidden.' }
