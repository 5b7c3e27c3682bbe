// How the command fails: one line that says what to do, no stack trace unless asked; 1 for failed, 2 for wrong usage.

export const exitCodes = { done: 0, failed: 1, usage: 2 } as const

/** A failure whose message is meant for the user as it is. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  constructor(message: string, options?: { exitCode?: number; cause?: unknown }) {
    super(message, options)
    this.exitCode = options?.exitCode ?? exitCodes.failed
  }
}

/** Wrong usage: exit code 2. */
export function usageFailure(message: string): Failure {
  return new Failure(message, { exitCode: exitCodes.usage })
}

/** Prints the failure and sets the exit code. */
export function reportFailure(error: unknown): void {
  const verbose = process.argv.includes('--verbose')
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`navarch: ${message}\n`)
  if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exitCode = error instanceof Failure ? error.exitCode : exitCodes.failed
}
