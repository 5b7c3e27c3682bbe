// Strategic merge patch: a merge patch that knows the types. Lists with strategy `merge` are merged by key (objects) or as sets
// (scalars); directives in the patch replace, delete, order and retain. Behaviour as documented in Kubernetes' community page
// "Strategic Merge Patch", with the errors of its implementation.
import { ApiError, badRequest } from '../errors.ts'
import { setOwn } from '../schema/decode.ts'
import { type FieldSchema, resolved, type Schema } from '../schema/schema.ts'
import { unprocessablePatch } from './json-patch.ts'
import { goPrint, isObject, type JsonObject } from './values.ts'

const directive = '$patch'
const retainKeys = '$retainKeys'
const deletionPrefix = '$deleteFromPrimitiveList'
const orderPrefix = '$setElementOrder'

const badPrimitiveList = 'invalid patch format of primitive list'
const badRetainKeys = 'invalid patch format of retainKeys'
const badElementOrder = 'invalid patch format of setElementOrder list'

/** `original` with `patch` applied. Neither is changed; the result shares parts of both. Throws an `ApiError`. */
export function applyStrategicMergePatch(schema: Schema, original: JsonObject, patch: JsonObject): JsonObject {
  return mergeObjects(original, patch, schema)
}

/** An error that Kubernetes passes on as it is, without a reason: code 500. */
function failed(message: string): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 })
}

/** How a field is patched, and what is below it. */
interface Meta {
  readonly schema: Schema
  readonly strategy: 'merge' | 'replace' | ''
  readonly mergeKey: string
}

function metaOf(schema: Schema, key: string): Meta {
  const node = resolved(schema)
  if (node.type !== 'struct') {
    throw failed(`merging an object in json but data type is not struct, instead is: ${node.type === 'list' ? 'slice' : node.type}`)
  }
  const field = node.fields.get(key)
  if (field === undefined) {
    throw failed(`unable to find api field in struct ${node.name.split('.').at(-1)} for the json field ${JSON.stringify(key)}`)
  }
  return { schema: field.schema, strategy: strategyOf(field), mergeKey: field.patchMergeKey ?? '' }
}

function strategyOf(field: FieldSchema): Meta['strategy'] {
  const strategy = field.patchStrategy?.find((name) => name !== 'retainKeys')
  return strategy === 'merge' || strategy === 'replace' ? strategy : ''
}

function listMeta(schema: Schema, key: string): Meta {
  const meta = metaOf(schema, key)
  const node = resolved(meta.schema)
  return node.type === 'list' ? { ...meta, schema: node.items } : meta
}

function mergeObjects(original: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  if (Object.hasOwn(patch, directive)) return wholeObject(patch)
  let out: JsonObject = { ...original }
  const rest: JsonObject = { ...patch }
  if (Object.hasOwn(rest, retainKeys)) out = retained(out, rest)
  for (const key of Object.keys(rest)) if (key.startsWith(orderPrefix)) mergeOrderedList(out, rest, key, schema)
  for (const key of Object.keys(rest)) mergeField(out, key, rest[key], schema)
  return out
}

function wholeObject(patch: JsonObject): JsonObject {
  const { [directive]: kind, ...rest } = patch
  if (kind === 'replace') return rest
  if (kind === 'delete') return {}
  throw failed(`unknown patch type: ${goPrint(kind)} in map: ${goPrint(patch)}`)
}

// Of fields that exclude each other, the patch names those that may stay.
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const list = patch[retainKeys]
  delete patch[retainKeys]
  if (!Array.isArray(list)) throw badRequest(badRetainKeys)
  const keep = new Set<unknown>(list)
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith(deletionPrefix) || key.startsWith(orderPrefix)) continue
    if (!keep.has(key)) throw badRequest(badRetainKeys)
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => keep.has(key)))
}

