// For bugs, not for bad input: a failed assertion means the program is wrong and should stop rather than go on.

/** Throws when `condition` does not hold; narrows its type when it does. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** The end of a switch over a closed union: a compile error when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unreachable value ${JSON.stringify(value)}`)
}
