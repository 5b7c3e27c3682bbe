// Containers of a pod: regular, init, sidecar and ephemeral ones, with ports, environment, probes and hooks.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { containersOf } from '../../pods.ts'
import { isSidecar } from '../../resources.ts'
import { duplicate, forbidden, invalid, invalidEach, notFound, notSupported, required, tooMany } from '../../validation/field-errors.ts'
import {
  checkConfigMapKey,
  checkDns1123Label,
  checkHttpHeaderName,
  checkPortName,
  checkPortNumber,
  checkRelaxedEnvVarName,
  nameIsDnsSubdomain,
} from '../../validation/names.ts'
import { validateFieldRef, validateResourceFieldRef } from './field-refs.ts'
import { noBacksteps } from './paths.ts'
import { validateContainerSecurityContext } from './pod-security.ts'
import { type VolumesByName, validatePullPolicy, validateVolumeDevices, validateVolumeMounts } from './pod-volumes.ts'
import { validateContainerResources } from './resource-validation.ts'

/** What a container's checks must know of its pod. */
export interface ContainerContext {
  readonly spec: coreV1.PodSpec
  readonly volumes: VolumesByName
  /** Names in spec.resourceClaims. */
  readonly claims: ReadonlySet<string>
  /** The pod shares the node's user namespace, as nearly all do. */
  readonly hostUsers: boolean
}

type AnyContainer = coreV1.Container | coreV1.EphemeralContainer

export const protocols = ['SCTP', 'TCP', 'UDP']
const notNegative = 'must be greater than or equal to 0'

export function validateContainers(context: ContainerContext, path: string): FieldError[] {
  const { containers } = context.spec
  if ((containers ?? []).length === 0) return [required(path)]
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, container] of containers.entries()) {
    const at = `${path}[${i}]`
    errors.push(...validateContainer(container, context, at))
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
    names.add(container.name)
    errors.push(...validateLifecycleAndProbes(container, context.spec, at))
    errors.push(...validateRestartPolicy(container, at))
  }
  return [...errors, ...validateHostPortsUnique(containers, path)]
}

export function validateInitContainers(context: ContainerContext, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set((context.spec.containers ?? []).map(({ name }) => name))
  for (const [i, container] of (context.spec.initContainers ?? []).entries()) {
    const at = `${path}[${i}]`
    errors.push(...validateContainer(container, context, at))
    errors.push(...validateRestartPolicy(container, at, true))
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
    else if (container.name) names.add(container.name)
    errors.push(...validateHostPortsUnique([container], path))
    if (isSidecar(container)) errors.push(...validateLifecycleAndProbes(container, context.spec, at))
    else {
      for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
        if (container[field] !== undefined) {
          errors.push(forbidden(`${at}.${field}`, 'may not be set for init containers without restartPolicy=Always'))
        }
      }
      errors.push(...validateInitResizePolicy(container, `${at}.resizePolicy`))
    }
  }
  return errors
}

// What runs to its end is not restarted for a resize.
function validateInitResizePolicy({ resizePolicy }: coreV1.Container, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { restartPolicy }] of (resizePolicy ?? []).entries()) {
    if (restartPolicy !== 'RestartContainer') continue
    const detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
    errors.push(invalid(`${path}[${i}].restartPolicy`, restartPolicy, detail))
  }
  return errors
}

const ephemeralFields: ReadonlySet<string> = new Set([
  'name',
  'image',
  'command',
  'args',
  'workingDir',
  'envFrom',
  'env',
  'volumeMounts',
  'volumeDevices',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'imagePullPolicy',
  'securityContext',
  'stdin',
  'stdinOnce',
  'tty',
  'targetContainerName',
])

