// How fast and how far an autoscaler may go: stabilization over recent recommendations, and limits by rate (KEP-853). Pure: what is
// remembered of an autoscaler goes in and out as a value.
import type { HorizontalPodAutoscalerSpec, HPAScalingRules } from '#api/generated/autoscaling-v2'

export interface Recommendation {
  readonly replicas: number
  readonly atMs: number
}

export interface ScaleEvent {
  /** Never negative. */
  readonly change: number
  readonly atMs: number
}

/** What is remembered of one autoscaler. */
export interface History {
  /** Not stabilized; those that no window reaches any more are gone. */
  readonly recommendations: readonly Recommendation[]
  readonly ups: readonly ScaleEvent[]
  readonly downs: readonly ScaleEvent[]
}

export const noHistory: History = { recommendations: [], ups: [], downs: [] }

export interface Limited {
  readonly replicas: number
  readonly ableToScale: { readonly reason: string; readonly message: string }
  readonly scalingLimited: { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string }
  readonly recommendations: readonly Recommendation[]
}

export interface Wish {
  readonly current: number
  readonly desired: number
  readonly min: number
  readonly max: number
}

// Kubernetes' --horizontal-pod-autoscaler-downscale-stabilization.
export const downscaleWindowSeconds = 300

const upstabilized = {
  reason: 'ScaleUpStabilized',
  message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
} as const
const downstabilized = {
  reason: 'ScaleDownStabilized',
  message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
} as const
const unchanged = { reason: 'ReadyForNewScale', message: 'recommended size matches current size' } as const

interface Bounded {
  readonly replicas: number
  readonly reason: string
  readonly message: string
}

const within = (replicas: number): Bounded => ({
  replicas,
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
})

/** The count that is to be, and what the conditions say of it. */
export function limitReplicas(wish: Wish, behavior: HorizontalPodAutoscalerSpec['behavior'], history: History, nowMs: number): Limited {
  const { stable, told, recommendations } =
    behavior === undefined ? stabilize(wish, history, nowMs) : stabilizeBy(wish, behavior, history, nowMs)
  const stabilized = { ...wish, desired: stable }
  const bounded = behavior === undefined ? boundByDefault(stabilized) : boundByRate(stabilized, behavior, history, nowMs)
  return {
    replicas: bounded.replicas,
    ableToScale: stable === wish.desired ? unchanged : told,
    scalingLimited: { status: bounded.replicas === stable ? 'False' : 'True', reason: bounded.reason, message: bounded.message },
    recommendations,
  }
}

type Told = typeof upstabilized | typeof downstabilized
interface Stable {
  readonly stable: number
  readonly told: Told
  readonly recommendations: readonly Recommendation[]
}

/** The highest recommendation of the last minutes: nobody goes down in haste. */
function stabilize({ desired }: Wish, { recommendations }: History, nowMs: number): Stable {
  const recent = recommendations.filter(({ atMs }) => atMs >= nowMs - downscaleWindowSeconds * 1_000)
  return {
    stable: Math.max(desired, ...recent.map(({ replicas }) => replicas)),
    told: downstabilized,
    recommendations: [...recent, { replicas: desired, atMs: nowMs }],
  }
}

/** Each direction has its window; within them the count moves no more than all recommendations agree on. */
function stabilizeBy(
  { current, desired }: Wish,
  behavior: NonNullable<HorizontalPodAutoscalerSpec['behavior']>,
  { recommendations }: History,
  nowMs: number,
): Stable {
  const cutoff = (rules: HPAScalingRules | undefined, seconds: number): number =>
    nowMs - (rules?.stabilizationWindowSeconds ?? seconds) * 1_000
  const upCutoff = cutoff(behavior.scaleUp, 0)
  const downCutoff = cutoff(behavior.scaleDown, downscaleWindowSeconds)
  const after = (cutoffMs: number): number[] => recommendations.filter(({ atMs }) => atMs > cutoffMs).map(({ replicas }) => replicas)
  const lowest = Math.min(desired, ...after(upCutoff))
  const highest = Math.max(desired, ...after(downCutoff))
  return {
    stable: Math.min(Math.max(current, lowest), highest),
    told: desired >= current ? upstabilized : downstabilized,
    recommendations: [...recommendations.filter(({ atMs }) => atMs >= Math.min(upCutoff, downCutoff)), { replicas: desired, atMs: nowMs }],
  }
}

