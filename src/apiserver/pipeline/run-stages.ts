// The pipeline as a value: stages in the order they run, and what stands at their end.
import type { Handler, Stage } from '../request.ts'

/** One handler that runs the stages in order. Made once; a request costs no closure. */
export function runStages(stages: readonly Stage[], last: Handler): Handler {
  return stages.reduceRight<Handler>((next, stage) => (request) => stage.run(request, next), last)
}
