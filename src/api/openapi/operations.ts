// Paths and operations of API resources for OpenAPI documents: what can be asked of each resource, with which parameters, and
// what comes back. kubectl looks here for the parameters that a server understands (dryRun, fieldValidation).

import type { Kind } from '../kind.ts'
import { findBuiltinSchema } from '../schema/builtin.ts'
import type { Definitions, GroupVersionKind, Json, OpenApiVersion } from './definitions.ts'
import { definitionNameOf, idPrefix, qualifiedGroup } from './names.ts'

interface Parameter {
  readonly type: 'string' | 'integer' | 'boolean'
  readonly description: string
}

// Compat: Kubernetes' own tests of kubectl look for "list of returned" and "Watch for changes to the described resources".
const parameters: Readonly<Record<string, Parameter>> = {
  allowWatchBookmarks: {
    type: 'boolean',
    description: 'Whether a watch may contain events of type BOOKMARK, which only tell how far it is.',
  },
  continue: { type: 'string', description: 'The token of the answer before, to get the next part of a list.' },
  dryRun: { type: 'string', description: 'With the value All, everything is done but nothing is stored.' },
  fieldManager: { type: 'string', description: 'The name under which managedFields record what this request changes.' },
  fieldSelector: { type: 'string', description: 'Restricts the list of returned objects to those whose fields are as it says.' },
  fieldValidation: {
    type: 'string',
    description: 'What to do about unknown and doubled fields: Ignore them, Warn of them (the default), or refuse the request (Strict).',
  },
  force: { type: 'boolean', description: 'Takes fields over from other managers. Only for apply.' },
  gracePeriodSeconds: { type: 'integer', description: 'Seconds until the object is deleted; 0 means at once.' },
  ignoreStoreReadErrorWithClusterBreakingPotential: {
    type: 'boolean',
    description: 'Deletes an object that cannot be read from the store, without any of the usual care.',
  },
  labelSelector: { type: 'string', description: 'Restricts the list of returned objects to those whose labels are as it says.' },
  limit: { type: 'integer', description: 'How many objects an answer may hold; the rest is got with its continue token.' },
  orphanDependents: { type: 'boolean', description: 'Whether dependents stay. Old form of propagationPolicy.' },
  pretty: { type: 'string', description: 'With the value true, the answer is indented.' },
  propagationPolicy: { type: 'string', description: 'What becomes of dependents: Orphan, Background or Foreground.' },
  resourceVersion: { type: 'string', description: 'Which state of the objects is asked for.' },
  resourceVersionMatch: { type: 'string', description: 'How resourceVersion is meant in a list: Exact or NotOlderThan.' },
  sendInitialEvents: { type: 'boolean', description: 'A watch begins with events for the objects that are there.' },
  timeoutSeconds: { type: 'integer', description: 'Seconds after which a list or watch ends.' },
  watch: { type: 'boolean', description: 'Watch for changes to the described resources: they come as a stream of events.' },
}

const listParameters = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
]
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation']
const deleteParameters = [
  'dryRun',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'orphanDependents',
  'propagationPolicy',
]
const deleteListParameters = [...new Set([...listParameters, ...deleteParameters])]
  .filter((name) => name !== 'watch' && name !== 'allowWatchBookmarks')
  .sort()

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']
const listTypes = [...objectTypes, 'application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch']
const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]
// Compat: kubectl looks here whether it may send a strategic merge patch when it applies; custom resources take none.
const customPatchTypes = patchTypes.filter((type) => type !== 'application/strategic-merge-patch+json')
const schemes = ['https']

/** Parameters that operations of an OpenAPI v2 document refer to. */
export function sharedParametersV2(): Json {
  return Object.fromEntries(Object.keys(parameters).map((name) => [name, queryParameterV2(name)]))
}

function queryParameterV2(name: string): Json {
  return { name, in: 'query', description: parameters[name]!.description, type: parameters[name]!.type, uniqueItems: true }
}

type Verb = 'list' | 'create' | 'deletecollection' | 'get' | 'update' | 'patch' | 'delete' | 'connect'

