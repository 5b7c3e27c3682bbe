// The parameters of a policy: objects that its bindings name or select.
import type { ParamKind, ParamRef } from '#api/generated/admissionregistration-v1'
import { labelMatcher } from '#api/label-selectors'
import type { KubeObject } from '#api/object'
import type { KindCatalog, LocalReader } from '../../request.ts'
import type { AdmissionRequest } from '../plugin.ts'

/** Why there are no parameters; the policy's failure policy says what comes of it. */
export class ParamsError extends Error {
  override readonly name = 'ParamsError'
  /** Whether the policy itself is at fault, whatever its bindings say. */
  readonly ofPolicy: boolean

  constructor(message: string, ofPolicy = false) {
    super(`failed to configure ${ofPolicy ? 'policy' : 'binding'}: ${message}`)
    this.ofPolicy = ofPolicy
  }
}

interface ParamsDeps {
  readonly reader: LocalReader
  readonly catalog: KindCatalog
}

/** One evaluation for each. `undefined` in the list: without parameters. Throws ParamsError. */
export function paramsFor(
  { reader, catalog }: ParamsDeps,
  paramKind: ParamKind | undefined,
  ref: ParamRef | undefined,
  request: AdmissionRequest,
): readonly (KubeObject | undefined)[] {
  if (paramKind === undefined) return [undefined]
  const { apiVersion = '', kind: kindName = '' } = paramKind
  const kind = catalog.findByKind(apiVersion, kindName)
  if (kind === undefined) {
    const named = `${apiVersion}, Kind=${kindName}`
    throw new ParamsError(`failed to find resource referenced by paramKind: '${named}'`, true)
  }
  if (ref === undefined) return [undefined]
  const namespace = kind.namespaced ? ref.namespace || (request.kind.namespaced ? request.namespace : '') : ''
  if (kind.namespaced && namespace === '') {
    throw new ParamsError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources')
  }
  if (!kind.namespaced && ref.namespace) {
    throw new ParamsError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`')
  }
  const found = ref.name
    ? [reader.get(kind, namespace, ref.name)].filter((one) => one !== undefined)
    : selected(reader.list(kind, namespace), ref)
  if (found.length > 0) return found
  if (ref.parameterNotFoundAction === 'Allow') return []
  throw new ParamsError('no params found for policy binding with `Deny` parameterNotFoundAction')
}

function selected(objects: readonly KubeObject[], { selector }: ParamRef): KubeObject[] {
  const matches = labelMatcher(selector)
  return objects.filter(({ metadata }) => matches(metadata.labels))
}
