// Requests that nobody should send: each maker is a kind of malice or of accident, and draws one request at a time.
import { gzipSync } from 'node:zlib'
import { encodeObject } from '#api/protobuf/envelope'
import { compileDecoder } from '#api/schema/decode'
import { bombsOf } from './bombs.ts'
import type { Dice } from './dice.ts'
import { json, type Maker, patchTypes, protobuf, type Scene } from './maker.ts'
import { collectionPath, farReaching, manifestOf, objectPath, type Resource, resources } from './manifests.ts'
import { bend, bendBytes, bendText, jsonText, nested, oddValue, pathsOf, valueAt } from './mutate.ts'
import { accepts, listParameters, segments } from './odd-parameters.ts'
import type { FuzzRequest } from './wire.ts'

type Json = Record<string, unknown>
function query(parameters: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(parameters).toString()
  return text === '' ? '' : `?${text}`
}

/** Kinds that reach far are not kept. */
function options(dice: Dice, resource: Resource, more: Record<string, string> = {}): string {
  const dryRun: Record<string, string> = farReaching.has(resource.id) || dice.oneIn(6) ? { dryRun: 'All' } : {}
  const validation: Record<string, string> = dice.oneIn(3) ? { fieldValidation: dice.pick(['Strict', 'Warn', 'Ignore']) } : {}
  return query({ ...more, ...dryRun, ...validation })
}

const any = (dice: Dice): Resource => dice.pick(resources)

function bent(dice: Dice, scene: Scene, resource: Resource): { name: string; object: Json } {
  const name = dice.pick(scene.names)
  const object = manifestOf(resource, scene.namespace, name)
  if (dice.oneIn(4)) (object['metadata'] as Json)['managedFields'] = managedFields(dice)
  bend(dice, object)
  return { name, object }
}

function managedFields(dice: Dice): unknown {
  const fields = dice.pick<unknown>([
    { 'f:metadata': { 'f:labels': { 'f:app': {} } } },
    { 'f:spec': { 'k:{"name":"main"}': { '.': {}, 'f:image': {} } } },
    { 'k:{"name":': {} },
    { 'v:null': {}, 'i:0': {}, 'i:-1': {}, 'i:99999999999': {} },
    { x: 1, 'f:': null },
    { '.': { '.': {} } },
    nested(80, false),
    { __proto__: null, 'f:__proto__': {} },
    [],
    'x',
    null,
  ])
  const entry = {
    manager: dice.pick(['kubectl', '', 'x'.repeat(200), 'a\nb']),
    operation: dice.pick(['Apply', 'Update', '', 'Nope']),
    apiVersion: dice.pick(['v1', 'apps/v1', 'nope/v9', '']),
    time: dice.pick(['2026-01-01T00:00:00Z', 'yesterday', null]),
    fieldsType: dice.pick(['FieldsV1', 'FieldsV2', '']),
    fieldsV1: fields,
    subresource: dice.pick(['', 'status', 'scale', '..']),
  }
  return dice.pick<unknown>([[entry], [entry, entry], [{}], [null], {}, entry, Array.from({ length: 300 }, () => entry)])
}

function send(dice: Dice, method: string, path: string, object: unknown, type: string = json['content-type']): Omit<FuzzRequest, 'what'> {
  const text = jsonText(object)
  const body = dice.oneIn(5) ? bendText(dice, text) : Buffer.from(text)
  return { method, path, headers: { 'content-type': type }, body }
}

const createBent: Maker = (dice, scene) => {
  const resource = any(dice)
  const { object } = bent(dice, scene, resource)
  const type = dice.oneIn(5) ? 'application/yaml' : 'application/json'
  return send(dice, 'POST', collectionPath(resource, scene.namespace) + options(dice, resource), object, type)
}

const createRight: Maker = (dice, scene) => {
  const resource = any(dice)
  const object = manifestOf(resource, scene.namespace, dice.pick(scene.names))
  const body = Buffer.from(JSON.stringify(object))
  return { method: 'POST', path: collectionPath(resource, scene.namespace) + options(dice, resource), headers: json, body }
}

const updateBent: Maker = (dice, scene) => {
  const resource = any(dice)
  const { name, object } = bent(dice, scene, resource)
  const path = objectPath(resource, scene.namespace, name)
  const { metadata } = object
  if (dice.oneIn(4) && typeof metadata === 'object' && metadata !== null) {
    ;(metadata as Json)['resourceVersion'] = dice.pick(['0', '1', '', '-1', '1e3', '99999999999999999999', 'x'])
  }
  const part = dice.oneIn(4) ? `/${dice.pick(resource.subresources.length > 0 ? resource.subresources : ['status'])}` : ''
  return send(dice, 'PUT', path + part + options(dice, resource), object)
}

