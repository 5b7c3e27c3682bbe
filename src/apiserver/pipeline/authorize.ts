// Whether the user may. The refusal's words are Kubernetes': tools and people parse them.
import { type ApiError, forbidden, forbiddenPath } from '#api/errors'
import { goQuote } from '#api/validation/text'
import type { Attributes, Authorizer, Decision } from '../authz/authorizer.ts'
import type { Answer, ApiReply, ApiRequest, Handler, Stage } from '../request.ts'
import { actionOf } from './request-info.ts'

/** `annotate`: the decision and its reason go into the audit log, where there is one. */
export function authorize(authorizer: Authorizer, { annotate }: { annotate: boolean }): Stage {
  return {
    name: 'authorize',
    run(request, next) {
      const attributes = attributesOf(request)
      const decision = authorizer.authorize(attributes)
      if (decision instanceof Promise) return decision.then((known) => goOn(request, next, attributes, known, annotate))
      return goOn(request, next, attributes, decision, annotate)
    },
  }
}

function goOn(request: ApiRequest, next: Handler, attributes: Attributes, { verdict, reason, error }: Decision, annotate: boolean): Answer {
  const allowed = verdict === 'allow'
  if (annotate) {
    const failed = !allowed && error !== undefined
    if (!failed) request.auditAnnotations['authorization.k8s.io/decision'] = allowed ? 'allow' : 'forbid'
    request.auditAnnotations['authorization.k8s.io/reason'] = failed ? 'internal error' : reason
  }
  if (allowed) return next(request)
  if (error !== undefined) return authorizerFailed(request, error)
  throw forbiddenError(attributes, reason)
}

// Nobody knows whether the client may: Kubernetes says so in plain text.
function authorizerFailed({ rawPath }: ApiRequest, error: string): ApiReply {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return { status: 500, headers, body: Buffer.from(`${sanitized(`Internal Server Error: ${goQuote(rawPath)}: ${error}`)}\n`) }
}

/** What is asked of the authorizer for a request as it stands; for another verb when one is given. */
export function attributesOf(request: ApiRequest, verb?: string): Attributes {
  const { info } = request
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
  if (request.rawQuery === '' || !selecting.has(info.verb)) return attributes
  const { query } = request
  const fieldSelector = query.get('fieldSelector')
  const labelSelector = query.get('labelSelector')
  if (!fieldSelector && !labelSelector) return attributes
  return { ...attributes, ...(fieldSelector ? { fieldSelector } : {}), ...(labelSelector ? { labelSelector } : {}) }
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
