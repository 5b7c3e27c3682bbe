// What mutating webhooks and policies remember of a write between its two rounds: whoever wishes so is asked once more when
// something behind it has changed the object.
import { sameJson } from '../registry/written.ts'
import type { AdmissionRequest } from './plugin.ts'

const secondRounds = new WeakSet<AdmissionRequest>()

/** All plugins are about to look at the write once more. */
export function beginSecondRound(request: AdmissionRequest): void {
  secondRounds.add(request)
}

/** One write's progress through the webhooks, or through the policies. */
export class Reinvocation {
  /** 0, and 1 when all is gone through once more. */
  round = 0
  /** One of them has changed the object. */
  changed = false
  private readonly reinvocable = new Set<string>()
  private readonly again = new Set<string>()
  private left: unknown

  /** A round begins. In the second, other plugins may have changed the object since the first ended. */
  begin(request: AdmissionRequest): void {
    if (!secondRounds.has(request)) return
    this.round = 1
    if (this.reinvocable.size > 0 && !sameJson(this.left, request.object)) this.requireAgain()
  }

  /** Whether this one is passed over: in the second round, those that need not be asked again. */
  skips(id: string): boolean {
    return this.round > 0 && !this.again.has(id)
  }

  /** This one was asked. */
  asked(id: string, outcome: { readonly changed: boolean; readonly again: boolean }): void {
    if (outcome.changed) {
      this.changed = true
      this.requireAgain()
    }
    if (outcome.again) this.reinvocable.add(id)
  }

  end({ object }: AdmissionRequest): void {
    if (this.round === 0 && this.reinvocable.size > 0) this.left = structuredClone(object)
  }

  private requireAgain(): void {
    for (const id of this.reinvocable) this.again.add(id)
    this.reinvocable.clear()
  }
}

/** The progress of each write that is under way. */
export function reinvocations(): { of(request: AdmissionRequest): Reinvocation; changed(request: AdmissionRequest): boolean } {
  const writes = new WeakMap<AdmissionRequest, Reinvocation>()
  return {
    of(request) {
      let found = writes.get(request)
      if (found === undefined) {
        found = new Reinvocation()
        writes.set(request, found)
      }
      return found
    },
    changed: (request) => writes.get(request)?.changed ?? false,
  }
}