export function validateEphemeralContainers(context: ContainerContext, path: string): FieldError[] {
  const errors: FieldError[] = []
  const others = new Set([...(context.spec.containers ?? []), ...(context.spec.initContainers ?? [])].map(({ name }) => name))
  const names = new Set(others)
  for (const [i, container] of (context.spec.ephemeralContainers ?? []).entries()) {
    const at = `${path}[${i}]`
    errors.push(...validateContainer(container, context, at), ...validateImageWhitespace(container, at))
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
    names.add(container.name)
    if (container.targetContainerName && !others.has(container.targetContainerName)) {
      errors.push(notFound(`${at}.targetContainerName`, container.targetContainerName))
    }
    errors.push(...validateEphemeralFields(container, at))
  }
  return errors
}

function validateEphemeralFields(container: coreV1.EphemeralContainer, path: string): FieldError[] {
  const detail = 'cannot be set for an Ephemeral Container'
  const errors: FieldError[] = []
  for (const [field, value] of Object.entries(container)) {
    const isEmpty = value === undefined || (typeof value === 'object' && Object.keys(value).length === 0)
    if (!ephemeralFields.has(field) && !isEmpty) errors.push(forbidden(`${path}.${field}`, detail))
  }
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    if (mount.subPath) errors.push(forbidden(`${path}.volumeMounts[${i}].subPath`, detail))
    if (mount.subPathExpr) errors.push(forbidden(`${path}.volumeMounts[${i}].subPathExpr`, detail))
  }
  return errors
}

/** Only in pods: templates have always been let through with spaces around image names. */
export function validateImageWhitespace(container: AnyContainer, path: string): FieldError[] {
  const image = container.image ?? ''
  return image.trim() === image ? [] : [invalid(`${path}.image`, image, 'must not have leading or trailing whitespace')]
}

function validateContainer(container: AnyContainer, context: ContainerContext, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!container.name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, container.name, checkDns1123Label(container.name)))
  if (!container.image) errors.push(required(`${path}.image`))
  const policy = container.terminationMessagePolicy ?? ''
  if (policy === '') errors.push(required(`${path}.terminationMessagePolicy`))
  else if (policy !== 'File' && policy !== 'FallbackToLogsOnError') {
    errors.push(notSupported(`${path}.terminationMessagePolicy`, policy, ['File', 'FallbackToLogsOnError']))
  }
  errors.push(...validatePorts(container.ports, `${path}.ports`))
  errors.push(...validateEnv(container.env, `${path}.env`))
  errors.push(...validateEnvFrom(container.envFrom, `${path}.envFrom`))
  errors.push(...validateVolumeMounts(container, context.volumes, `${path}.volumeMounts`))
  errors.push(...validateVolumeDevices(container, context.volumes, `${path}.volumeDevices`))
  errors.push(...validatePullPolicy(container.imagePullPolicy, `${path}.imagePullPolicy`))
  errors.push(...validateContainerResources(container.resources ?? {}, context.claims, `${path}.resources`))
  errors.push(...validateResizePolicy(container, context.spec, `${path}.resizePolicy`))
  errors.push(...validateContainerSecurityContext(container.securityContext, `${path}.securityContext`, context.hostUsers))
  return errors
}

