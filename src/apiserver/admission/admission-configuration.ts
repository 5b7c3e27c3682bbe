// AdmissionConfiguration (apiserver.config.k8s.io/v1): what admission plugins are told beside their objects. Here: the defaults and
// exemptions of PodSecurity, and how the server proves itself to webhooks.
import { readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import type { FieldError } from '#api/errors'
import { duplicate, invalid } from '#api/validation/field-errors'
import { nameIsDnsLabel, nameIsDnsSubdomain } from '#api/validation/names'
import { type ConfigurationKind, describeErrors, readConfiguration } from '../configuration/read-configuration.ts'
import { type PodSecurityDefaults, podSecurityLevel, podSecurityMinor, privilegedDefaults } from './pod-security-policy.ts'
import { readWebhookCredentials, type WebhookCredentials } from './webhooks/credentials.ts'

export interface PodSecuritySettings {
  readonly defaults: PodSecurityDefaults
  /** Who and what is not looked at. */
  readonly exemptions: {
    readonly usernames: ReadonlySet<string>
    readonly namespaces: ReadonlySet<string>
    readonly runtimeClasses: ReadonlySet<string>
  }
}

export interface AdmissionSettings {
  readonly podSecurity?: PodSecuritySettings
  readonly mutatingCredentials?: WebhookCredentials
  readonly validatingCredentials?: WebhookCredentials
}

const admissionKind: ConfigurationKind = {
  group: 'apiserver.config.k8s.io',
  versions: ['v1', 'v1alpha1'],
  kind: 'AdmissionConfiguration',
  shape: { fields: { plugins: { list: { fields: { name: 'text', path: 'text', configuration: 'any' } } } } },
}

const texts = { list: 'text' } as const
const podSecurityKind: ConfigurationKind = {
  group: 'pod-security.admission.config.k8s.io',
  versions: ['v1', 'v1beta1', 'v1alpha1'],
  kind: 'PodSecurityConfiguration',
  shape: {
    fields: {
      defaults: {
        fields: {
          enforce: 'text',
          'enforce-version': 'text',
          audit: 'text',
          'audit-version': 'text',
          warn: 'text',
          'warn-version': 'text',
        },
      },
      exemptions: { fields: { usernames: texts, namespaces: texts, runtimeClasses: texts } },
    },
  },
}

const webhookKind: ConfigurationKind = {
  group: 'apiserver.config.k8s.io',
  versions: ['v1'],
  kind: 'WebhookAdmissionConfiguration',
  shape: { fields: { kubeConfigFile: 'text' } },
}

interface PluginConfiguration {
  readonly name?: string
  readonly path?: string
  readonly configuration?: unknown
}

/** Reads a file, and those that it names; paths are beside `directory`. Throws an Error that says what is wrong. */
export function readAdmissionConfiguration(text: string, directory: string): AdmissionSettings {
  const { plugins = [] } = readConfiguration<{ plugins?: readonly PluginConfiguration[] }>(text, admissionKind)
  let settings: AdmissionSettings = {}
  const seen = new Set<string>()
  for (const { name = '', path = '', configuration } of plugins) {
    const said = configuration ?? undefined
    // The first that names a plugin is the one that counts.
    if (seen.has(name) || (said === undefined && path === '')) continue
    seen.add(name)
    try {
      const own = said === undefined ? readFileSync(resolve(directory, path), 'utf8') : JSON.stringify(said)
      settings = { ...settings, ...settingsOf(name, own) }
    } catch (error) {
      throw new Error(`failed to initialize admission: couldn't init admission plugin "${name}": ${(error as Error).message}`)
    }
  }
  return settings
}

function settingsOf(plugin: string, text: string): AdmissionSettings {
  switch (plugin) {
    case 'PodSecurity':
      return { podSecurity: readPodSecurity(text) }
    case 'MutatingAdmissionWebhook':
      return credentials('mutatingCredentials', text)
    case 'ValidatingAdmissionWebhook':
      return credentials('validatingCredentials', text)
    default:
      throw new Error('it takes no configuration here')
  }
}

function credentials(name: 'mutatingCredentials' | 'validatingCredentials', text: string): AdmissionSettings {
  const { kubeConfigFile = '' } = readConfiguration<{ kubeConfigFile?: string }>(text, webhookKind)
  if (kubeConfigFile === '') return {}
  if (!isAbsolute(kubeConfigFile)) {
    throw new Error(describeErrors([invalid('kubeConfigFile', kubeConfigFile, 'must be an absolute file path')]))
  }
  return { [name]: readWebhookCredentials(kubeConfigFile) }
}

interface PodSecurityConfiguration {
  readonly defaults?: Readonly<Record<string, string>>
  readonly exemptions?: {
    readonly usernames?: readonly string[]
    readonly namespaces?: readonly string[]
    readonly runtimeClasses?: readonly string[]
  }
}

function readPodSecurity(text: string): PodSecuritySettings {
  const { defaults = {}, exemptions = {} } = readConfiguration<PodSecurityConfiguration>(text, podSecurityKind)
  const errors: FieldError[] = []
  const read = <T>(field: string, instead: T, parse: (text: string) => T | undefined, problem: string): T => {
    const said = defaults[field]
    if (!said) return instead
    const value = parse(said)
    if (value === undefined) errors.push(invalid(`defaults.${field}`, said, problem))
    return value ?? instead
  }
  const mode = (name: keyof PodSecurityDefaults): PodSecurityDefaults['enforce'] => ({
    level: read(name, privilegedDefaults[name].level, podSecurityLevel, 'must be one of privileged, baseline, restricted'),
    minor: read(`${name}-version`, privilegedDefaults[name].minor, podSecurityMinor, 'must be "latest" or "v1.x"'),
  })
  const [enforce, warn, audit] = [mode('enforce'), mode('warn'), mode('audit')]
  const set = (field: string, items: readonly string[] = [], wrong: (item: string) => readonly string[]): ReadonlySet<string> => {
    const seen = new Set<string>()
    for (const [i, item] of items.entries()) {
      const problems = wrong(item)
      if (problems.length > 0) errors.push(invalid(`exemptions.${field}[${i}]`, item, problems.join(', ')))
      else if (seen.has(item)) errors.push(duplicate(`exemptions.${field}[${i}]`, item))
      else seen.add(item)
    }
    return seen
  }
  const namespaces = set('namespaces', exemptions.namespaces, (name) => nameIsDnsLabel(name, false))
  const runtimeClasses = set('runtimeClasses', exemptions.runtimeClasses, (name) => nameIsDnsSubdomain(name, false))
  const usernames = set('usernames', exemptions.usernames, (name) => (name === '' ? ['username must not be empty'] : []))
  const problem = describeErrors(errors)
  if (problem !== undefined) throw new Error(problem)
  return { defaults: { enforce, audit, warn }, exemptions: { usernames, namespaces, runtimeClasses } }
}
