// The contract of an admission plugin: it sees a write between decoding and storing, may change the object (admit), and may
// refuse (either). Each plugin is one file; all.ts lists them in Kubernetes' order.
import { ApiError, forbidden } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
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
  /** The new object; a plugin's `admit` may change it. Absent for DELETE. */
  readonly object: KubeObject | undefined
  /** What it replaces or deletes; never to be changed. */
  readonly old: KubeObject | undefined
  readonly user: User
  readonly dryRun: boolean
  warn(text: string): void
  annotate(key: string, value: string): void
}

export interface AdmissionPlugin {
  readonly name: string
  /** Asked once for each operation, kind and subresource. */
  handles(operation: Operation, kind: Kind, subresource: string): boolean
  admit?(request: AdmissionRequest): void | Promise<void>
  validate?(request: AdmissionRequest): void | Promise<void>
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
