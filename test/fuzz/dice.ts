// Chance for fuzzing: everything that is drawn comes from one seed, so that a seed names a run.
import { type Random, seededRandom } from '#base/random'

export interface Dice {
  readonly random: Random
  /** A whole number in [0, n). */
  below(n: number): number
  /** True about once in `n`. */
  oneIn(n: number): boolean
  pick<T>(list: readonly T[]): T
  bytes(length: number): Buffer
}

export function rollDice(seed: number): Dice {
  const random = seededRandom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  return {
    random,
    below,
    oneIn: (n) => below(n) === 0,
    pick: (list) => list[below(list.length)]!,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  }
}