const tooMany = { reason: 'TooManyReplicas', message: 'the desired replica count is more than the maximum replica count' } as const
const tooFew = { reason: 'TooFewReplicas', message: 'the desired replica count is less than the minimum replica count' } as const
const tooFastUp = {
  reason: 'ScaleUpLimit',
  message: 'the desired replica count is increasing faster than the maximum scale rate',
} as const
const tooFastDown = {
  reason: 'ScaleDownLimit',
  message: 'the desired replica count is decreasing faster than the maximum scale rate',
} as const

/** Without rules of its own an autoscaler at most doubles the count at once, or goes to four. */
function boundByDefault({ current, desired, min, max }: Wish): Bounded {
  const limit = Math.max(2 * current, 4)
  const [most, why] = max > limit ? [limit, tooFastUp] : [max, tooMany]
  if (desired < min) return { replicas: min, ...tooFew }
  return desired > most ? { replicas: most, ...why } : within(desired)
}

function boundByRate(
  { current, desired, min, max }: Wish,
  behavior: NonNullable<HorizontalPodAutoscalerSpec['behavior']>,
  history: History,
  nowMs: number,
): Bounded {
  if (desired > current) {
    const limit = Math.max(rateLimit(1, current, behavior.scaleUp, history, nowMs), current)
    const [most, why] = max > limit ? [limit, tooFastUp] : [max, tooMany]
    if (desired > most) return { replicas: most, ...why }
  } else if (desired < current) {
    const limit = Math.min(rateLimit(-1, current, behavior.scaleDown, history, nowMs), current)
    const [least, why] = min < limit ? [limit, tooFastDown] : [min, tooFew]
    if (desired < least) return { replicas: least, ...why }
  }
  return within(desired)
}

/** How far the policies let the count go in one direction. */
function rateLimit(direction: 1 | -1, current: number, rules: HPAScalingRules | undefined, history: History, nowMs: number): number {
  const { selectPolicy = 'Max', policies = [] } = rules ?? {}
  if (selectPolicy === 'Disabled') return current
  const proposals = policies.map(({ type, value, periodSeconds }) => {
    const sinceMs = nowMs - periodSeconds * 1_000
    const before = current - changeSince(history.ups, sinceMs) + changeSince(history.downs, sinceMs)
    if (type === 'Pods') return before + direction * value
    // Rounded so that the count can move at all.
    return direction === 1 ? Math.ceil(before * (1 + value / 100)) : Math.trunc(before * (1 - value / 100))
  })
  // The most change is the highest count on the way up, the lowest on the way down.
  const highest = (selectPolicy === 'Min') === (direction === -1)
  return highest ? Math.max(...proposals) : Math.min(...proposals)
}

function changeSince(events: readonly ScaleEvent[], sinceMs: number): number {
  return events.reduce((sum, { change, atMs }) => (atMs > sinceMs ? sum + change : sum), 0)
}

/** The history after a change of the count. What no policy's period reaches is forgotten. */
export function withScaleEvent(
  history: History,
  behavior: HorizontalPodAutoscalerSpec['behavior'],
  { from, to }: { from: number; to: number },
  nowMs: number,
): History {
  if (behavior === undefined) return history
  const add = (events: readonly ScaleEvent[], rules: HPAScalingRules | undefined, change: number): ScaleEvent[] => {
    const longest = Math.max(0, ...(rules?.policies ?? []).map(({ periodSeconds }) => periodSeconds))
    return [...events.filter(({ atMs }) => atMs >= nowMs - longest * 1_000), { change, atMs: nowMs }]
  }
  return to > from
    ? { ...history, ups: add(history.ups, behavior.scaleUp, to - from) }
    : { ...history, downs: add(history.downs, behavior.scaleDown, from - to) }
}
