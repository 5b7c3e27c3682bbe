// Whether the user may. The refusal's words are Kubernetes': tools and people parse them.
import { type ApiError, forbidden, forbiddenPath } from '#api/errors'
import { goQuote } from '#api/validation/text'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import type { ApiRequest, Stage } from '../request.ts'
import { actionOf } from './request-info.ts'

/** `annotate`: the decision and its reason go into the audit log, where there is one. */
export function authorize(authorizer: Authorizer, { annotate }: { annotate: boolean }): Stage {
  return {
    name: 'authorize',
    run(request, next) {
      const attributes = attributesOf(request)
      const decision = authorizer.authorize(attributes)
      const allowed = decision.verdict === 'allow'
      if (annotate) {
        request.auditAnnotations['authorization.k8s.io/decision'] = allowed ? 'allow' : 'forbid'
        request.auditAnnotations['authorization.k8s.io/reason'] = decision.reason
      }
      if (allowed) return next(request)
      return Promise.reject(forbiddenError(attributes, decision.reason))
    },
  }
}

/** What is asked of the authorizer for a request as it stands; for another verb when one is given. */
export function attributesOf(request: ApiRequest, verb?: string): Attributes {
  const { info, query } = request
  const attributes = {
    user: request.user,
    isResource: info.isResource,
    verb: verb ?? info.verb,
    group: info.group,
    version: info.version,
    namespace: info.namespace,
    resource: info.resource,
    subresource: info.subresource,
    name: info.name,
    path: request.path,
    action: verb === undefined ? info.action : actionOf(verb, info.group, info.version, info.resource, info.subresource),
  }
  const fieldSelector = query.size > 0 && selecting.has(info.verb) ? query.get('fieldSelector') : null
  return fieldSelector === null || fieldSelector === '' ? attributes : { ...attributes, fieldSelector }
}

const selecting: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection'])

/** The refusal: `pods "web" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "default"`. */
export function forbiddenError(attributes: Attributes, reason: string): ApiError {
  const message = withReason(sanitized(forbiddenMessage(attributes)), reason)
  if (!attributes.isResource || attributes.resource === '') return forbiddenPath(message)
  return forbidden(attributes, attributes.name, message)
}

function withReason(message: string, reason: string): string {
  return reason === '' ? message : `${message}: ${reason}`
}

function forbiddenMessage({ user, verb, group, namespace, resource, subresource, path, isResource }: Attributes): string {
  const who = `User ${goQuote(user.name)} cannot ${verb}`
  if (!isResource) return `${who} path ${goQuote(path)}`
  const what = `resource ${goQuote(subresource === '' ? resource : `${resource}/${subresource}`)} in API group ${goQuote(group)}`
  return namespace === '' ? `${who} ${what} at the cluster scope` : `${who} ${what} in the namespace ${goQuote(namespace)}`
}

// Kubernetes keeps its refusals from being taken for HTML.
function sanitized(text: string): string {
  return /[&<>]/.test(text) ? text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;') : text
}
