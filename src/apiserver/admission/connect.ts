// CONNECT: exec, attach, port-forward and proxy as admission sees them. The object is the options of the connection, from the query.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { ApiRequest } from '../request.ts'
import { originOf } from '../verbs/call.ts'
import { booleanParam } from '../verbs/query.ts'
import type { Admission } from './admission.ts'
import type { AdmissionRequest } from './plugin.ts'

// A pod's options for each subresource, as Kubernetes names and types them.
const flags = ['stdin', 'stdout', 'stderr', 'tty'] as const

/** Throws the refusal of whoever does not want the connection. */
export async function admitConnection(admission: Admission, kind: Kind, request: ApiRequest): Promise<void> {
  const { info, user } = request
  if (!admission.handles('CONNECT', kind, info.subresource)) return
  const about: AdmissionRequest = {
    operation: 'CONNECT',
    kind,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    object: connectOptions(kind, request),
    old: undefined,
    user,
    dryRun: false,
    origin: originOf(request),
    warn: (text) => {
      if (!request.warnings.includes(text)) request.warnings.push(text)
    },
    annotate: (key, value) => {
      request.auditAnnotations[key] ??= value
    },
  }
  await admission.admit(about)
  await admission.validate(about)
}

function connectOptions(kind: Kind, { info, query }: ApiRequest): KubeObject {
  const facts = kind.subresources.find(({ name }) => name === info.subresource)
  const object: Record<string, unknown> = { kind: facts?.kind ?? '', apiVersion: kind.apiVersion }
  if (info.subresource === 'exec' || info.subresource === 'attach') {
    for (const flag of flags) if (booleanParam(query, flag)) object[flag] = true
    const container = query.get('container')
    if (container) object['container'] = container
    if (info.subresource === 'exec') object['command'] = query.getAll('command')
  } else if (info.subresource === 'portforward') {
    const ports = query.getAll('ports').map(Number)
    if (ports.length > 0) object['ports'] = ports
  } else object['path'] = info.rest
  return object as unknown as KubeObject
}
