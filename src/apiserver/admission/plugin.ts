// The contract of an admission plugin: it sees a write between decoding and storing, may change the object (admit), and may
// refuse (either). Each plugin is one file; all.ts lists them in Kubernetes' order.
import { ApiError, forbidden } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { CallOrigin } from '../registry/call.ts'
import type { DeleteOptions } from '../registry/delete.ts'
import type { User } from '../request.ts'

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** One write as admission sees it. For status and other subresources `object` and `old` are the whole parent object. */
export interface AdmissionRequest {
  readonly operation: Operation
  readonly kind: Kind
  /** Empty for the resource itself. */
  readonly subresource: string
  readonly namespace: string
  /** Empty while a name is yet to be generated, and for the deletion of a collection. */
  readonly name: string
  /**
   * The new object; a plugin's `admit` may change it. Absent for DELETE. An update shares with `old` what it leaves alone after metadata:
   * who changes that sets a copy.
   */
  readonly object: KubeObject | undefined
  /** What it replaces or deletes; never to be changed. */
  readonly old: KubeObject | undefined
  readonly user: User
  readonly dryRun: boolean
  /** What the client asked, in its own words. Absent: the server's own write, which webhooks and policies do not see. */
  readonly origin?: CallOrigin
  /** Of a DELETE. */
  readonly deleteOptions?: DeleteOptions
  warn(text: string): void
  annotate(key: string, value: string): void
}

export interface AdmissionPlugin {
  readonly name: string
  /** Asked once for each operation, kind and subresource. */
  handles(operation: Operation, kind: Kind, subresource: string): boolean
  admit?(request: AdmissionRequest): void | Promise<void>
  validate?(request: AdmissionRequest): void | Promise<void>
  /** Whether what the plugin did to the object makes it worth that all plugins look at it once more. Asked after the first round. */
  wantsAnotherRound?(request: AdmissionRequest): boolean
}

/** The options of the request as an object of meta.k8s.io/v1: what webhooks and expressions see of the query. */
export function operationOptions({ operation, origin, dryRun, deleteOptions }: AdmissionRequest): Record<string, unknown> | undefined {
  if (operation === 'CONNECT') return undefined
  const kind = operation === 'CREATE' ? 'CreateOptions' : operation === 'UPDATE' ? 'UpdateOptions' : 'DeleteOptions'
  const options: Record<string, unknown> = { kind, apiVersion: 'meta.k8s.io/v1' }
  if (dryRun) options['dryRun'] = ['All']
  if (operation === 'DELETE') return { ...options, ...deleteOptions }
  if (origin?.fieldManager) options['fieldManager'] = origin.fieldManager
  if (origin?.fieldValidation) options['fieldValidation'] = origin.fieldValidation
  return options
}

/** A refusal in admission's words: `pods "web" is forbidden: …`. */
export function admissionForbidden(request: AdmissionRequest, message: string): ApiError {
  const meta = request.object?.metadata
  return forbidden(request.kind, request.name || meta?.name || meta?.generateName || 'Unknown', message)
}

/** A plugin's failure that is no refusal, as the client sees it. */
export function asAdmissionError(request: AdmissionRequest, error: unknown): unknown {
  return error instanceof ApiError ? error : admissionForbidden(request, error instanceof Error ? error.message : String(error))
}
