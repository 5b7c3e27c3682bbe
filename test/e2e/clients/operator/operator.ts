// An operator as it is written with @kubernetes/client-node, run as a program of its own, in as many copies as one likes: it brings its
// definition and webhooks, and looks after websites while it leads. Reads KUBECONFIG, OPERATOR_NAME, OPERATOR_NAMESPACE, and from the
// directory OPERATOR_TLS the files ca.crt, tls.crt and tls.key.
import '../load-on-node-20.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as k8s from '@kubernetes/client-node'
import { electLeader } from './leader-election.ts'
import { serveWebhooks } from './webhook.ts'
import { type Apis, definition, group, plural, reconcile, version, type Website } from './website.ts'

const identity = setting('OPERATOR_NAME')
const namespace = setting('OPERATOR_NAMESPACE')
const tls = (name: string): string => readFileSync(join(setting('OPERATOR_TLS'), name), 'utf8')
const stopping = new AbortController()
process.on('SIGTERM', () => stopping.abort(new Error('asked to stop')))

const config = new k8s.KubeConfig()
config.loadFromDefault()
const apis: Apis = {
  core: config.makeApiClient(k8s.CoreV1Api),
  apps: config.makeApiClient(k8s.AppsV1Api),
  custom: config.makeApiClient(k8s.CustomObjectsApi),
  objects: k8s.KubernetesObjectApi.makeApiClient(config),
  patchOf: (type) => k8s.setHeaderOptions('Content-Type', type),
}

await installDefinition()
const webhooks = await serveWebhooks({ key: tls('tls.key'), cert: tls('tls.crt') })
say('waits')
await electLeader({
  coordination: config.makeApiClient(k8s.CoordinationV1Api),
  namespace,
  name: 'website-operator',
  identity,
  leaseSeconds: 2,
  signal: stopping.signal,
  lead,
})
webhooks.close()
say('ends')

async function lead(signal: AbortSignal): Promise<void> {
  await registerWebhooks()
  say('leads')
  const queue = new Set<string>()
  const backoff = new Map<string, number>()
  const add = (object: k8s.KubernetesObject): void => void queue.add(object.metadata!.name!)
  const sites = k8s.makeInformer<Website>(
    config,
    `/apis/${group}/${version}/namespaces/${namespace}/${plural}`,
    async () => (await apis.custom.listNamespacedCustomObject({ group, version, plural, namespace })) as k8s.KubernetesListObject<Website>,
  )
  const deployments = k8s.makeInformer<k8s.V1Deployment>(
    config,
    `/apis/apps/v1/namespaces/${namespace}/deployments`,
    () => apis.apps.listNamespacedDeployment({ namespace, labelSelector: 'site' }),
    'site',
  )
  for (const informer of [sites, deployments] as k8s.Informer<k8s.KubernetesObject>[]) {
    for (const event of ['add', 'update', 'delete'] as const) informer.on(event, add)
    // A watch that ends with an error is begun anew.
    informer.on('error', () => void sleep(200).then(() => (signal.aborted ? undefined : informer.start())))
  }
  await Promise.all([sites.start(), deployments.start()])
  while (!signal.aborted) {
    const [name] = queue
    if (name === undefined) {
      await sleep(20)
      continue
    }
    queue.delete(name)
    try {
      await reconcile(apis, namespace, name)
      backoff.delete(name)
    } catch (error) {
      const code = (error as k8s.ApiException<unknown>).code
      if (code !== 409) say(`failed at ${name}: ${(error as Error).message}`)
      const waitMs = Math.min(5_000, 2 * (backoff.get(name) ?? 10))
      backoff.set(name, waitMs)
      void sleep(waitMs).then(() => queue.add(name))
    }
  }
  await Promise.all([sites.stop(), deployments.stop()])
}

async function installDefinition(): Promise<void> {
  const extensions = config.makeApiClient(k8s.ApiextensionsV1Api)
  await unlessThere(extensions.createCustomResourceDefinition({ body: definition }))
  for (;;) {
    const found = await extensions.readCustomResourceDefinition({ name: definition.metadata!.name! })
    if (found.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) return
    await sleep(50)
  }
}

/** The copy that leads answers the webhooks. */
async function registerWebhooks(): Promise<void> {
  const admission = config.makeApiClient(k8s.AdmissionregistrationV1Api)
  const rules = [{ apiGroups: [group], apiVersions: [version], operations: ['CREATE', 'UPDATE'], resources: [plural] }]
  const common = { rules, sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Fail', timeoutSeconds: 5 }
  const clientConfig = (path: string) => ({ url: `${webhooks.url}${path}`, caBundle: Buffer.from(tls('ca.crt')).toString('base64') })
  const metadata = { name: `websites.${group}` }
  const apply = apis.patchOf('application/apply-patch+yaml') as never
  const how = { name: metadata.name, fieldManager: 'website-operator', force: true }
  const head = { apiVersion: 'admissionregistration.k8s.io/v1', metadata }
  const mutating = { ...common, name: `mutate.${group}`, clientConfig: clientConfig('/mutate') }
  await admission.patchMutatingWebhookConfiguration(
    { ...how, body: { ...head, kind: 'MutatingWebhookConfiguration', webhooks: [mutating] } },
    apply,
  )
  const validating = { ...common, name: `validate.${group}`, clientConfig: clientConfig('/validate') }
  await admission.patchValidatingWebhookConfiguration(
    { ...how, body: { ...head, kind: 'ValidatingWebhookConfiguration', webhooks: [validating] } },
    apply,
  )
}

async function unlessThere(made: Promise<unknown>): Promise<void> {
  try {
    await made
  } catch (error) {
    if ((error as k8s.ApiException<unknown>).code !== 409) throw error
  }
}

function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

function say(what: string): void {
  console.log(`${identity} ${what}`)
}
