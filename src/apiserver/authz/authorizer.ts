// The contract of an authorizer, and how several stand together. Decisions are made from what this process already holds, so
// they are plain function calls.
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
  /** The request's field selector as it came; some authorizers limit lists by it. */
  readonly fieldSelector?: string
  /** Verb, group, version, resource and subresource as one text, where somebody has it already. */
  readonly action?: string
}

/** `none`: no opinion; the next one is asked. The reason is for people (audit log, access reviews). */
export interface Decision {
  readonly verdict: 'allow' | 'deny' | 'none'
  readonly reason: string
}

export interface Authorizer {
  readonly name: string
  authorize(attributes: Attributes): Decision
}

export const noOpinion: Decision = { verdict: 'none', reason: '' }

/** Asks one after another; the first that allows or denies decides. */
export function unionAuthorizer(authorizers: readonly Authorizer[]): Authorizer {
  return {
    name: 'union',
    authorize(attributes) {
      let reasons = ''
      for (const authorizer of authorizers) {
        const decision = authorizer.authorize(attributes)
        if (decision.verdict !== 'none') return decision
        if (decision.reason !== '') reasons += reasons === '' ? decision.reason : `\n${decision.reason}`
      }
      return reasons === '' ? noOpinion : { verdict: 'none', reason: reasons }
    },
  }
}

/** Members of system:masters may do everything (the loopback client and the first administrator). */
export const mastersAuthorizer: Authorizer = {
  name: 'masters',
  authorize: ({ user }) => (user.groups.includes('system:masters') ? mastersMay : noOpinion),
}

const mastersMay: Decision = { verdict: 'allow', reason: '' }
