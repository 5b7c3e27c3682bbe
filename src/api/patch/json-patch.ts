// JSON Patch (RFC 6902), bounded: so many operations, and so much copied, and no more. Negative indexes count from the end of a
// list, as Kubernetes allows.

import { ApiError } from '../errors.ts'
import { setOwn } from '../schema/decode.ts'
import { stringifyJson } from '../schema/stringify.ts'
import { cloneValue, isObject, jsonEqual, own } from './values.ts'

export interface JsonPatchOperation {
  readonly op: string
  readonly path: string
  readonly from?: string
  readonly value?: unknown
}

export const jsonPatchOperationsMax = 10_000

/** What all `copy` operations of a patch may add together, in characters of JSON. */
export const jsonPatchCopiedMax = 3 * 1024 * 1024

/** An operation that cannot be carried out. The client does not see the message: it gets the one of `unprocessablePatch`. */
export class JsonPatchError extends Error {
  override readonly name: string = 'JsonPatchError'
}

/** A `test` that the document does not pass. */
export class JsonPatchTestError extends JsonPatchError {
  override readonly name = 'JsonPatchTestError'
}

/** What Kubernetes answers when a patch cannot be carried out on the object. */
export function unprocessablePatch(cause?: unknown): ApiError {
  const message = 'the server rejected our request due to an error in our request'
  return new ApiError(
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'Invalid', details: {}, code: 422 },
    { cause },
  )
}

/** `document` with the operations applied, all or none. It is not changed. Throws `JsonPatchError`. */
export function applyJsonPatch(document: unknown, operations: readonly JsonPatchOperation[]): unknown {
  const holder = { root: cloneValue(document), copied: 0 }
  for (const operation of operations) {
    try {
      applyOperation(holder, operation)
    } catch (error) {
      if (!(error instanceof JsonPatchError) || error instanceof JsonPatchTestError) throw error
      throw new JsonPatchError(inOperation(operation, error.message), { cause: error })
    }
  }
  return holder.root
}

// The words of the library that Kubernetes uses: webhooks and policies are told of their patches in them.
function inOperation({ op, path }: JsonPatchOperation, message: string): string {
  if (message.startsWith('doc is missing')) return `${op} operation does not apply: ${message}`
  return message.startsWith('Unable to') ? `error in ${op} for path: '${path}': ${message}` : message
}

interface Holder {
  root: unknown
  copied: number
}

function applyOperation(holder: Holder, { op, path, from, value }: JsonPatchOperation): void {
  switch (op) {
    case 'add':
      return add(holder, path, present(op, value))
    case 'remove':
      remove(holder, path)
      return
    case 'replace':
      return replace(holder, path, present(op, value))
    case 'move': {
      if (path !== from && path.startsWith(`${from}/`)) throw new JsonPatchError(`cannot move ${from} into itself`)
      return add(holder, path, remove(holder, present(op, from)))
    }
    case 'copy': {
      const found = read(holder, present(op, from))
      holder.copied += stringifyJson(found).length
      if (holder.copied > jsonPatchCopiedMax) {
        throw new JsonPatchError(
          `Unable to complete the copy, the accumulated size increase of copy is ${holder.copied}, exceeding the limit ${jsonPatchCopiedMax}`,
        )
      }
      return add(holder, path, cloneValue(found))
    }
    case 'test':
      return test(holder, path, value)
    default:
      throw new JsonPatchError(`Unexpected kind: ${op}`)
  }
}

function present<T>(op: string, value: T | undefined): T {
  if (value === undefined) throw new JsonPatchError(`${op} operation has no value`)
  return value
}

function tokensOf(path: string): string[] {
  if (path === '') return []
  if (!path.startsWith('/')) throw new JsonPatchError(`path ${path} does not begin with a slash`)
  return path
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The container that the path's last token is in. */
function parentOf(holder: Holder, tokens: readonly string[], path: string): unknown {
  let at = holder.root
  for (const token of tokens.slice(0, -1)) {
    at = childOf(at, token)
    if (at === undefined || at === null) throw new JsonPatchError(`doc is missing path: ${path}: missing value`)
  }
  return at
}

function childOf(container: unknown, token: string): unknown {
  if (Array.isArray(container)) return container[indexIn(container, token, false)]
  return isObject(container) ? own(container, token) : undefined
}

function indexIn(list: readonly unknown[], token: string, inserting: boolean): number {
  if (!/^-?(?:0|[1-9][0-9]*)$/.test(token)) throw new JsonPatchError(`invalid index ${token}`)
  const given = Number(token)
  const length = inserting ? list.length + 1 : list.length
  const index = given < 0 ? given + length : given
  if (index < 0 || index >= length) throw new JsonPatchError(`Unable to access invalid index: ${token}`)
  return index
}

function read(holder: Holder, path: string): unknown {
  const tokens = tokensOf(path)
  if (tokens.length === 0) return holder.root
  const found = childOf(parentOf(holder, tokens, path), tokens.at(-1)!)
  if (found === undefined) throw new JsonPatchError(`doc is missing path: ${path}: missing value`)
  return found
}

function add(holder: Holder, path: string, value: unknown): void {
  const tokens = tokensOf(path)
  if (tokens.length === 0) {
    holder.root = value
    return
  }
  const parent = parentOf(holder, tokens, path)
  const last = tokens.at(-1)!
  if (Array.isArray(parent)) parent.splice(last === '-' ? parent.length : indexIn(parent, last, true), 0, value)
  else if (isObject(parent)) setOwn(parent, last, value)
  else throw new JsonPatchError(`doc is missing path: ${path}: missing value`)
}

function replace(holder: Holder, path: string, value: unknown): void {
  const tokens = tokensOf(path)
  if (tokens.length === 0) {
    holder.root = value
    return
  }
  const parent = parentOf(holder, tokens, path)
  const last = tokens.at(-1)!
  if (Array.isArray(parent)) parent[indexIn(parent, last, false)] = value
  else if (isObject(parent) && Object.hasOwn(parent, last)) setOwn(parent, last, value)
  else throw new JsonPatchError(`doc is missing key: ${path}: missing value`)
}

function remove(holder: Holder, path: string): unknown {
  const tokens = tokensOf(path)
  if (tokens.length === 0) throw new JsonPatchError('cannot remove the whole document')
  const parent = parentOf(holder, tokens, path)
  const last = tokens.at(-1)!
  if (Array.isArray(parent)) return parent.splice(indexIn(parent, last, false), 1)[0]
  if (!isObject(parent) || !Object.hasOwn(parent, last))
    throw new JsonPatchError(`Unable to remove nonexistent key: ${last}: missing value`)
  const removed = parent[last]
  delete parent[last]
  return removed
}

// A test for null also holds where nothing is.
function test(holder: Holder, path: string, value: unknown): void {
  const tokens = tokensOf(path)
  const found = tokens.length === 0 ? holder.root : childOf(parentOf(holder, tokens, path), tokens.at(-1)!)
  if (!jsonEqual(found ?? null, value ?? null)) throw new JsonPatchTestError(`testing value ${path} failed: test failed`)
}