function validatePorts(ports: readonly coreV1.ContainerPort[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, port] of (ports ?? []).entries()) {
    const at = `${path}[${i}]`
    if (port.name) {
      const messages = checkPortName(port.name)
      errors.push(...invalidEach(`${at}.name`, port.name, messages))
      if (messages.length === 0 && names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name))
      names.add(port.name)
    }
    if (!port.containerPort) errors.push(required(`${at}.containerPort`))
    else errors.push(...invalidEach(`${at}.containerPort`, port.containerPort, checkPortNumber(port.containerPort)))
    if (port.hostPort) errors.push(...invalidEach(`${at}.hostPort`, port.hostPort, checkPortNumber(port.hostPort)))
    if (!port.protocol) errors.push(required(`${at}.protocol`))
    else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${at}.protocol`, port.protocol, protocols))
  }
  return errors
}

function validateHostPortsUnique(containers: readonly coreV1.Container[], path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, container] of containers.entries()) {
    for (const [j, { protocol, hostIP = '', hostPort }] of (container.ports ?? []).entries()) {
      if (!hostPort) continue
      const key = `${protocol}/${hostIP}/${hostPort}`
      if (seen.has(key)) errors.push(duplicate(`${path}[${i}].ports[${j}].hostPort`, key))
      seen.add(key)
    }
  }
  return errors
}

const envFieldPaths: ReadonlySet<string> = new Set([
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
])

function validateEnv(env: readonly coreV1.EnvVar[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, variable] of (env ?? []).entries()) {
    if (!variable.name) errors.push(required(`${path}[${i}].name`))
    else errors.push(...invalidEach(`${path}[${i}].name`, variable.name, checkRelaxedEnvVarName(variable.name)))
    if (variable.valueFrom !== undefined) errors.push(...validateEnvSource(variable, variable.valueFrom, `${path}[${i}].valueFrom`))
  }
  return errors
}

function validateEnvSource(variable: coreV1.EnvVar, source: coreV1.EnvVarSource, path: string): FieldError[] {
  const errors: FieldError[] = []
  let sources = 0
  if (source.fieldRef !== undefined) {
    sources++
    errors.push(...validateFieldRef(source.fieldRef, envFieldPaths, `${path}.fieldRef`))
  }
  if (source.resourceFieldRef !== undefined) {
    sources++
    errors.push(...validateResourceFieldRef(source.resourceFieldRef, `${path}.resourceFieldRef`, false))
  }
  for (const field of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = source[field]
    if (ref === undefined) continue
    sources++
    errors.push(...validateKeyRef(ref, `${path}.${field}`))
  }
  if (source.fileKeyRef !== undefined) {
    sources++
    errors.push(...validateFileKeyRef(source.fileKeyRef, `${path}.fileKeyRef`))
  }
  if (sources === 0) {
    const detail = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'
    errors.push(invalid(path, '', detail))
  } else if (variable.value) errors.push(invalid(path, '', 'may not be specified when `value` is not empty'))
  else if (sources > 1) errors.push(invalid(path, '', 'may not have more than one field specified at a time'))
  return errors
}

function validateKeyRef(ref: coreV1.ConfigMapKeySelector | coreV1.SecretKeySelector, path: string): FieldError[] {
  const errors = invalidEach(`${path}.name`, ref.name ?? '', nameIsDnsSubdomain(ref.name ?? '', false))
  if (!ref.key) return [...errors, required(`${path}.key`)]
  return [...errors, ...invalidEach(`${path}.key`, ref.key, checkConfigMapKey(ref.key))]
}

// KEP-3721: a file in an emptyDir that an init container wrote.
function validateFileKeyRef(ref: coreV1.FileKeySelector, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!ref.key) errors.push(required(`${path}.key`))
  else errors.push(...invalidEach(`${path}.key`, ref.key, checkRelaxedEnvVarName(ref.key)))
  if (!ref.volumeName) errors.push(required(`${path}.volumeName`))
  else errors.push(...invalidEach(`${path}.volumeName`, ref.volumeName, checkDns1123Label(ref.volumeName)))
  if (!ref.path) errors.push(required(`${path}.path`))
  else errors.push(...noBacksteps(ref.path, `${path}.path`))
  return errors
}

/** Environment files lie in emptyDirs of the same pod. */
export function validateFileKeyVolumes(spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const { container, path: at } of containersOf(spec, path)) {
    for (const [i, { valueFrom }] of (container.env ?? []).entries()) {
      if (valueFrom?.fileKeyRef === undefined) continue
      const name = valueFrom.fileKeyRef.volumeName ?? ''
      const field = `${at}.env[${i}].valueFrom.fileKeyRef.volumeName`
      const volume = (spec.volumes ?? []).findLast((other) => other.name === name)
      if (volume === undefined) errors.push(notFound(field, name))
      else if (volume.emptyDir === undefined) errors.push(invalid(field, name, 'referenced volume must be of type emptyDir'))
    }
  }
  return errors
}

function validateEnvFrom(sources: readonly coreV1.EnvFromSource[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, source] of (sources ?? []).entries()) {
    const at = `${path}[${i}]`
    if (source.prefix) errors.push(...invalidEach(`${at}.prefix`, source.prefix, checkRelaxedEnvVarName(source.prefix)))
    let count = 0
    for (const field of ['configMapRef', 'secretRef'] as const) {
      const ref = source[field]
      if (ref === undefined) continue
      count++
      if (!ref.name) errors.push(required(`${at}.${field}.name`))
      else errors.push(...invalidEach(`${at}.${field}.name`, ref.name, nameIsDnsSubdomain(ref.name, true)))
    }
    if (count === 0) errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'))
    else if (count > 1) errors.push(invalid(path, '', 'may not have more than one field specified at a time'))
  }
  return errors
}

function validateLifecycleAndProbes(container: coreV1.Container, spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const grace = spec.terminationGracePeriodSeconds
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = lifecycle?.[hook]
    if (handler !== undefined) errors.push(...validateHandler(handler, grace, `${path}.lifecycle.${hook}`))
  }
  if (livenessProbe !== undefined)
    errors.push(...validateProbe(livenessProbe, grace, `${path}.livenessProbe`), ...once(livenessProbe, `${path}.livenessProbe`))
  if (readinessProbe !== undefined) {
    errors.push(...validateProbe(readinessProbe, grace, `${path}.readinessProbe`))
    const seconds = readinessProbe.terminationGracePeriodSeconds
    if (seconds !== undefined) {
      errors.push(invalid(`${path}.readinessProbe.terminationGracePeriodSeconds`, seconds, 'must not be set for readinessProbes'))
    }
  }
  if (startupProbe !== undefined)
    errors.push(...validateProbe(startupProbe, grace, `${path}.startupProbe`), ...once(startupProbe, `${path}.startupProbe`))
  return errors
}

function once(probe: coreV1.Probe, path: string): FieldError[] {
  return probe.successThreshold === 1 ? [] : [invalid(`${path}.successThreshold`, probe.successThreshold, 'must be 1')]
}

const probeNumbers = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const

function validateProbe(probe: coreV1.Probe, grace: number | undefined, path: string): FieldError[] {
  const errors = validateHandler(probe, grace, path)
  for (const field of probeNumbers) {
    const value = probe[field] ?? 0
    if (value < 0) errors.push(invalid(`${path}.${field}`, value, notNegative))
  }
  const seconds = probe.terminationGracePeriodSeconds
  if (seconds !== undefined && seconds <= 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, seconds, 'must be greater than 0'))
  }
  return errors
}

type Handler = coreV1.ProbeHandler & coreV1.LifecycleHandler

function validateHandler(handler: Handler, grace: number | undefined, path: string): FieldError[] {
  const checks: readonly [keyof Handler, () => FieldError[]][] = [
    ['exec', () => ((handler.exec?.command ?? []).length === 0 ? [required(`${path}.exec.command`)] : [])],
    ['httpGet', () => validateHttpGet(handler.httpGet!, `${path}.httpGet`)],
    ['tcpSocket', () => validatePort(handler.tcpSocket!.port, `${path}.tcpSocket.port`)],
    ['grpc', () => validatePort(handler.grpc!.port, `${path}.grpc.port`)],
    ['sleep', () => validateSleep(handler.sleep!, grace, `${path}.sleep`)],
  ]
  const errors: FieldError[] = []
  let count = 0
  for (const [field, check] of checks) {
    if (handler[field] === undefined) continue
    count++
    if (count > 1) errors.push(forbidden(`${path}.${field}`, 'may not specify more than 1 handler type'))
    else errors.push(...check())
  }
  if (count === 0) errors.push(required(path, 'must specify a handler type'))
  return errors
}

function validateSleep({ seconds = 0 }: coreV1.SleepAction, grace: number | undefined, path: string): FieldError[] {
  if (grace === undefined || (seconds >= 0 && seconds <= grace)) return []
  return [invalid(path, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`)]
}

