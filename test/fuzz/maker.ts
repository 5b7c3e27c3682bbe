// What makers of requests share.
import type { Dice } from './dice.ts'
import type { FuzzRequest } from './wire.ts'

/** Where a batch plays. */
export interface Scene {
  readonly namespace: string
  /** Names of objects that may or may not be there. */
  readonly names: readonly string[]
}

/** Draws one request. */
export type Maker = (dice: Dice, scene: Scene) => Omit<FuzzRequest, 'what'>

export const json = { 'content-type': 'application/json' }
export const protobuf = 'application/vnd.kubernetes.protobuf'
export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const
