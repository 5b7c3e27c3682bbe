import { describe, expect, test } from 'vitest'
import type { ConfigMap, Container, Secret, Service } from '#api/generated/core-v1'
import { containerEnv, type EnvSources } from './env.ts'
import { expand } from './expand.ts'
import { testContainer, testPod } from './test-support/pods.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const configMaps: Record<string, ConfigMap> = { cm: { data: { a: '1', b: '2' } } as unknown as ConfigMap }
const secrets: Record<string, Secret> = { s: { data: { password: base64('geheim') } } as unknown as Secret }
const service = (name: string, namespace: string, clusterIP: string, ports: { name?: string; port: number }[]): Service =>
  ({ metadata: { name, namespace }, spec: { clusterIP, ports: ports.map((p) => ({ protocol: 'TCP', ...p })) } }) as unknown as Service

const sources: EnvSources = {
  configMap: async (name) => configMaps[name],
  secret: async (name) => secrets[name],
  volumeFile: async (volume, path) => (volume === 'v' && path === 'env' ? 'A=1\nB="two words"\n' : undefined),
  services: [],
  downward: { podIps: ['10.0.0.2', 'fd00::2'], nodeIps: ['192.0.2.1'], nodeName: 'node-1', allocatable: { cpu: '4', memory: '8Gi' } },
  masterNamespace: 'default',
}

async function envOf(container: Partial<Container>, more: Partial<EnvSources> = {}, pod = testPod()): Promise<Record<string, string>> {
  const entries = await containerEnv(pod, testContainer('app', container as never), { ...sources, ...more })
  return Object.fromEntries(entries.map((e) => [e.name, e.value]))
}

describe('containerEnv', () => {
  const cases: readonly { name: string; container: Partial<Container>; env: Record<string, string> }[] = [
    {
      name: 'later variables may use earlier ones; unknown and escaped ones stay',
      container: {
        env: [
          { name: 'A', value: 'x' },
          { name: 'B', value: '$(A)-$(C)-$$(A)' },
        ],
      },
      env: { A: 'x', B: 'x-$(C)-$(A)' },
    },
    {
      name: 'whole config maps and secrets, with a prefix; single variables win',
      container: {
        envFrom: [{ configMapRef: { name: 'cm' } }, { prefix: 'S_', secretRef: { name: 's' } }],
        env: [{ name: 'a', value: 'own' }],
      },
      env: { a: 'own', b: '2', S_password: 'geheim' },
    },
    {
      name: 'single keys',
      container: {
        env: [
          { name: 'C', valueFrom: { configMapKeyRef: { name: 'cm', key: 'b' } } },
          { name: 'S', valueFrom: { secretKeyRef: { name: 's', key: 'password' } } },
          { name: 'N', valueFrom: { configMapKeyRef: { name: 'none', key: 'b', optional: true } } },
        ],
      },
      env: { C: '2', S: 'geheim' },
    },
    {
      name: 'fields of the pod and its node',
      container: {
        env: [
          { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
          { name: 'HOST', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
          { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        ],
      },
      env: { NAME: 'web', IPS: '10.0.0.2,fd00::2', HOST: '192.0.2.1', NODE: 'node-1' },
    },
    {
      name: 'resources, divided and rounded up; the node’s where there is no limit',
      container: {
        resources: { limits: { cpu: '1500m' }, requests: { memory: '1500Ki' } },
        env: [
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          { name: 'MILLI', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
          { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
          { name: 'ALL', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Gi' } } },
        ],
      },
      env: { CPU: '2', MILLI: '1500', MEMORY: '2', ALL: '8' },
    },
    {
      name: 'a variable from a file in a volume',
      container: { env: [{ name: 'F', valueFrom: { fileKeyRef: { volumeName: 'v', path: 'env', key: 'B' } } }] },
      env: { F: 'two words' },
    },
  ]

  test.each(cases)('$name', async ({ container, env }) => {
    expect(await envOf(container)).toEqual(env)
  })

  const failures: readonly { name: string; container: Partial<Container>; error: string }[] = [
    { name: 'config map', container: { envFrom: [{ configMapRef: { name: 'none' } }] }, error: 'configmap "none" not found' },
    { name: 'secret', container: { envFrom: [{ secretRef: { name: 'none' } }] }, error: 'secret "none" not found' },
    {
      name: 'key of a config map',
      container: { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'z' } } }] },
      error: "couldn't find key z in ConfigMap default/cm",
    },
    {
      name: 'key of a secret',
      container: { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'z' } } }] },
      error: "couldn't find key z in Secret default/s",
    },
  ]

  test.each(failures)('a missing $name is an error in Kubernetes’ words', async ({ container, error }) => {
    await expect(envOf(container)).rejects.toThrow(error)
  })

  test('services of the namespace are announced, and the master’s', async () => {
    const services = [
      service('kubernetes', 'default', '10.96.0.1', [{ name: 'https', port: 443 }]),
      service('web-app', 'default', '10.96.0.9', [{ port: 80 }]),
      service('other', 'elsewhere', '10.96.0.8', [{ port: 80 }]),
      service('headless', 'default', 'None', [{ port: 80 }]),
    ]
    expect(await envOf({}, { services })).toEqual({
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBERNETES_SERVICE_PORT: '443',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
      KUBERNETES_PORT: 'tcp://10.96.0.1:443',
      KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
      KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
      KUBERNETES_PORT_443_TCP_PORT: '443',
      KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
      WEB_APP_SERVICE_HOST: '10.96.0.9',
      WEB_APP_SERVICE_PORT: '80',
      WEB_APP_PORT: 'tcp://10.96.0.9:80',
      WEB_APP_PORT_80_TCP: 'tcp://10.96.0.9:80',
      WEB_APP_PORT_80_TCP_PROTO: 'tcp',
      WEB_APP_PORT_80_TCP_PORT: '80',
      WEB_APP_PORT_80_TCP_ADDR: '10.96.0.9',
    })
    const only = await envOf({}, { services }, testPod({ enableServiceLinks: false }))
    expect(Object.keys(only).every((name) => name.startsWith('KUBERNETES_'))).toBe(true)
  })
})

describe('expand', () => {
  test.each([
    ['$(A)', '1'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$(B)', '$(B)'],
    ['$(A', '$(A'],
    ['$A $', '$A $'],
    ['a$(A)b$(A)', 'a1b1'],
  ])('%s is %s', (text, expanded) => {
    expect(expand(text, (name) => (name === 'A' ? '1' : undefined))).toBe(expanded)
  })
})
