// Seeded randomness, passed in like the clock. Not for secrets: those come from the platform's cryptographic source.

/** A generator of uniform numbers in [0, 1). */
export type Random = () => number

/** A small, fast, well-spread generator (mulberry32). The same seed gives the same run. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

// Kubernetes' alphabet for generated names: no vowels and no look-alikes, so no words appear.
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** A suffix such as ReplicaSets give their pods; five characters unless told. */
export function nameSuffix(random: Random, length = 5): string {
  let out = ''
  for (let i = 0; i < length; i++) out += nameAlphabet[Math.floor(random() * nameAlphabet.length)]
  return out
}

/** A seed that differs from run to run. */
export function freshSeed(): number {
  return Math.floor(Math.random() * 2 ** 32)
}