/** A port by number or by name. */
export function validatePort(port: number | string | undefined, path: string): FieldError[] {
  if (typeof port === 'string') return invalidEach(path, port, checkPortName(port))
  return invalidEach(path, port ?? 0, checkPortNumber(port ?? 0))
}

function validateHttpGet(action: coreV1.HTTPGetAction, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!action.path) errors.push(required(`${path}.path`))
  errors.push(...validatePort(action.port, `${path}.port`))
  if (action.scheme !== 'HTTP' && action.scheme !== 'HTTPS')
    errors.push(notSupported(`${path}.scheme`, action.scheme ?? '', ['HTTP', 'HTTPS']))
  for (const { name } of action.httpHeaders ?? [])
    errors.push(...invalidEach(`${path}.httpHeaders`, name ?? '', checkHttpHeaderName(name ?? '')))
  return errors
}

function validateResizePolicy(container: AnyContainer, spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { resourceName = '', restartPolicy = '' }] of (container.resizePolicy ?? []).entries()) {
    if (seen.has(resourceName)) errors.push(duplicate(`${path}[${i}]`, resourceName))
    seen.add(resourceName)
    if (resourceName === '') errors.push(required(path))
    else if (resourceName !== 'cpu' && resourceName !== 'memory') errors.push(notSupported(path, resourceName, ['cpu', 'memory']))
    if (restartPolicy === '') errors.push(required(path))
    else if (restartPolicy !== 'NotRequired' && restartPolicy !== 'RestartContainer') {
      errors.push(notSupported(path, restartPolicy, ['NotRequired', 'RestartContainer']))
    }
    if (spec.restartPolicy === 'Never' && restartPolicy !== 'NotRequired') {
      errors.push(invalid(path, restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    }
  }
  return errors
}

const restartPolicies = ['Always', 'Never', 'OnFailure']
const restartRulesMax = 20
const exitCodesMax = 255

// KEP-5307: a container may have a restart policy of its own, and rules by exit code.
function validateRestartPolicy(container: coreV1.Container, path: string, isInit = false): FieldError[] {
  const { restartPolicy, restartPolicyRules = [] } = container
  const errors: FieldError[] = []
  if (restartPolicy !== undefined && !restartPolicies.includes(restartPolicy)) {
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, restartPolicies))
  }
  if (restartPolicyRules.length === 0) return errors
  if (restartPolicy === undefined) {
    errors.push(required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used'))
    if (isInit) return errors
  }
  if (restartPolicyRules.length > restartRulesMax) {
    errors.push(tooMany(`${path}.restartPolicyRules`, restartPolicyRules.length, restartRulesMax))
  }
  for (const [i, rule] of restartPolicyRules.entries()) errors.push(...validateRestartRule(rule, `${path}.restartPolicyRules[${i}]`))
  return errors
}

function validateRestartRule({ action, exitCodes }: coreV1.ContainerRestartRule, path: string): FieldError[] {
  const errors: FieldError[] = []
  const actions = ['Restart', 'RestartAllContainers']
  if (!actions.includes(action)) errors.push(notSupported(`${path}.action`, action ?? '', actions))
  if (exitCodes === undefined) return [...errors, required(`${path}.exitCodes`, 'must be specified')]
  const { operator, values = [] } = exitCodes
  if (operator !== 'In' && operator !== 'NotIn') errors.push(notSupported(`${path}.exitCodes.operator`, operator ?? '', ['In', 'NotIn']))
  if (values.length > exitCodesMax) errors.push(tooMany(`${path}.exitCodes.values`, values.length, exitCodesMax))
  return errors
}