interface VerbForm {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete' | 'options' | 'head'
  /** First word of the operation id. */
  readonly word: string
  readonly action: string
  readonly parameters: readonly string[]
  readonly codes: readonly string[]
  /** Says of the kind what is done; absent: as the action's other operations. */
  readonly text?: (kind: string) => string
}

const verbs: Readonly<Record<Exclude<Verb, 'connect'>, VerbForm>> = {
  list: { method: 'get', word: 'list', action: 'list', parameters: listParameters, codes: ['200'] },
  create: { method: 'post', word: 'create', action: 'post', parameters: writeParameters, codes: ['200', '201', '202'] },
  deletecollection: { method: 'delete', word: 'delete', action: 'deletecollection', parameters: deleteListParameters, codes: ['200'] },
  get: { method: 'get', word: 'read', action: 'get', parameters: [], codes: ['200'] },
  update: { method: 'put', word: 'replace', action: 'put', parameters: writeParameters, codes: ['200', '201'] },
  patch: { method: 'patch', word: 'patch', action: 'patch', parameters: [...writeParameters, 'force'], codes: ['200', '201'] },
  delete: { method: 'delete', word: 'delete', action: 'delete', parameters: deleteParameters, codes: ['200', '202'] },
}

// Compat: clients tell by these texts that the paths are deprecated.
const insteadOfPath = "deprecated: use the 'watch' parameter with a list operation instead"
const watchForms = {
  many: {
    method: 'get',
    word: 'watch',
    action: 'watchlist',
    parameters: [],
    codes: ['200'],
    text: (kind) => `watch individual changes to a list of ${kind}. ${insteadOfPath}.`,
  },
  one: {
    method: 'get',
    word: 'watch',
    action: 'watch',
    parameters: [],
    codes: ['200'],
    text: (kind) =>
      `watch changes to an object of kind ${kind}. ${insteadOfPath}, filtered to a single item with the 'fieldSelector' parameter.`,
  },
} satisfies Record<string, VerbForm>

const collectionVerbs = ['list', 'create', 'deletecollection'] as const
const itemVerbs = ['get', 'update', 'patch', 'delete'] as const
const connectSubresources = new Set(['exec', 'attach', 'portforward', 'proxy'])
const statusTexts: Readonly<Record<string, string>> = { '200': 'OK', '201': 'Created', '202': 'Accepted' }

/** Writes the paths of resources into one document. */
export class PathBuilder {
  readonly paths: Record<string, Json> = {}
  private readonly version: OpenApiVersion
  private readonly definitions: Definitions

  constructor(version: OpenApiVersion, definitions: Definitions) {
    this.version = version
    this.definitions = definitions
  }

