// Custom resources as their users see them through kubectl: schemas, versions, selectors, publication, conflicts of names, endings.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Review, startWebhookServer } from '#apiserver/admission/webhooks/webhook-server.testing'
import { type ClientCluster, startClientCluster, tableOf } from './client-cluster.ts'

interface Names {
  readonly plural: string
  readonly kind: string
  readonly [more: string]: unknown
}

function definition(group: string, names: Names, versions: readonly object[], more: object = {}): string {
  const spec = { group, scope: 'Namespaced', names, versions, ...more }
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.${group}` },
    spec,
  })
}

function version(name: string, properties: object, more: object = {}): object {
  return { name, served: true, storage: name === 'v1', schema: { openAPIV3Schema: { type: 'object', properties } }, ...more }
}

describe('custom resources', () => {
  let cluster: ClientCluster
  let kubectl: ClientCluster['kubectl']
  beforeAll(async () => {
    cluster = await startClientCluster()
    kubectl = cluster.kubectl
  })
  afterAll(() => cluster?.stop())

  const define = async (name: string, text: string): Promise<void> => {
    await kubectl.runWith(text, 'apply', '-f', '-')
    await kubectl.run('wait', '--for=condition=Established', `crd/${name}`, '--timeout=60s')
  }
  const object = (apiVersion: string, kind: string, name: string, fields: object): string =>
    JSON.stringify({ apiVersion, kind, metadata: { name }, ...fields })
  const at = (resource: string, path: string): Promise<string> => kubectl.run('get', ...resource.split(' '), '-o', `jsonpath=${path}`)

  const shirt = {
    spec: {
      type: 'object',
      required: ['color'],
      properties: {
        color: { type: 'string', enum: ['blue', 'green'] },
        size: { type: 'string', default: 'M', pattern: '^[SML]$' },
        pockets: { type: 'array', maxItems: 2, items: { type: 'object', properties: { depth: { type: 'integer' } } } },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        port: { 'x-kubernetes-int-or-string': true },
      },
      'x-kubernetes-validations': [{ rule: "self.color != 'green' || self.size == 'S'", message: 'green ones are small' }],
    },
  }
  const columns = {
    additionalPrinterColumns: [
      { name: 'Color', type: 'string', jsonPath: '.spec.color' },
      { name: 'Size', type: 'string', jsonPath: '.spec.size', priority: 1 },
    ],
  }

  // covers: [sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works  [Conformance]
  // covers: [sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema [Conformance]
  // covers: [sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema [Conformance]
  test('schemas fill in, leave out and refuse', async () => {
    const made = version('v1', shirt, { ...columns, selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }] })
    await define(
      'shirts.clothes.example.com',
      definition('clothes.example.com', { plural: 'shirts', kind: 'Shirt', shortNames: ['sh'], categories: ['wardrobe'] }, [made]),
    )
    const shirtOf = (name: string, spec: object): string => object('clothes.example.com/v1', 'Shirt', name, { spec })
    expect(await kubectl.runWith(shirtOf('one', { color: 'blue', any: { x: [1, { y: 2 }] }, port: 'http' }), 'apply', '-f', '-')).toBe(
      'shirt.clothes.example.com/one created\n',
    )
    expect(JSON.parse(await at('shirt one', '{.spec}'))).toEqual({ any: { x: [1, { y: 2 }] }, color: 'blue', port: 'http', size: 'M' })
    expect(await kubectl.refusedWith(shirtOf('two', { color: 'blue', lost: 1 }), 'apply', '-f', '-')).toContain(
      'strict decoding error: unknown field "spec.lost"',
    )
    await kubectl.runWith(shirtOf('two', { color: 'blue', lost: 1, size: 'S' }), 'apply', '--validate=false', '-f', '-')
    expect(JSON.parse(await at('shirt two', '{.spec}'))).toEqual({ color: 'blue', size: 'S' })
    expect(
      await kubectl.refusedWith(
        shirtOf('bad', { color: 'red', size: 'XL', pockets: [{ depth: 'x' }, {}, {}], tags: ['a', 'a'] }),
        'create',
        '-f',
        '-',
      ),
    ).toContain('spec.pockets[0].depth: Invalid value: "string": spec.pockets[0].depth in body must be of type integer: "string"')
    // What a default is given to later is filled in where it was stored without.
    const path = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/fit'
    const fit = JSON.stringify([{ op: 'add', path, value: { type: 'string', default: 'slim' } }])
    await kubectl.run('patch', 'crd', 'shirts.clothes.example.com', '--type=json', '-p', fit)
    await expect.poll(() => at('shirt one', '{.spec.fit}'), { timeout: 60_000 }).toBe('slim')
    const refused = await kubectl.refusedWith(shirtOf('bad', { color: 'red', size: 'XL', tags: ['a', 'a'] }), 'create', '-f', '-')
    expect(refused).toContain('* spec.color: Unsupported value: "red": supported values: "blue", "green"')
    expect(refused).toContain('* spec.size: Invalid value: "XL": spec.size in body should match \'^[SML]$\'')
    expect(refused).toContain('* spec.tags[1]: Duplicate value: "a"')
    expect(await kubectl.refusedWith(shirtOf('bad', { color: 'green', size: 'L' }), 'create', '-f', '-')).toMatch(
      /spec: Invalid value: green ones are small/,
    )
    expect(await kubectl.refusedWith(object('clothes.example.com/v1', 'Shirt', 'bad', { spec: {} }), 'create', '-f', '-')).toContain(
      'spec.color: Required value',
    )
  })

  // covers: [sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector [Conformance]
  test('columns, short names, categories and field selectors', async () => {
    expect(tableOf(await kubectl.run('get', 'sh'))).toEqual([
      ['NAME', 'COLOR'],
      ['one', 'blue'],
      ['two', 'blue'],
    ])
    expect(tableOf(await kubectl.run('get', 'wardrobe', '-o', 'wide'))[0]).toEqual(['NAME', 'COLOR', 'SIZE'])
    const watching = kubectl.start('get', 'shirts', '--watch', '--field-selector=spec.size=S', '--output-watch-events', '--no-headers')
    await watching.until(/ADDED +two/)
    expect(await kubectl.run('get', 'shirts', '--field-selector=spec.color=blue,spec.size=S', '-o', 'name')).toBe(
      'shirt.clothes.example.com/two\n',
    )
    await kubectl.run('patch', 'shirt', 'one', '--type=merge', '-p', '{"spec":{"size":"S"}}')
    await watching.until(/ADDED +one/)
    await kubectl.run('patch', 'shirt', 'one', '--type=merge', '-p', '{"spec":{"size":"L"}}')
    await watching.until(/DELETED +one/)
    await watching.stop()
    expect(await kubectl.refused('get', 'shirts', '--field-selector=spec.port=x')).toContain('field label not supported: spec.port')
  })

  test('server-side apply keeps sets, and names who owns what', async () => {
    const file = (tags: string[]): string => object('clothes.example.com/v1', 'Shirt', 'applied', { spec: { color: 'blue', tags } })
    await kubectl.runWith(file(['a', 'b']), 'apply', '--server-side', '--field-manager=first', '-f', '-')
    await kubectl.runWith(file(['b', 'c']), 'apply', '--server-side', '--field-manager=second', '-f', '-')
    expect(await at('shirt applied', '{.spec.tags}')).toBe('["a","b","c"]')
    await kubectl.runWith(file(['b']), 'apply', '--server-side', '--field-manager=first', '-f', '-')
    expect(await at('shirt applied', '{.spec.tags}')).toBe('["b","c"]')
    const conflict = object('clothes.example.com/v1', 'Shirt', 'applied', { spec: { color: 'green', size: 'S' } })
    expect(await kubectl.refusedWith(conflict, 'apply', '--server-side', '--field-manager=third', '-f', '-')).toContain('.spec.color')
  })

  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds [Conformance]
  test('published schemas explain themselves to both kubectls, and check on the client', async () => {
    await define(
      'hats.clothes.example.com',
      definition('clothes.example.com', { plural: 'hats', kind: 'Hat' }, [
        version('v1', { spec: { type: 'object', description: 'what is worn', properties: { brim: { type: 'integer' } } } }),
      ]),
    )
    await define(
      'shoes.feet.example.com',
      definition('feet.example.com', { plural: 'shoes', kind: 'Shoe' }, [
        version('v1', {
          spec: { type: 'object', required: ['laces'], properties: { laces: { type: 'integer', description: 'how many' } } },
        }),
      ]),
    )
    for (const client of [kubectl, cluster.kubectlOld]) {
      await expect
        .poll(() => client.try('explain', 'hats.spec').then(({ stdout }) => stdout), { timeout: 60_000 })
        .toContain('what is worn')
      expect(await client.run('explain', 'shoes.spec.laces')).toMatch(/laces\s+<integer>[\s\S]*how many/)
      expect(await client.run('explain', 'shirts.spec', '--recursive')).toContain('pockets')
      expect(await client.refused('explain', 'shoes.spec.heels')).toContain('field "heels" does not exist')
    }
    const shoe = (spec: object): string => object('feet.example.com/v1', 'Shoe', 'left', { spec })
    expect(await cluster.kubectlOld.refusedWith(shoe({ heels: 1, laces: 2 }), 'create', '-f', '-')).toContain('unknown field "heels"')
    expect(await cluster.kubectlOld.refusedWith(shoe({}), 'create', '-f', '-')).toContain('missing required field "laces"')
    expect(await cluster.kubectlOld.runWith(shoe({ laces: 2 }), 'create', '-f', '-')).toBe('shoe.feet.example.com/left created\n')
  })

  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object [Conformance]
  // covers: [sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema [Conformance]
  // covers: [sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR [Conformance]
  test('what preserves unknown fields takes them, at the root and in embedded objects', async () => {
    const root = {
      name: 'v1',
      served: true,
      storage: true,
      schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    }
    await define('bags.clothes.example.com', definition('clothes.example.com', { plural: 'bags', kind: 'Bag' }, [root]))
    const embedded = { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }
    await define(
      'boxes.clothes.example.com',
      definition('clothes.example.com', { plural: 'boxes', kind: 'Box' }, [version('v1', { template: embedded })]),
    )
    await kubectl.runWith(object('clothes.example.com/v1', 'Bag', 'b', { anything: { goes: [1] } }), 'apply', '-f', '-')
    expect(await at('bag b', '{.anything}')).toBe('{"goes":[1]}')
    const template = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'inner' }, spec: { x: 1 } }
    await kubectl.runWith(object('clothes.example.com/v1', 'Box', 'b', { template }), 'apply', '-f', '-')
    expect(JSON.parse(await at('box b', '{.template}'))).toEqual(template)
    const strange = { ...template, metadata: { name: 'inner', strange: 1 } }
    expect(await kubectl.refusedWith(object('clothes.example.com/v1', 'Box', 'c', { template: strange }), 'create', '-f', '-')).toContain(
      'unknown field "template.metadata.strange"',
    )
    const rooted = JSON.stringify({ apiVersion: 'clothes.example.com/v1', kind: 'Box', metadata: { name: 'c', strange: 1 } })
    expect(await kubectl.refusedWith(rooted, 'create', '-f', '-')).toContain('unknown field "metadata.strange"')
  })

  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group but different versions [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] updates the published spec when one version gets renamed [Conformance]
  // covers: [sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served [Conformance]
  // covers: [sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents [Conformance]
  test('versions come, are renamed and go, in discovery and in what is published', async () => {
    const spec = { spec: { type: 'object', properties: { n: { type: 'integer' } } } }
    const names = { plural: 'socks', kind: 'Sock' }
    await define('socks.feet2.example.com', definition('feet2.example.com', names, [version('v1', spec), version('v2beta1', spec)]))
    const served = async (): Promise<string[]> => {
      const { versions } = JSON.parse(await kubectl.run('get', '--raw', '/apis/feet2.example.com')) as { versions: { version: string }[] }
      const published = Object.keys(JSON.parse(await kubectl.run('get', '--raw', '/openapi/v3')).paths).filter((path) =>
        path.startsWith('apis/feet2.example.com/v'),
      )
      expect(published.map((path) => path.split('/')[2]).sort()).toEqual(versions.map((one) => one.version).sort())
      return versions.map((one) => one.version)
    }
    await expect.poll(served, { timeout: 60_000 }).toEqual(['v1', 'v2beta1'])
    expect(JSON.parse(await kubectl.run('get', '--raw', '/apis/apiextensions.k8s.io')).preferredVersion.version).toBe('v1')
    await kubectl.runWith(object('feet2.example.com/v2beta1', 'Sock', 'left', { spec: { n: 1 } }), 'create', '-f', '-')
    expect(await at('socks.v1.feet2.example.com left', '{.apiVersion} {.spec.n}')).toBe('feet2.example.com/v1 1')
    await kubectl.runWith(definition('feet2.example.com', names, [version('v1', spec), version('v2', spec)]), 'apply', '-f', '-')
    await expect.poll(served, { timeout: 60_000 }).toEqual(['v2', 'v1'])
    await kubectl.runWith(
      definition('feet2.example.com', names, [version('v1', spec), { ...version('v2', spec), served: false }]),
      'apply',
      '-f',
      '-',
    )
    await expect.poll(served, { timeout: 60_000 }).toEqual(['v1'])
    expect(await kubectl.refused('get', '--raw', '/apis/feet2.example.com/v2/namespaces/default/socks')).toContain(
      'could not find the requested resource',
    )
  })

  // covers: [sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2 [Conformance]
  // covers: [sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs [Conformance]
  test('a webhook converts what is written in one version and read in another, alone and in lists, whatever is stored', async () => {
    const hook = await startWebhookServer()
    try {
      hook.answer('/convert', ({ uid, desiredAPIVersion, objects }) => {
        const convertedObjects = objects.map((object: Review) => {
          const { hostPort, host, port, ...rest } = object
          if (!desiredAPIVersion.endsWith('/v2')) return { ...rest, apiVersion: desiredAPIVersion, hostPort: `${host}:${port}` }
          const [name, number] = hostPort.split(':')
          return { ...rest, apiVersion: desiredAPIVersion, host: name, port: number }
        })
        const response = { uid, convertedObjects, result: { status: 'Success' } }
        return JSON.stringify({ kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', response })
      })
      const webhook = { clientConfig: hook.clientConfig('/convert'), conversionReviewVersions: ['v1', 'v1beta1'] }
      const text = { type: 'string' }
      const described = (stored: string): string =>
        definition(
          'plugs.example.com',
          { plural: 'plugs', kind: 'Plug' },
          [
            { ...version('v1', { hostPort: text }), storage: stored === 'v1' },
            { ...version('v2', { host: text, port: text }), storage: stored === 'v2' },
          ],
          { conversion: { strategy: 'Webhook', webhook } },
        )
      await define('plugs.plugs.example.com', described('v1'))
      const watching = kubectl.start('get', 'plugs.v2.plugs.example.com', '--watch', '--output-watch-events', '-o', 'json')
      const first = object('plugs.example.com/v1', 'Plug', 'first', { hostPort: 'localhost:8080' })
      await kubectl.runWith(first, 'create', '-f', '-')
      expect(await at('plugs.v2.plugs.example.com first', '{.apiVersion} {.host} {.port}')).toBe('plugs.example.com/v2 localhost 8080')
      await watching.until(/"apiVersion":"plugs.example.com\/v2","host":"localhost"/)
      await watching.stop()
      await kubectl.runWith(described('v2'), 'apply', '-f', '-')
      const both = ['v1', 'v2']
      await expect.poll(() => at('crd plugs.plugs.example.com', '{.status.storedVersions}'), { timeout: 60_000 }).toBe(JSON.stringify(both))
      const second = object('plugs.example.com/v2', 'Plug', 'second', { host: 'else.where', port: '443' })
      await kubectl.runWith(second, 'apply', '--server-side', '-f', '-')
      expect(await at('plugs.v1.plugs.example.com', '{range .items[*]}{.apiVersion} {.hostPort};{end}')).toBe(
        'plugs.example.com/v1 localhost:8080;plugs.example.com/v1 else.where:443;',
      )
      expect(await at('plugs.v2.plugs.example.com', '{range .items[*]}{.apiVersion} {.host} {.port};{end}')).toBe(
        'plugs.example.com/v2 localhost 8080;plugs.example.com/v2 else.where 443;',
      )
      hook.answer('/convert', () => 500)
      await kubectl.runWith(object('plugs.example.com/v2', 'Plug', 'third', { host: 'a', port: '1' }), 'create', '-f', '-')
      expect(await kubectl.refused('get', 'plugs.v1.plugs.example.com', 'third')).toContain(
        'conversion webhook for plugs.example.com/v2, Kind=Plug failed: an error on the server ("as you wish") has prevented the request from succeeding',
      )
    } finally {
      await hook.close()
    }
  })

  test('a name that is taken is not taken again', async () => {
    await kubectl.runWith(definition('clothes.example.com', { plural: 'blouses', kind: 'Shirt' }, [version('v1', {})]), 'apply', '-f', '-')
    const condition = '{.status.conditions[?(@.type=="NamesAccepted")].reason}'
    await expect.poll(() => at('crd blouses.clothes.example.com', condition), { timeout: 60_000 }).toBe('ListKindConflict')
    expect(await at('crd blouses.clothes.example.com', '{.status.conditions[?(@.type=="Established")].status}')).toBe('False')
  })

  test('definitions that make no sense are refused', async () => {
    const wrong = definition('clothes.example.com', { plural: 'caps', kind: 'Cap' }, [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } } },
    ])
    expect(await kubectl.refusedWith(wrong, 'create', '-f', '-')).toContain(
      'spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields',
    )
    const none = definition('clothes.example.com', { plural: 'caps', kind: 'Cap' }, [{ ...version('v1', {}), storage: false }])
    expect(await kubectl.refusedWith(none, 'create', '-f', '-')).toContain('must have exactly one version marked as storage version')
  })

  // covers: [sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works  [Conformance]
  // covers: [sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects [Conformance]
  test('a definition goes when its objects are gone; finalizers hold both', async () => {
    const watching = kubectl.start('get', 'shoes.feet.example.com', '--watch', '--output-watch-events', '--no-headers')
    await watching.until(/ADDED +left/)
    await kubectl.run('patch', 'shoe', 'left', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/held"]}}')
    await kubectl.run('delete', 'crd', 'shoes.feet.example.com', '--wait=false')
    await expect.poll(() => at('shoe left', '{.metadata.deletionTimestamp}'), { timeout: 60_000 }).not.toBe('')
    expect(await at('crd shoes.feet.example.com', '{.status.conditions[?(@.type=="Terminating")].status}')).toBe('True')
    expect(
      await kubectl.refusedWith(object('feet.example.com/v1', 'Shoe', 'right', { spec: { laces: 1 } }), 'create', '-f', '-'),
    ).toContain('create not allowed while custom resource definition is terminating')
    await kubectl.run('patch', 'shoe', 'left', '--type=merge', '-p', '{"metadata":{"finalizers":null}}')
    await watching.until(/DELETED +left/)
    await watching.stop()
    await kubectl.run('wait', '--for=delete', 'crd/shoes.feet.example.com', '--timeout=60s')
    await expect.poll(() => kubectl.try('get', '--raw', '/apis/feet.example.com').then(({ code }) => code), { timeout: 60_000 }).not.toBe(0)
  })

  // covers: [sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works  [Conformance]
  // covers: [sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works  [Conformance]
  test('definitions are listed by label and deleted as a collection; their status is a subresource', async () => {
    for (const plural of ['as', 'bs', 'cs']) {
      await define(
        `${plural}.many.example.com`,
        definition('many.example.com', { plural, kind: plural.toUpperCase() }, [version('v1', {})]),
      )
      await kubectl.run('label', 'crd', `${plural}.many.example.com`, 'many=yes')
    }
    expect((await kubectl.run('get', 'crd', '-l', 'many=yes', '-o', 'name')).trim().split('\n')).toHaveLength(3)
    const status = JSON.parse(await kubectl.run('get', 'crd', 'as.many.example.com', '--subresource=status', '-o', 'json'))
    expect(status.status.acceptedNames.plural).toBe('as')
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'set by a test' }
    status.status.conditions.push(condition)
    await kubectl.runWith(JSON.stringify(status), 'replace', '--subresource=status', '-f', '-')
    expect(await at('crd as.many.example.com', '{.status.conditions[?(@.type=="StatusUpdate")].message}')).toBe('set by a test')
    await kubectl.run(
      'patch',
      'crd',
      'as.many.example.com',
      '--subresource=status',
      '--type=json',
      '-p',
      JSON.stringify([{ op: 'add', path: '/status/conditions/-', value: { ...condition, type: 'StatusPatched' } }]),
    )
    expect(await at('crd as.many.example.com', '{.status.conditions[?(@.type=="StatusPatched")].message}')).toBe('set by a test')
    await kubectl.run('delete', 'crd', '-l', 'many=yes')
    expect(await kubectl.run('get', 'crd', '-l', 'many=yes', '-o', 'name')).toBe('')
  })
})