function mergeField(out: JsonObject, patchKey: string, value: unknown, schema: Schema): void {
  const deletes = patchKey.startsWith(deletionPrefix)
  const key = deletes ? keyAfter(patchKey, deletionPrefix, badPrimitiveList) : patchKey
  if (value === null) {
    delete out[key]
    return
  }
  const given = Object.hasOwn(out, key) ? out[key] : undefined
  const bothLists = Array.isArray(given) && Array.isArray(value)
  if (bothLists) {
    const meta = listMeta(schema, key)
    const merged = meta.strategy === 'merge' || deletes ? mergeLists(given, value, meta, deletes) : value
    setOwn(out, key, merged)
  } else if (isObject(given) && isObject(value)) {
    const meta = metaOf(schema, key)
    setOwn(out, key, meta.strategy === 'replace' ? value : mergeObjects(given, value, meta.schema))
  } else if (!deletes) {
    const cleaned = withoutDirectives(withoutNulls(value))
    if (cleaned === dropped) delete out[key]
    else setOwn(out, key, cleaned)
  }
}

function keyAfter(key: string, prefix: string, problem: string): string {
  if (!key.startsWith(`${prefix}/`)) throw badRequest(problem)
  return key.slice(prefix.length + 1)
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, withoutNulls(inner)]])))
}

const dropped = Symbol('dropped')

// Where there is nothing to patch, what a directive stands in is left out.
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== dropped)
  if (!isObject(value)) return value
  if (Object.hasOwn(value, directive)) return dropped
  const entries = Object.entries(value).map(([key, inner]) => [key, withoutDirectives(inner)] as const)
  return Object.fromEntries(entries.filter(([, inner]) => inner !== dropped))
}

// `$setElementOrder/<key>`: the list is merged and then put in order. Takes the list out of the patch.
function mergeOrderedList(out: JsonObject, patch: JsonObject, orderKey: string, schema: Schema): void {
  const order = patch[orderKey]
  delete patch[orderKey]
  if (!Array.isArray(order)) throw failed(`expected a []interface {}, but received a ${goTypeOf(order)}`)
  const key = keyAfter(orderKey, orderPrefix, badElementOrder)
  const given = listUnder(out, key)
  const patched = listUnder(patch, key)
  const meta = listMeta(schema, key)
  checkOrder(patched ?? [], order, meta.mergeKey)
  if (given === undefined && patched === undefined) return
  delete patch[key]
  const merged =
    given === undefined ? (withoutDirectives(patched) as unknown[]) : patched === undefined ? given : mergeWhole(given, patched, meta)
  const isMap = elementKind([given ?? [], patched ?? []]) === 'map'
  setOwn(out, key, inOrder(merged, order, given ?? [], meta.mergeKey, isMap))
}

function mergeWhole(given: unknown[], patched: unknown[], meta: Meta): unknown[] {
  return meta.strategy === 'merge' ? mergeLists(given, patched, meta, false) : patched
}

function listUnder(object: JsonObject, key: string): unknown[] | undefined {
  if (!Object.hasOwn(object, key)) return undefined
  const list = object[key]
  if (!Array.isArray(list)) throw failed(`expected a []interface {}, but received a ${goTypeOf(list)}`)
  return list
}

function goTypeOf(value: unknown): string {
  if (isObject(value)) return 'map[string]interface {}'
  if (Array.isArray(value)) return '[]interface {}'
  if (value === null || value === undefined) return '%!s(<nil>)'
  if (typeof value === 'bigint') return 'int64'
  return typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? (Number.isInteger(value) ? 'int64' : 'float64') : typeof value
}

// The patch's items must stand in the order that it asks for.
function checkOrder(patched: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  if (patched.length === 0 || order.length === 0) return
  const items = patched.filter((item) => !(isObject(item) && Object.hasOwn(item, directive)))
  let at = 0
  for (const wanted of order) {
    if (at < items.length && keyOf(items[at], mergeKey) === keyOf(wanted, mergeKey)) at++
  }
  if (at < items.length) {
    throw failed(`The order in patch list:\n${goPrint(patched)}\n doesn't match ${orderPrefix} list:\n${goPrint(order)}\n`)
  }
}

function keyOf(item: unknown, mergeKey: string): unknown {
  if (mergeKey === '') return item
  if (!isObject(item)) throw failed(`expected a map[string]interface {}, but received a ${goTypeOf(item)}`)
  if (!Object.hasOwn(item, mergeKey)) throw failed(`map: ${goPrint(item)} does not contain declared merge key: ${mergeKey}`)
  return item[mergeKey]
}