  addKind(kind: Kind): void {
    const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
    const collection = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.resource}` : `${root}/${kind.resource}`
    const scope = kind.namespaced ? 'Namespaced' : ''
    this.addPath(collection, kind, collectionVerbs, { scope, pathParameters: kind.namespaced ? ['namespace'] : [] })
    if (kind.namespaced && kind.verbs.includes('list')) {
      this.addPath(`${root}/${kind.resource}`, kind, ['list'], { scope: '', suffix: 'ForAllNamespaces', pathParameters: [] })
    }
    const pathParameters = kind.namespaced ? ['name', 'namespace'] : ['name']
    this.addPath(`${collection}/{name}`, kind, itemVerbs, { scope, pathParameters })
    for (const subresource of kind.subresources) this.addSubresource(`${collection}/{name}`, kind, subresource, scope, pathParameters)
    if (!kind.custom && kind.verbs.includes('watch')) this.addWatches(root, kind)
  }

  // The way of watching before the parameter `watch`; it still works.
  private addWatches(root: string, kind: Kind): void {
    const place = kind.namespaced ? `${root}/watch/namespaces/{namespace}/${kind.resource}` : `${root}/watch/${kind.resource}`
    const scope = kind.namespaced ? 'Namespaced' : ''
    const inPlace = kind.namespaced ? ['namespace'] : []
    if (kind.namespaced) this.addWatch(`${root}/watch/${kind.resource}`, kind, `${kind.kind}ListForAllNamespaces`, [])
    this.addWatch(place, kind, `${scope}${kind.kind}List`, inPlace)
    this.addWatch(`${place}/{name}`, kind, `${scope}${kind.kind}`, ['name', ...inPlace])
  }

  private addWatch(path: string, kind: Kind, what: string, inPath: readonly string[]): void {
    const gvk = { group: kind.group, version: kind.version, kind: kind.kind }
    const form = inPath[0] === 'name' ? watchForms.one : watchForms.many
    const get = this.operation(kind, form, `watch${idPrefix(kind)}${what}`, gvk, {
      answer: this.definitions.refToMeta('WatchEvent'),
      list: true,
    })
    const query = listParameters.map((name) => (this.version === 'v2' ? { $ref: `#/parameters/${name}` } : queryParameterV3(name)))
    this.paths[path] = { get, parameters: [...this.pathParameters(inPath), ...query] }
  }

  private addPath(path: string, kind: Kind, wanted: readonly Exclude<Verb, 'connect'>[], place: Place): void {
    const item: Json = {}
    const gvk = { group: kind.group, version: kind.version, kind: kind.kind }
    for (const verb of wanted) {
      if (!kind.verbs.includes(verb)) continue
      const form = verbs[verb]
      const collectionWord = verb === 'deletecollection' ? 'Collection' : ''
      const id = `${form.word}${idPrefix(kind)}${collectionWord}${place.scope}${kind.kind}${place.suffix ?? ''}`
      item[form.method] = this.operation(kind, form, id, gvk, {
        answer: this.answerOf(kind, verb),
        ...(verb === 'create' || verb === 'update' ? { body: this.refToKind(kind) } : {}),
        ...(verb === 'delete' || verb === 'deletecollection' ? { body: this.definitions.refToMeta('DeleteOptions') } : {}),
        ...(verb === 'patch' ? { body: this.definitions.refToPatch() } : {}),
        list: verb === 'list',
      })
    }
    if (Object.keys(item).length > 0) this.paths[path] = { ...item, parameters: this.pathParameters(place.pathParameters) }
  }

  private addSubresource(
    base: string,
    kind: Kind,
    facts: Kind['subresources'][number],
    scope: string,
    pathParameters: readonly string[],
  ): void {
    const path = `${base}/${facts.name}`
    const title = facts.name.charAt(0).toUpperCase() + facts.name.slice(1)
    const gvk = { group: facts.group ?? kind.group, version: facts.version ?? kind.version, kind: facts.kind }
    const item: Json = {}
    if (connectSubresources.has(facts.name)) {
      this.addConnect(path, kind, facts, scope, pathParameters)
      return
    }
    const type = this.refToSubresource(kind, facts.name, gvk)
    for (const verb of ['get', 'create', 'update', 'patch', 'delete'] as const) {
      if (!facts.verbs.includes(verb)) continue
      const form = verbs[verb]
      item[form.method] = this.operation(kind, form, `${form.word}${idPrefix(kind)}${scope}${kind.kind}${title}`, gvk, {
        answer: type,
        of: facts.name,
        ...(verb === 'create' || verb === 'update' ? { body: type } : {}),
        ...(verb === 'patch' ? { body: this.definitions.refToPatch() } : {}),
      })
    }
    const options = facts.name === 'log' ? this.optionParameters('PodLogOptions') : []
    if (Object.keys(item).length > 0) this.paths[path] = { ...item, parameters: [...options, ...this.pathParameters(pathParameters)] }
  }

  // What is streamed or passed on. Of a proxy, the path behind it may stand in the address too.
  private addConnect(
    path: string,
    kind: Kind,
    facts: Kind['subresources'][number],
    scope: string,
    pathParameters: readonly string[],
  ): void {
    const proxy = facts.name === 'proxy'
    const title = facts.name.charAt(0).toUpperCase() + facts.name.slice(1)
    const gvk = { group: facts.group ?? kind.group, version: facts.version ?? kind.version, kind: facts.kind }
    const methods = proxy
      ? (['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const)
      : (['get', 'post'] as const).filter((method) => facts.verbs.includes(methodVerb(method)))
    const inPath = this.pathParameters(pathParameters).slice(0, -1)
    for (const suffix of proxy ? ['', 'WithPath'] : ['']) {
      const item: Json = {}
      for (const method of methods) {
        const word = method.charAt(0).toUpperCase() + method.slice(1)
        const form = { method, word: 'connect', action: 'connect', parameters: [], codes: ['200'] }
        item[method] = this.operation(kind, form, `connect${idPrefix(kind)}${word}${scope}${kind.kind}${title}${suffix}`, gvk, {
          answer: { type: 'string' },
          of: facts.name,
        })
      }
      const rest = suffix === '' ? [] : [this.pathParameter('path', 'path to the resource')]
      this.paths[suffix === '' ? path : `${path}/{path}`] = {
        ...item,
        parameters: [...inPath, ...rest, ...this.optionParameters(facts.kind)],
      }
    }
  }

  // Of a kind of options, which stand in the query.
  private optionParameters(kind: string): Json[] {
    const schema = findBuiltinSchema('v1', kind)
    if (schema === undefined) return []
    const names = [...schema.fields.keys()].filter((name) => name !== 'kind' && name !== 'apiVersion').sort()
    return names.map((name) => {
      const field = schema.fields.get(name)!.schema
      const type = { type: queryType(field.type === 'list' ? field.items.type : field.type), uniqueItems: true }
      const description = this.definitions.textOf(schema.name, name)
      return { name, in: 'query', ...(description !== undefined && { description }), ...(this.version === 'v2' ? type : { schema: type }) }
    })
  }

  private refToKind(kind: Kind): Json {
    if (!kind.custom) return this.definitions.refTo(kind.schema())
    const gvk = { group: kind.group, version: kind.version, kind: kind.kind }
    const name = definitionNameOf(kind.group, kind.version, kind.kind)
    if (kind.published !== undefined) return this.definitions.refToCustom(name, kind.published, gvk)
    return this.definitions.refTo(kind.schema(), { name, kind: gvk })
  }

  private answerOf(kind: Kind, verb: Verb): Json {
    if (verb === 'delete' && kind.resource !== 'pods' && !answersObject.has(kind.resource)) return this.definitions.refToMeta('Status')
    if (verb === 'deletecollection') return this.definitions.refToMeta('Status')
    if (verb !== 'list') return this.refToKind(kind)
    const schema = kind.custom ? undefined : findBuiltinSchema(kind.apiVersion, kind.listKind)
    if (schema !== undefined) return this.definitions.refTo(schema)
    const gvk = { group: kind.group, version: kind.version, kind: kind.listKind }
    return this.definitions.refToList(definitionNameOf(kind.group, kind.version, kind.listKind), this.refToKind(kind), gvk)
  }

  private refToSubresource(kind: Kind, name: string, gvk: GroupVersionKind): Json {
    if (name === 'log') return { type: 'string' }
    if (gvk.kind === kind.kind && gvk.group === kind.group) return this.refToKind(kind)
    const schema = findBuiltinSchema(gvk.group === '' ? gvk.version : `${gvk.group}/${gvk.version}`, gvk.kind)
    return schema === undefined ? { type: 'object' } : this.definitions.refTo(schema)
  }

  private operation(
    kind: Kind,
    form: VerbForm,
    operationId: string,
    gvk: GroupVersionKind,
    { answer, body, list = false, of = '' }: Contents,
  ): Json {
    const common = {
      description: describe(form, kind, of),
      operationId,
      tags: [`${qualifiedGroup(kind.group)}_${kind.version}`],
      'x-kubernetes-action': form.action,
      'x-kubernetes-group-version-kind': gvk,
    }
    const produced = form.action === 'connect' ? ['*/*'] : list ? listTypes : objectTypes
    const patches = kind.custom ? customPatchTypes : patchTypes
    const consumed = form.method === 'patch' && form.action !== 'connect' ? patches : ['*/*']
    const unauthorized = { description: 'Unauthorized' }
    if (this.version === 'v2') {
      return {
        ...common,
        consumes: consumed,
        produces: produced,
        schemes,
        parameters: [
          ...(body === undefined
            ? []
            : [{ name: 'body', in: 'body', required: form.action !== 'delete' && form.action !== 'deletecollection', schema: body }]),
          ...form.parameters.map((name) => this.parameterV2(name, form)),
        ],
        responses: {
          ...Object.fromEntries(form.codes.map((code) => [code, { description: statusTexts[code], schema: answer }])),
          '401': unauthorized,
        },
      }
    }
    const content = Object.fromEntries(produced.map((type) => [type, { schema: answer }]))
    return {
      ...common,
      ...(form.parameters.length > 0 && { parameters: form.parameters.map(queryParameterV3) }),
      ...(body !== undefined && { requestBody: { content: Object.fromEntries(consumed.map((type) => [type, { schema: body }])) } }),
      responses: {
        ...Object.fromEntries(form.codes.map((code) => [code, { description: statusTexts[code], content }])),
        '401': unauthorized,
      },
    }
  }

  // Older clients look for parameters of PATCH, and see only those that stand in it.
  private parameterV2(name: string, form: VerbForm): Json {
    return form.method === 'patch' ? queryParameterV2(name) : { $ref: `#/parameters/${name}` }
  }

  private pathParameters(names: readonly string[]): Json[] {
    const inPath = names.map((name) => this.pathParameter(name, name === 'name' ? 'Name of the object.' : 'Namespace of the object.'))
    return [...inPath, this.version === 'v2' ? { $ref: '#/parameters/pretty' } : queryParameterV3('pretty')]
  }

  private pathParameter(name: string, description: string): Json {
    const type = { type: 'string', uniqueItems: true }
    return { name, in: 'path', required: true, description, ...(this.version === 'v2' ? type : { schema: type }) }
  }
}

function queryType(type: string): Parameter['type'] {
  if (type === 'boolean') return 'boolean'
  return type === 'int32' || type === 'int64' ? 'integer' : 'string'
}

interface Place {
  readonly scope: string
  readonly suffix?: string
  readonly pathParameters: readonly string[]
}

interface Contents {
  readonly answer: Json
  readonly body?: Json
  readonly list?: boolean
  /** The subresource, where it is one. */
  readonly of?: string
}

// Kinds whose deletion answers with the object.
const answersObject: ReadonlySet<string> = new Set([
  'persistentvolumeclaims',
  'persistentvolumes',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'podsecuritypolicies',
  'storageclasses',
  'volumeattachments',
  'csidrivers',
  'csinodes',
])

function queryParameterV3(name: string): Json {
  const { type, description } = parameters[name]!
  return { name, in: 'query', description, schema: { type, uniqueItems: true } }
}

function methodVerb(method: string): string {
  return { get: 'get', post: 'create', put: 'update', patch: 'patch', delete: 'delete' }[method] ?? method
}

const descriptionWords: Readonly<Record<string, readonly [string, string]>> = {
  list: ['list or watch objects of kind', ''],
  post: ['create', 'a'],
  deletecollection: ['delete collection of', ''],
  get: ['read', 'the specified'],
  put: ['replace', 'the specified'],
  patch: ['partially update', 'the specified'],
  delete: ['delete', 'a'],
}

// Compat: Kubernetes' texts, by which some tools name operations.
function describe(form: VerbForm, { kind }: Kind, of: string): string {
  if (form.text !== undefined) return form.text(kind)
  if (form.action === 'connect') return `connect ${form.method.toUpperCase()} requests to ${of} of ${kind}`
  const [verb, article] = descriptionWords[form.action]!
  const which = article === 'a' && of === '' && /^[AEIOU]/.test(kind) ? 'an' : article
  return [verb, ...(of === '' ? [] : [of, 'of']), ...(which === '' ? [] : [which]), kind].join(' ')
}