const protobufBent: Maker = (dice, scene) => {
  const resource = dice.pick(resources.filter(({ builtIn }) => builtIn !== undefined))
  const schema = resource.builtIn!.schema()
  const name = dice.pick(scene.names)
  const { object } = compileDecoder<Json>(schema)(manifestOf(resource, scene.namespace, name), 'ignore')
  const whole = Buffer.from(encodeObject(schema, object))
  const body = dice.pick([bendProtobuf, bendBytes, (d: Dice, bytes: Buffer) => bytes.subarray(0, d.below(bytes.length))])(dice, whole)
  const [method, path] = dice.oneIn(2)
    ? (['POST', collectionPath(resource, scene.namespace)] as const)
    : (['PUT', objectPath(resource, scene.namespace, name)] as const)
  return {
    method,
    path: path + options(dice, resource),
    headers: { 'content-type': protobuf, accept: dice.pick([protobuf, 'application/json']) },
    body,
  }
}

// Fields that are unknown, of another wire type, endless, or deeper than they may be, put after the envelope's own.
function bendProtobuf(dice: Dice, whole: Buffer): Buffer {
  const varint = (n: number): Buffer => {
    const out: number[] = []
    let rest = n
    for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128)
    return Buffer.from([...out, rest])
  }
  const field = (number: number, body: Buffer): Buffer => Buffer.concat([varint(number * 8 + 2), varint(body.length), body])
  let deep = Buffer.alloc(0)
  for (let i = dice.below(3_000); i > 0 && deep.length < 60_000; i--) deep = Buffer.from(field(dice.below(4) + 1, deep))
  const extra = dice.pick([
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    Buffer.from([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
    Buffer.from([0x0b, 0x0b, 0x0b, 0x0b]),
    Buffer.from([0x00]),
    Buffer.from([0x13, 0x14]),
    field(2, deep),
    field(1, field(1, Buffer.from('v1'))),
    field(1, field(2, Buffer.from([0xff, 0xfe]))),
    field(3, Buffer.from('gzip')),
    field(4, Buffer.from('application/json')),
    field(2, field(1, field(12, field(1, Buffer.from('__proto__'))))),
    varint(2 ** 29 * 8),
  ])
  return dice.oneIn(3) ? Buffer.concat([whole.subarray(0, 4), extra]) : Buffer.concat([whole, extra])
}

const bytesAtRandom: Maker = (dice, scene) => {
  const resource = any(dice)
  const type = dice.pick([
    'application/json',
    'application/yaml',
    protobuf,
    '',
    'text/plain',
    'application/json;charset=utf-16',
    '*/*',
    ';',
    ...Object.values(patchTypes),
  ])
  const method = dice.pick(['POST', 'PUT', 'PATCH', 'DELETE'])
  const path = method === 'POST' ? collectionPath(resource, scene.namespace) : objectPath(resource, scene.namespace, dice.pick(scene.names))
  const headers: Record<string, string> = type === '' ? {} : { 'content-type': type }
  const body = Buffer.concat([dice.oneIn(3) ? Buffer.from('k8s\u0000') : Buffer.alloc(0), dice.bytes(dice.below(200))])
  return { method, path: path + options(dice, resource), headers, body }
}

const pointer = (path: readonly (string | number)[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

const patchJson: Maker = (dice, scene) => {
  const resource = any(dice)
  const name = dice.pick(scene.names)
  const object = manifestOf(resource, scene.namespace, name)
  const places = pathsOf(object).map(pointer)
  const place = (): unknown =>
    dice.oneIn(3)
      ? dice.pick([
          '',
          '/',
          '/-',
          '/metadata/labels/__proto__',
          '/__proto__/x',
          '/constructor/prototype/x',
          '/spec/containers/99999999999',
          '/spec/containers/-1',
          '/a~2',
          'x',
          '/metadata/labels/-',
          `/${'a/'.repeat(2_000)}`,
          7,
          null,
          { a: 1 },
          [[]],
        ])
      : dice.pick(places) + (dice.oneIn(8) ? '/-' : '')
  const operation = (): Json => ({
    op: dice.pick<unknown>(['add', 'remove', 'replace', 'move', 'copy', 'test', 'add', 'replace', 'nope', '', null, 1]),
    path: place(),
    ...(dice.oneIn(2) ? { from: place() } : {}),
    ...(dice.oneIn(6) ? {} : { value: dice.oneIn(2) ? oddValue(dice) : valueAt(object, dice.pick(pathsOf(object))) }),
  })
  const operations = Array.from({ length: dice.below(6) }, operation)
  const value = dice.oneIn(12) ? dice.pick<unknown>([operations[0] ?? null, [operations], [null], 'x', 7]) : operations
  return send(
    dice,
    'PATCH',
    objectPath(resource, scene.namespace, name) + part(dice, resource) + options(dice, resource),
    value,
    patchTypes.json,
  )
}

function part(dice: Dice, resource: Resource): string {
  const parts = resource.subresources.filter((name) => !streamed.has(name))
  return dice.oneIn(5) && parts.length > 0 ? `/${dice.pick(parts)}` : ''
}

const streamed: ReadonlySet<string> = new Set(['proxy', 'exec', 'attach', 'log', 'portforward'])

// Some of an object's parts, so that a patch is not refused for its immutable fields alone.
function pieceOf(dice: Dice, object: Json): Json {
  const piece: Json = { apiVersion: object['apiVersion'], kind: object['kind'] }
  for (const [key, value] of Object.entries(object)) if (dice.oneIn(2) && key !== 'apiVersion' && key !== 'kind') piece[key] = value
  return piece
}

const patchMerge: Maker = (dice, scene) => {
  const resource = any(dice)
  const { name, object } = bent(dice, scene, resource)
  const path = objectPath(resource, scene.namespace, name) + part(dice, resource) + options(dice, resource)
  return send(dice, 'PATCH', path, dice.oneIn(2) ? pieceOf(dice, object) : object, patchTypes.merge)
}

const directives: readonly Json[] = [
  { $patch: 'delete' },
  { $patch: 'replace' },
  { $patch: 'merge' },
  { $patch: 'nope' },
  { $patch: 7 },
  { $patch: null },
  { $retainKeys: ['containers'] },
  { $retainKeys: 'x' },
  { $retainKeys: [{}] },
  { '$setElementOrder/containers': [{ name: 'side' }, { name: 'main' }] },
  { '$setElementOrder/containers': ['x', null] },
  { '$setElementOrder/containers': {} },
  { '$setElementOrder/': [] },
  { '$deleteFromPrimitiveList/finalizers': ['a', 1, null] },
  { '$deleteFromPrimitiveList/finalizers': 'a' },
  { '$deleteFromPrimitiveList/': [] },
  { containers: [{ $patch: 'delete' }] },
  { containers: [{ $patch: 'replace' }, { name: 'a', image: 'i' }] },
  { containers: [{ name: 'main', $patch: 'delete' }, { name: 'main' }] },
  { containers: [{ name: null }] },
  { containers: [7, 'x', null] },
  { containers: { $patch: 'replace' } },
  { containers: [[{ name: 'main' }]] },
]

const patchStrategic: Maker = (dice, scene) => {
  const resource = any(dice)
  const { name, object } = bent(dice, scene, resource)
  const patch = dice.oneIn(2) ? pieceOf(dice, object) : object
  for (let i = dice.below(3); i > 0; i--) {
    const structs = pathsOf(patch).filter((path) => {
      const value = valueAt(patch, path)
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    })
    const at = structs.length === 0 || dice.oneIn(4) ? patch : (valueAt(patch, dice.pick(structs)) as Json)
    Object.assign(at, structuredClone(dice.pick(directives)))
  }
  const path = objectPath(resource, scene.namespace, name) + part(dice, resource) + options(dice, resource)
  return send(dice, 'PATCH', path, patch, patchTypes.strategic)
}

const patchApply: Maker = (dice, scene) => {
  const resource = any(dice)
  const { name, object } = bent(dice, scene, resource)
  const parameters: Record<string, string> = dice.oneIn(10)
    ? {}
    : { fieldManager: dice.pick(['fuzz', 'other', 'x'.repeat(129), 'a\u0000b', '👩']) }
  if (dice.oneIn(2)) parameters['force'] = dice.pick(['true', 'false', '', 'x'])
  const path = objectPath(resource, scene.namespace, name) + part(dice, resource) + options(dice, resource, parameters)
  return send(dice, 'PATCH', path, dice.oneIn(2) ? pieceOf(dice, object) : object, patchTypes.apply)
}

const read: Maker = (dice, scene) => {
  const resource = any(dice)
  const name = dice.oneIn(2) ? `/${dice.pick(scene.names)}${part(dice, resource)}` : ''
  const everywhere = dice.oneIn(6) && resource.namespaced && name === ''
  const collection = everywhere ? collectionPath({ ...resource, namespaced: false }, '') : collectionPath(resource, scene.namespace)
  const headers = {
    ...(dice.oneIn(2) ? { accept: dice.pick(accepts) } : {}),
    ...(dice.oneIn(4) ? { 'accept-encoding': dice.pick(['gzip', 'br', 'gzip;q=0', '*']) } : {}),
  }
  return { method: dice.pick(['GET', 'GET', 'GET', 'HEAD', 'OPTIONS']), path: collection + name + query(listParameters(dice)), headers }
}

const watch: Maker = (dice, scene) => {
  const resource = any(dice)
  const parameters = query({ ...listParameters(dice), watch: dice.pick(['true', '1', '', 'x']) })
  const name = dice.oneIn(5) ? `/${dice.pick(scene.names)}` : ''
  const prefix = dice.oneIn(6) ? '/watch' : ''
  const path = collectionPath(resource, scene.namespace).replace(/^(\/api\/v1|\/apis\/[^/]+\/[^/]+)/, `$1${prefix}`)
  return { method: 'GET', path: path + name + parameters, headers: { accept: dice.pick(accepts) }, endless: true }
}

const remove: Maker = (dice, scene) => {
  const resource = any(dice)
  const one = !dice.oneIn(6) || !resource.namespaced
  const path = one ? objectPath(resource, scene.namespace, dice.pick(scene.names)) : collectionPath(resource, scene.namespace)
  const dryRun: Record<string, string> = farReaching.has(resource.id) ? { dryRun: 'All' } : {}
  if (dice.oneIn(2) || 'dryRun' in dryRun) return { method: 'DELETE', path: path + query({ ...listParameters(dice), ...dryRun }) }
  const body: Json = {
    apiVersion: dice.pick(['v1', 'meta.k8s.io/v1', 'x/v9', '']),
    kind: dice.pick<unknown>(['DeleteOptions', 'Pod', '', 7, null]),
    gracePeriodSeconds: dice.pick<unknown>([0, 5, -5, 1.5, 'x', null, 2 ** 60, {}]),
    propagationPolicy: dice.pick<unknown>(['Foreground', 'Orphan', 'x', 7, {}, null]),
    orphanDependents: dice.pick<unknown>([true, 'x', null, undefined, undefined]),
    dryRun: dice.pick<unknown>([['All'], 'All', [1], [{ toString: 1 }], [null], {}, undefined, undefined]),
    preconditions: dice.pick<unknown>([{ uid: 'x' }, { resourceVersion: '1' }, { uid: 7 }, 'x', [], null, undefined, undefined]),
  }
  for (const key of Object.keys(body)) if (dice.oneIn(2)) delete body[key]
  return send(dice, 'DELETE', path, body, dice.oneIn(5) ? protobuf : 'application/json')
}

const paths: Maker = (dice, scene) => {
  const resource = any(dice)
  const parts = objectPath(resource, scene.namespace, dice.pick(scene.names)).split('/')
  for (let i = dice.below(3); i >= 0; i--) {
    const at = dice.below(parts.length) + 1
    if (dice.oneIn(2)) parts[at] = dice.pick(segments)
    else parts.splice(at, dice.below(2), dice.pick(segments))
  }
  const path = `${dice.oneIn(12) ? '/' : ''}${parts.join('/') || '/'}`
  const method = dice.pick(['GET', 'GET', 'PUT', 'PATCH', 'DELETE', 'POST', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'BREW'])
  if (method === 'GET' || method === 'HEAD')
    return { method, path: path.startsWith('/') ? path : `/${path}`, endless: parts.includes('watch') }
  const body = method === 'DELETE' ? {} : { body: Buffer.from('{}') }
  // Whatever the path comes to mean, nothing is to be kept or lost.
  return { method, path: `${path}?dryRun=All`, headers: method === 'PATCH' ? { 'content-type': patchTypes.merge } : json, ...body }
}

const outsidePaths: Maker = (dice) => {
  const base = dice.pick([
    '/',
    '/api',
    '/apis',
    '/apis/apps',
    '/apis/apps/v1',
    '/openapi/v2',
    '/openapi/v3',
    '/openapi/v3/apis/apps/v1',
    '/version',
    '/healthz',
    '/livez/ping',
    '/readyz',
    '/metrics',
    '/openid/v1/jwks',
    '/.well-known/openid-configuration',
    '/logs',
    '/debug/pprof/',
    '/favicon.ico',
    '/apis/fuzz.example.com/v1',
  ])
  const path =
    base +
    (dice.oneIn(3) ? dice.pick(['/', '/..', '/%2e%2e', '//', '/%00', '/x']) : '') +
    query(dice.oneIn(3) ? { verbose: '', exclude: dice.pick(['etcd', '\u0000', 'x'.repeat(9_000)]) } : {})
  const headers = { accept: dice.pick(accepts), 'if-none-match': dice.pick(['*', '"x"', '', 'W/"']), range: dice.pick(['bytes=0-', 'x']) }
  return { method: dice.pick(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']), path, headers }
}

const headersAtOdds: Maker = (dice, scene) => {
  const resource = any(dice)
  const headers: Record<string, string> = dice.pick<Record<string, string>>([
    {
      'impersonate-user': dice.pick([
        'jane',
        '',
        'system:anonymous',
        'system:serviceaccount:',
        'system:serviceaccount:a:b:c',
        'x'.repeat(2_000),
      ]),
    },
    { 'impersonate-group': 'system:masters' },
    {
      'impersonate-user': 'jane',
      'impersonate-group': 'system:masters, a,,',
      'impersonate-uid': 'x',
      'impersonate-extra-%zz': 'y',
      'impersonate-extra-': 'z',
    },
    { 'impersonate-user': 'jane', 'impersonate-extra-__proto__': 'x', 'impersonate-extra-constructor': 'y' },
    { 'x-remote-user': 'root', 'x-remote-group': 'system:masters', 'x-remote-extra-scopes': 'all' },
    {
      authorization: dice.pick([
        'Bearer',
        'Bearer ',
        'Bearer x.y.z',
        `Bearer ${'a'.repeat(20_000)}`,
        'Basic YTpi',
        'bearer \u00e9',
        'Bearer eyJhbGciOiJub25lIn0.e30.',
        'Negotiate x',
        'Bearer W10.W10.W10',
        'Bearer bnVsbA.bnVsbA.',
        'Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6eyJ0b1N0cmluZyI6MX19.eyJpc3MiOnsidG9TdHJpbmciOjF9fQ.AAAA',
      ]),
    },
    { 'content-encoding': 'gzip' },
    { 'content-length': '7' },
    { expect: '100-continue' },
    { 'user-agent': dice.pick(['/', '\u00e9'.repeat(300), '', 'a/b/c', 'curl']) },
    { 'x-http-method-override': 'DELETE', 'x-forwarded-for': '127.0.0.1', host: 'evil', forwarded: 'for=::1' },
    { cookie: 'a=b; '.repeat(500) },
    Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'y'])),
    { 'x-long': 'y'.repeat(dice.pick([8_000, 60_000, 70_000])) },
    {
      'sec-websocket-key': 'x',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'v5.channel.k8s.io,base64url.bearer.authorization.k8s.io.%%%',
    },
    { traceparent: '00-x', 'audit-id': 'x'.repeat(3_000) },
  ])
  const object = JSON.stringify(manifestOf(resource, scene.namespace, dice.pick(scene.names)))
  if (dice.oneIn(2)) return { method: 'GET', path: collectionPath(resource, scene.namespace), headers }
  const body = headers['content-encoding'] === 'gzip' ? gzipSync(Buffer.alloc(20_000_000)) : Buffer.from(object)
  return {
    method: 'POST',
    path: collectionPath(resource, scene.namespace) + options(dice, resource),
    headers: { ...json, ...headers },
    body,
  }
}

const subresources: Maker = (dice, scene) => {
  const name = dice.pick(scene.names)
  const at = (resource: string): string => `/api/v1/namespaces/${scene.namespace}/${resource}/${name}`
  const [path, body] = dice.pick<readonly [string, Json]>([
    [`${at('pods')}/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name }, deleteOptions: { gracePeriodSeconds: 0 } }],
    [`${at('pods')}/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { kind: 'Node', name: 'n' } }],
    [
      `/api/v1/namespaces/${scene.namespace}/bindings`,
      { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { kind: 'Node', name: 'n' } },
    ],
    [
      `${at('serviceaccounts')}/token`,
      { spec: { audiences: ['a'], expirationSeconds: 900, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name } } },
    ],
    ['/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'x.y.z', audiences: ['a'] } }],
    ['/apis/authentication.k8s.io/v1/selfsubjectreviews', {}],
    [
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        spec: {
          user: 'x',
          groups: ['g'],
          extra: { a: ['b'] },
          resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default', fieldSelector: { rawSelector: 'a=b' } },
        },
      },
    ],
    ['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { spec: { nonResourceAttributes: { path: '/x', verb: 'get' } } }],
    ['/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace: 'default' } }],
    [
      `/apis/authorization.k8s.io/v1/namespaces/${scene.namespace}/localsubjectaccessreviews`,
      { spec: { user: 'x', resourceAttributes: { namespace: scene.namespace, verb: 'get', resource: 'pods' } } },
    ],
  ])
  const object = structuredClone(body)
  if (!dice.oneIn(4)) bend(dice, object)
  return send(dice, 'POST', path + (dice.oneIn(4) ? '?dryRun=All' : ''), object)
}

const views: Maker = (dice, scene) => {
  const name = dice.pick(scene.names)
  const object: Json = {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace: scene.namespace },
    spec: { replicas: dice.pick<unknown>([1, -1, 1.5, '2', null, 2 ** 40]) },
  }
  if (dice.oneIn(2)) bend(dice, object)
  const group = dice.pick(['/apis/apps/v1', '/apis/fuzz.example.com/v1', '/api/v1'])
  const resource = dice.pick(
    group.includes('apps')
      ? ['deployments', 'replicasets', 'statefulsets']
      : group.includes('fuzz')
        ? ['things']
        : ['replicationcontrollers'],
  )
  const path = `${group}/namespaces/${scene.namespace}/${resource}/${name}/scale`
  const type = dice.pick([...Object.values(patchTypes)])
  return dice.oneIn(2)
    ? send(dice, 'PUT', path, object)
    : send(dice, 'PATCH', `${path}${type.includes('apply') ? '?fieldManager=f' : ''}`, object, type)
}

const proxied: Maker = (dice, scene) => {
  const name = dice.pick([...scene.names, '127.0.0.1', 'https:x:443', 'a:0', '%2e%2e', '::1', '169.254.169.254'])
  const node = dice.oneIn(3)
  const base = node ? `/api/v1/nodes/${name}` : `/api/v1/namespaces/${scene.namespace}/${dice.pick(['pods', 'services'])}/${name}`
  const tail = dice.pick([
    '/proxy',
    '/proxy/',
    '/proxy/../../x',
    '/proxy/%2e%2e/%2f',
    '/log?follow=x&tailLines=-1',
    '/log?container=%00',
    '/exec?command=a',
    '/exec',
    '/attach?stdin=true',
    '/portforward?ports=99999',
    '/portforward',
  ])
  return { method: dice.pick(['GET', 'POST', 'PUT', 'DELETE']), path: base + tail, endless: true }
}

const bombs: Maker = (dice, scene) => dice.pick(bombsOf(dice, scene))

/** All makers, and how often each is drawn. */
const makers: readonly (readonly [string, number, Maker])[] = [
  ['create as it should be', 6, createRight],
  ['create of a bent object', 16, createBent],
  ['update with a bent object', 12, updateBent],
  ['broken protobuf', 10, protobufBent],
  ['bytes at random', 5, bytesAtRandom],
  ['JSON patch', 9, patchJson],
  ['merge patch', 8, patchMerge],
  ['strategic merge patch', 10, patchStrategic],
  ['apply', 12, patchApply],
  ['read with odd parameters', 10, read],
  ['watch with odd parameters', 3, watch],
  ['delete with odd options', 6, remove],
  ['path injection', 8, paths],
  ['paths that are no resources', 3, outsidePaths],
  ['headers at odds', 5, headersAtOdds],
  ['reviews, tokens, bindings, evictions', 7, subresources],
  ['scale', 4, views],
  ['proxy, log, exec', 3, proxied],
  ['bombs', 1, bombs],
]
const wheel = makers.flatMap(([what, weight, make]) => Array.from({ length: weight }, () => [what, make] as const))

/** Draws a request. */
export function draw(dice: Dice, scene: Scene): FuzzRequest {
  const [what, make] = dice.pick(wheel)
  return { what, ...make(dice, scene) }
}
