// AdmissionConfiguration: what is refused, what PodSecurity makes of its defaults and exemptions, and what webhooks are shown.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { createCa, issueCertificate } from '#platform/x509'
import { openTestCore, type TestCore } from '../api-core.testing.ts'
import type { User } from '../request.ts'
import { readAdmissionConfiguration } from './admission-configuration.ts'

const directory = mkdtempSync(join(tmpdir(), 'navarch-admission-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const read = (...plugins: object[]) =>
  readAdmissionConfiguration(
    JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins }),
    directory,
  )
const podSecurity = (more: object): object => ({
  name: 'PodSecurity',
  configuration: { apiVersion: 'pod-security.admission.config.k8s.io/v1', kind: 'PodSecurityConfiguration', ...more },
})
const inPlugin = `failed to initialize admission: couldn't init admission plugin "PodSecurity": `

describe('what is refused', () => {
  test.each<[string, object]>([
    [
      `${inPlugin}defaults.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted`,
      podSecurity({ defaults: { enforce: 'strict' } }),
    ],
    [
      `${inPlugin}defaults.warn-version: Invalid value: "1.3": must be "latest" or "v1.x"`,
      podSecurity({ defaults: { 'warn-version': '1.3' } }),
    ],
    [`${inPlugin}exemptions.namespaces[1]: Duplicate value: "a"`, podSecurity({ exemptions: { namespaces: ['a', 'a'] } })],
    [
      `${inPlugin}exemptions.namespaces[0]: Invalid value: "A": a lowercase RFC 1123 label must consist of`,
      podSecurity({ exemptions: { namespaces: ['A'] } }),
    ],
    [`${inPlugin}exemptions.usernames[0]: Invalid value: "": username must not be empty`, podSecurity({ exemptions: { usernames: [''] } })],
    [`${inPlugin}strict decoding error: unknown field "default"`, podSecurity({ default: {} })],
    [`${inPlugin}ENOENT: no such file or directory`, { name: 'PodSecurity', path: 'nowhere.yaml' }],
    ['couldn\'t init admission plugin "EventRateLimit": it takes no configuration here', { name: 'EventRateLimit', configuration: {} }],
    [
      'kubeConfigFile: Invalid value: "here": must be an absolute file path',
      {
        name: 'ValidatingAdmissionWebhook',
        configuration: { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'WebhookAdmissionConfiguration', kubeConfigFile: 'here' },
      },
    ],
  ])('%s', (words, plugin) => {
    expect(() => read(plugin)).toThrow(words)
  })
})

