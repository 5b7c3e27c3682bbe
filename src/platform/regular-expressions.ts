// Regular expressions come from users too (patterns of custom resources). The engine normally tries every way to match, which a
// short pattern can make last for years; V8 has one that takes linear time, and can change over when it notices, if the expression is one that it knows.
import { setFlagsFromString } from 'node:v8'

/** From now on an expression that backtracks too much is matched in linear time, for this whole process. */
export function boundRegularExpressions(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  setFlagsFromString('--enable-experimental-regexp-engine')
}

/**
 * Whether the engine can change over for this expression: it cannot for bounded repetitions of more than a few, for looking around and
 * for back references, nor in unicode mode. After `boundRegularExpressions`; before it the answer is always no.
 */
export function canBeLinear(source: string): boolean {
  try {
    new RegExp(source, 'l')
    return true
  } catch {
    return false
  }
}
