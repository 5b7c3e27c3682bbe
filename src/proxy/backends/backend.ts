// `ProxyBackend`: make the host equal this whole RuleSet. Calling twice changes nothing.
import type { RuleSet } from '../rule-set.ts'

export interface ProxyBackend {
  /** Resolves when the kernel has it. Throws with the kernel's words; the caller tries again. */
  apply(rules: RuleSet): Promise<void>
  /** Takes everything away. */
  remove(): Promise<void>
}