function elementKind(lists: readonly (readonly unknown[])[]): 'map' | 'scalar' {
  const kinds = new Set(lists.flat().map(goTypeOf))
  if (kinds.has('[]interface {}')) throw unprocessablePatch(new Error('lists of lists are not supported'))
  if (kinds.size > 1) throw failed(`list element types are not identical: ${goPrint(lists)}`)
  return kinds.has('map[string]interface {}') ? 'map' : 'scalar'
}

function mergeLists(given: unknown[], patch: unknown[], meta: Meta, deletes: boolean): unknown[] {
  if (given.length === 0 && patch.length === 0) return given
  const isMap = elementKind([given, patch]) === 'map'
  if (!isMap) {
    if (deletes) {
      const gone = new Set(patch)
      return given.filter((item) => !gone.has(item))
    }
    return inOrder([...new Set([...given, ...patch])], patch, given, '', false)
  }
  if (meta.mergeKey === '') throw failed('cannot merge lists without merge key for struct')
  const { kept, plain } = takeSpecialItems(given as JsonObject[], patch as JsonObject[], meta.mergeKey)
  const merged = [...kept]
  const places = positions(kept, meta.mergeKey)
  for (const item of plain) {
    const key = keyOf(item, meta.mergeKey)
    const at = places.get(key)
    if (at === undefined) places.set(key, merged.push(item) - 1)
    else merged[at] = mergeObjects(merged[at]!, item, meta.schema)
  }
  return inOrder(merged, plain, kept, meta.mergeKey, true)
}

// Items with `$patch`: those to delete go from the original; one that says replace makes the rest of the patch the whole list.
function takeSpecialItems(given: JsonObject[], patch: JsonObject[], mergeKey: string): { kept: JsonObject[]; plain: JsonObject[] } {
  const plain: JsonObject[] = []
  let kept = given
  let replaces = false
  for (const item of patch) {
    const kind = Object.hasOwn(item, directive) ? item[directive] : undefined
    if (kind === undefined) plain.push(item)
    else if (kind === 'replace') replaces = true
    else if (kind === 'delete') {
      const key = keyOf(item, mergeKey)
      kept = kept.filter((candidate) => candidate[mergeKey] !== key)
    } else if (kind === 'merge') throw failed('merging lists cannot yet be specified in the patch')
    else throw failed(`unknown patch type: ${goPrint(kind)} in map: ${goPrint(item)}`)
  }
  return replaces ? { kept: plain, plain: [] } : { kept, plain }
}

/**
 * Items named in `order` in that order; the others, which only the server has, in theirs, each put before the first of the named
 * ones that follows it on the server.
 */
function inOrder(
  items: readonly unknown[],
  order: readonly unknown[],
  serverOrder: readonly unknown[],
  mergeKey: string,
  isMap: boolean,
): unknown[] {
  const key = isMap ? mergeKey : ''
  if (isMap) for (const item of items) keyOf(item, mergeKey)
  const wanted = positions(order, key)
  const served = positions(serverOrder, key)
  const position = (of: ReadonlyMap<unknown, number>, item: unknown): number => of.get(keyOf(item, key)) ?? Number.POSITIVE_INFINITY
  const named = items.filter((item) => wanted.has(keyOf(item, key))).sort((a, b) => position(wanted, a) - position(wanted, b))
  const others = items.filter((item) => !wanted.has(keyOf(item, key)))
  const out: unknown[] = []
  let next = 0
  for (const item of named) {
    const here = position(served, item)
    while (next < others.length && here !== Number.POSITIVE_INFINITY && position(served, others[next]) < here) out.push(others[next++])
    out.push(item)
  }
  return [...out, ...others.slice(next)]
}

function positions(list: readonly unknown[], mergeKey: string): Map<unknown, number> {
  const found = new Map<unknown, number>()
  for (const [i, item] of list.entries()) {
    const key = mergeKey === '' ? item : isObject(item) ? item[mergeKey] : undefined
    if (!found.has(key)) found.set(key, i)
  }
  return found
}
