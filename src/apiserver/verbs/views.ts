// Views of an object under another type: scale. Read from the parent, written into it.
import type { ConvertObject } from '#api/apply/versions'
import { badRequest } from '#api/errors'
import type { KubeObject } from '#api/object'
import { applyPatchText, type PatchType } from '#api/patch/apply-patch'
import type { Clock } from '#base/clock'
import type { Store } from '#storage/store'
import type { ApiReply, ApiRequest, KindCatalog } from '../request.ts'
import type { ViewHandler } from '../subresources/subresource.ts'
import { typeKind } from '../subresources/type-kind.ts'
import { applied, readConfiguration } from './apply.ts'
import { decodeBody, type RawBody, readBody, validationOf } from './body.ts'
import { callOf } from './call.ts'
import { asClientsFault } from './clients-fault.ts'
import { contentTypeOf, type Form, finish, notAListText, valueBody } from './encode.ts'
import { readObject } from './get.ts'
import type { Served } from './served.ts'
import { valueTable } from './table.ts'
import { checkName, parentWith, readPatch } from './writes.ts'

export interface ViewDeps {
  readonly store: Store
  readonly clock: Clock
  readonly catalog: KindCatalog
}

export async function view(deps: ViewDeps, handler: ViewHandler, served: Served, request: ApiRequest, form: Form): Promise<ApiReply> {
  const kind = typeKind(deps.catalog, handler.viewKind)
  const reply = (parent: KubeObject): ApiReply => {
    const { includeObject: include, nowMs } = form
    if (form.output.as === 'PartialObjectMetadata' || form.output.as === 'PartialObjectMetadataList')
      return partialReply(handler.read(parent))
    const output = form.output.as === 'Table' ? form.output : { ...form.output, as: 'object' as const }
    const body =
      output.as === 'Table'
        ? finish(valueTable(handler.columns, handler.read(parent), { include, metaVersion: output.metaVersion, nowMs }), output)
        : valueBody(kind, handler.read(parent), output)
    return { status: 200, headers: { 'content-type': contentTypeOf(output) }, body }
  }
  const partialReply = ({ metadata }: KubeObject): ApiReply => {
    const { output } = form
    if (output.as === 'PartialObjectMetadataList') throw notAListText(output.as, kind.kind)
    const partial = { apiVersion: `meta.k8s.io/${output.metaVersion}`, kind: 'PartialObjectMetadata', metadata }
    return {
      status: 200,
      headers: { 'content-type': contentTypeOf(output) },
      body: valueBody(typeKind(deps.catalog, partial), partial, output),
    }
  }
  const { info } = request
  if (info.verb === 'get') {
    const parent = (await readObject(deps, served, request)).object()
    handler.checkRead?.(parent)
    return reply(parent)
  }
  const target = { namespace: served.kind.namespaced ? info.namespace : '', name: info.name }
  const call = callOf(request, info.verb === 'patch' ? 'PatchOptions' : 'UpdateOptions')
  const patch = info.verb === 'patch' ? await readPatch(request, served.kind.custom) : undefined
  if (patch?.type === 'application/apply-patch+yaml') return applyView(patch.body)
  const replacement = patch === undefined ? decodeBody(await readBody(request), [kind], deps.catalog, call).object : undefined
  const wanted = patch === undefined ? (): KubeObject => replacement! : patched(patch)
  const written = await served.registry.update(
    target,
    {
      subresource: info.subresource,
      createIfMissing: false,
      whole: patch === undefined,
      uid: replacement?.metadata.uid,
      make(old) {
        const next = wanted(old!)
        checkName(next, target)
        const { resourceVersion, uid } = next.metadata
        return parentWith(old!, (parent) => {
          handler.write(parent, next)
          parent.metadata.resourceVersion = resourceVersion ?? ''
          if (uid) parent.metadata.uid = uid
        })
      },
    },
    call,
  )
  return reply(withVersion(written.object, written.revision))

  // The view's configuration, said of the parent: that is where its fields are owned.
  async function applyView(body: RawBody): Promise<ApiReply> {
    const configuration = readConfiguration(request, body, call)
    const { apiVersion, kind: kindName } = (configuration.value ?? {}) as { apiVersion?: unknown; kind?: unknown }
    if (apiVersion !== kind.apiVersion || kindName !== kind.kind) {
      const said = [apiVersion, kindName].map((text) => (typeof text === 'string' ? text : ''))
      throw badRequest(`invalid object type: ${said[0]}, Kind=${said[1]}`)
    }
    const value = handler.asParent(configuration.value as KubeObject, served.registry.kind)
    const written = await served.registry.update(
      target,
      {
        subresource: info.subresource,
        createIfMissing: false,
        tracked: true,
        make(old) {
          const nowMs = deps.clock.now()
          const apply = (convert?: ConvertObject): KubeObject =>
            applied(served.registry.kind, old, { ...configuration, value }, info.subresource, nowMs, convert)
          return served.versions === undefined ? apply() : served.versions.converting(apply)
        },
      },
      call,
    )
    return reply(withVersion(written.object, written.revision))
  }

  function patched({ type, body }: { type: string; body: RawBody }): (old: KubeObject) => KubeObject {
    const text = body.bytes.toString()
    return (old) => {
      const current = handler.read(old)
      const { object, warnings } = asClientsFault(() =>
        applyPatchText<KubeObject>({ schema: kind.schema(), current, type: type as PatchType, text, validation: validationOf(call) }),
      )
      for (const warning of warnings) call.warn(warning)
      return object
    }
  }
}

function withVersion(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
