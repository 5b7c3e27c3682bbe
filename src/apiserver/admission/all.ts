// The admission plugins, in Kubernetes' order: those that complete an object come before those that judge it.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { LocalReader } from '../request.ts'
import type { AdmissionPlugin } from './plugin.ts'

export interface AdmissionDeps {
  readonly reader: LocalReader
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
}

export function admissionPlugins(_deps: AdmissionDeps): readonly AdmissionPlugin[] {
  return []
}
