// The seats of the server, and how priority levels share them. Each level has its nominal number; a part of what it does not use it
// lends to others, and it may borrow from them. Kubernetes moves the limits every ten seconds by the demand that it saw; here each
// request that comes or goes moves them, since counting is all it takes.

/** A level's part in the whole. */
export interface SeatLimits {
  readonly nominal: number
  /** Of the nominal ones, how many others may have while this level does not need them. */
  readonly lendable: number
  /** How many beyond its nominal ones it may have at most; infinite: all that others lend. */
  readonly borrowing: number
}

/** All levels' seats together. */
export interface SeatPool {
  /** Sum of the nominal seats of all levels. */
  total: number
  used: number
  /** Seats that are kept for levels that do not use them and do not lend them. */
  kept: number
}

export interface LevelSeats {
  readonly used: number
  limits: SeatLimits
  /** Whether `seats` more may be taken now. A request wider than the level is let in when it is alone. */
  fits(seats: number): boolean
  /** Takes seats, or gives them back (negative). */
  take(seats: number): void
  /** The level is no more: its seats are nobody's. Those in use stay counted until they are given back. */
  retire(): void
}

export function createLevelSeats(pool: SeatPool, initial: SeatLimits): LevelSeats {
  let limits = initial
  let used = 0
  const kept = (): number => Math.max(0, limits.nominal - limits.lendable - used)
  pool.total += limits.nominal
  pool.kept += kept()
  return {
    get used() {
      return used
    },
    get limits() {
      return limits
    },
    set limits(next) {
      pool.total += next.nominal - limits.nominal
      pool.kept -= kept()
      limits = next
      pool.kept += kept()
    },
    fits(seats) {
      const after = used + seats
      if (after <= limits.nominal - limits.lendable) return true
      if (used === 0 && seats > limits.nominal) return true
      return after <= limits.nominal + limits.borrowing && pool.used + seats + pool.kept - kept() <= pool.total
    },
    take(seats) {
      pool.kept -= kept()
      used += seats
      pool.used += seats
      pool.kept += kept()
    },
    retire() {
      this.limits = { nominal: 0, lendable: 0, borrowing: 0 }
    },
  }
}

/** The limits of all levels: a share of the whole each, rounded up as Kubernetes rounds. */
export function shareOut(
  totalSeats: number,
  levels: readonly { readonly shares: number; readonly lendablePercent: number; readonly borrowingLimitPercent: number | undefined }[],
): SeatLimits[] {
  const sum = levels.reduce((shares, level) => shares + level.shares, 0)
  return levels.map(({ shares, lendablePercent, borrowingLimitPercent }) => {
    const nominal = sum === 0 ? 0 : Math.ceil((totalSeats * shares) / sum)
    return {
      nominal,
      lendable: Math.round((nominal * lendablePercent) / 100),
      borrowing: borrowingLimitPercent === undefined ? Number.POSITIVE_INFINITY : Math.round((nominal * borrowingLimitPercent) / 100),
    }
  })
}