describe('PodSecurity', () => {
  async function using(settings: object, run: (api: TestCore) => Promise<void>): Promise<void> {
    writeFileSync(join(directory, 'pod-security.yaml'), JSON.stringify((podSecurity(settings) as { configuration: object }).configuration))
    const api = await openTestCore({ admissionSettings: read({ name: 'PodSecurity', path: 'pod-security.yaml' }) })
    try {
      await run(api)
    } finally {
      await api.close()
    }
  }
  async function namespace(api: TestCore, name: string, labels: Record<string, string> = {}) {
    const made = await api.ok('POST', '/api/v1/namespaces', { body: { metadata: { name, labels } } })
    await api.ok('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { body: { metadata: { name: 'default' } } })
    return made
  }
  const create = (api: TestCore, where: string, spec: object = {}, user?: User) =>
    api.call('POST', `/api/v1/namespaces/${where}/pods`, {
      body: { metadata: { name: 'p' }, spec: { hostNetwork: true, containers: [{ name: 'c', image: 'i' }], ...spec } },
      ...(user === undefined ? {} : { user }),
    })
  const label = (name: string): string => `pod-security.kubernetes.io/${name}`

  test('holds namespaces to the defaults, unless their labels say otherwise', () =>
    using({ defaults: { enforce: 'baseline', 'enforce-version': 'v1.30', warn: 'restricted' } }, async (api) => {
      await namespace(api, 'plain')
      const refused = await create(api, 'plain')
      expect([refused.status, refused.json.message]).toEqual([
        403,
        'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)',
      ])
      const warned = await create(api, 'plain', { hostNetwork: false })
      expect([warned.status, warned.warnings[0]]).toEqual([201, expect.stringContaining('would violate PodSecurity "restricted:latest"')])
      await namespace(api, 'loose', { [label('enforce')]: 'privileged', [label('warn')]: 'privileged' })
      expect((await create(api, 'loose')).status).toBe(201)
      await namespace(api, 'versioned', { [label('enforce-version')]: 'latest' })
      expect((await create(api, 'versioned')).json.message).toContain('violates PodSecurity "baseline:latest"')
    }))

  test('leaves those alone who are exempt, and says that labels there are of no use', () =>
    using(
      {
        defaults: { enforce: 'restricted' },
        exemptions: { namespaces: ['free'], usernames: ['betty'], runtimeClasses: ['sandboxed'] },
      },
      async (api) => {
        const exempt = label('exempt')
        const made = await namespace(api, 'free', { [label('enforce')]: 'baseline', [label('audit')]: 'privileged' })
        expect(made.warnings).toEqual([
          'namespace "free" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored',
        ])
        const free = await create(api, 'free')
        expect([free.status, free.annotations[exempt]]).toEqual([201, 'namespace'])
        await namespace(api, 'bound')
        expect((await create(api, 'bound')).status).toBe(403)
        const betty = await create(api, 'bound', {}, { name: 'betty', groups: ['system:masters'] })
        expect([betty.status, betty.annotations[exempt]]).toEqual([201, 'user'])
        await api.ok('POST', '/apis/node.k8s.io/v1/runtimeclasses', { body: { metadata: { name: 'sandboxed' }, handler: 'h' } })
        await api.ok('DELETE', '/api/v1/namespaces/bound/pods/p?gracePeriodSeconds=0')
        const sandboxed = await create(api, 'bound', { runtimeClassName: 'sandboxed' })
        expect([sandboxed.status, sandboxed.annotations[exempt]]).toEqual([201, 'runtimeClass'])
      },
    ))
})

describe('webhooks', () => {
  test('are shown what the kubeconfig has for their hosts', async () => {
    const nowMs = systemClock.now()
    const ca = createCa({ commonName: 'webhooks', days: 1, nowMs })
    const serving = issueCertificate({ ca, commonName: 'webhook', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
    const client = issueCertificate({ ca, commonName: 'apiserver', usages: ['client'], days: 1, nowMs })
    const seen: unknown[] = []
    const tls = {
      cert: serving.certificatePem,
      key: serving.privateKeyPem,
      ca: ca.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    }
    const server = createServer(tls, (incoming, outgoing) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => {
        const subject = (incoming.socket as unknown as { getPeerCertificate(): { subject?: { CN?: string } } }).getPeerCertificate().subject
        seen.push([incoming.headers.authorization, subject?.CN])
        const { request } = JSON.parse(Buffer.concat(chunks).toString())
        outgoing.end(
          JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: request.uid, allowed: true } }),
        )
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const certificate = { 'client-certificate-data': base64(client.certificatePem), 'client-key-data': base64(client.privateKeyPem) }
    const users = [
      { name: `127.0.0.1:${port}`, user: { token: 'for-this-host', ...certificate } },
      { name: '*.example', user: { username: 'jane', password: 'secret' } },
      { name: '*', user: {} },
    ]
    const kubeConfigFile = join(directory, 'kubeconfig')
    writeFileSync(kubeConfigFile, JSON.stringify({ apiVersion: 'v1', kind: 'Config', users }))
    const configuration = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'WebhookAdmissionConfiguration', kubeConfigFile }
    const settings = read({ name: 'ValidatingAdmissionWebhook', configuration })
    expect(settings.validatingCredentials?.('a.b.example:443')).toEqual({ username: 'jane', password: 'secret' })
    expect(settings.validatingCredentials?.('a.other:443')).toEqual({})
    const api = await openTestCore({ admissionSettings: settings })
    try {
      const clientConfig = { url: `https://127.0.0.1:${port}/`, caBundle: base64(ca.certificatePem) }
      const rules = [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }]
      const webhooks = [{ name: 'a.hooks.test', rules, clientConfig, sideEffects: 'None', admissionReviewVersions: ['v1'] }]
      for (const kind of ['Validating', 'Mutating']) {
        const path = `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`
        await api.ok('POST', path, { body: { metadata: { name: 'hooks' }, webhooks } })
      }
      await api.ok('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'a' } } })
      // The mutating one is asked first, and was told of no credentials.
      expect(seen).toEqual([
        [undefined, undefined],
        ['Bearer for-this-host', 'apiserver'],
      ])
    } finally {
      await api.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})
