// Warnings about a pod's volumes: types that are going or gone, and files of one volume that lie in each other's way.
import type * as coreV1 from '../../generated/core-v1.ts'
import { goQuote } from '../../validation/text.ts'
import { claimWarnings } from './persistent-volumes.ts'

const outdatedTypes = [
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['ephemeral', ''],
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
] as const

/** `path` is that of the spec. */
export function volumeWarnings(volumes: readonly coreV1.Volume[] | undefined, path: string): string[] {
  const warnings: string[] = []
  for (const [i, volume] of (volumes ?? []).entries()) {
    const at = `${path}.volumes[${i}]`
    for (const [type, problem] of outdatedTypes) {
      if (volume[type] === undefined) continue
      const template = volume.ephemeral?.volumeClaimTemplate
      if (type !== 'ephemeral') warnings.push(`${at}.${type === 'storageos' ? 'storageOS' : type}: ${problem}`)
      else if (template !== undefined) warnings.push(...claimWarnings(template.spec, `${at}.ephemeral.volumeClaimTemplate.spec`))
    }
  }
  for (const volume of volumes ?? []) warnings.push(...overlapWarnings(volume))
  return warnings
}

interface Target {
  readonly path: string
  /** Where the file comes from, in a projected volume. */
  readonly source: string
}

function overlapWarnings(volume: coreV1.Volume): string[] {
  const { name, configMap, secret, downwardAPI, projected } = volume
  const warnings: string[] = []
  const report = (what: string, items: readonly { path: string }[] | undefined): void => {
    if (items !== undefined) warnings.push(...overlaps(name, what, targetsOf(items, '')))
  }
  report(`ConfigMap ${goQuote(configMap?.name ?? '')}`, configMap?.items)
  report(`Secret ${goQuote(secret?.secretName ?? '')}`, secret?.items)
  report('DownwardAPI', downwardAPI?.items)
  if (projected === undefined) return warnings
  const targets: Target[] = []
  for (const source of projected.sources ?? []) {
    if (Object.keys(source).length === 0) warnings.push(`volume ${goQuote(name)} (Projected) has no sources provided`)
    targets.push(...projectedTargets(source))
  }
  return [...warnings, ...overlaps(name, 'Projected', targets)]
}

function targetsOf(items: readonly { path: string }[], source: string): Target[] {
  return items.map(({ path }) => ({ path: path ?? '', source }))
}

function projectedTargets({ configMap, secret, downwardAPI, serviceAccountToken }: coreV1.VolumeProjection): Target[] {
  if (configMap?.items !== undefined) return targetsOf(configMap.items, `ConfigMap ${goQuote(configMap.name ?? '')}`)
  if (secret?.items !== undefined) return targetsOf(secret.items, `Secret ${goQuote(secret.name ?? '')}`)
  if (downwardAPI?.items !== undefined) return targetsOf(downwardAPI.items, 'DownwardAPI')
  return serviceAccountToken === undefined ? [] : [{ path: serviceAccountToken.path ?? '', source: 'ServiceAccountToken' }]
}

function overlaps(volume: string, what: string, targets: readonly Target[]): string[] {
  const warnings: string[] = []
  const earlier: Target[] = []
  for (const { path, source } of targets) {
    const target: Target = { path: path.replace(/\/+$/, ''), source }
    for (const other of earlier) {
      if (!inEachOthersWay(target.path, other.path)) continue
      warnings.push(`volume ${goQuote(volume)} (${what}): overlapping paths: ${shown(target)} with ${shown(other)}`)
    }
    earlier.push(target)
  }
  return warnings
}

function inEachOthersWay(a: string, b: string): boolean {
  return a !== '' && b !== '' && (`${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`))
}

function shown({ path, source }: Target): string {
  return source === '' ? goQuote(path) : `${goQuote(path)} (${source})`
}
