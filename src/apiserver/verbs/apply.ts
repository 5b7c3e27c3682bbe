// Server-side apply (KEP-555): a PATCH that says what its manager wants, and no more.
import { unsupportedMediaType } from '#api/errors'
import type { Call } from '../registry/call.ts'
import type { Target } from '../registry/context.ts'
import type { Written } from '../registry/written.ts'
import type { ApiRequest } from '../request.ts'
import type { PartHandler } from '../subresources/subresource.ts'
import type { RawBody } from './body.ts'
import type { Served } from './served.ts'

export async function applyBody(
  _served: Served,
  _target: Target,
  _request: ApiRequest,
  _body: RawBody,
  _part: PartHandler | undefined,
  _call: Call,
): Promise<Written> {
  throw unsupportedMediaType(['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json'])
}
