// Regular expressions come from users too (patterns of custom resources). The engine normally tries every way to match, which a
// short pattern can make last for years; V8 has one that takes linear time, and can change over when it notices, if the expression is one that it knows.
import { setFlagsFromString } from 'node:v8'

/** From now on an expression that backtracks too much is matched in linear time, for this whole process. */
export function boundRegularExpressions(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  setFlagsFromString('--enable-experimental-regexp-engine')
}

/**
 * The expression for the linear engine alone, for patterns of users; undefined when that does not know it: bounded repetitions of more than
 * a few, looking around, back references. (Changing over is no promise: some expressions backtrack for long before V8 notices.) After
 * `boundRegularExpressions`; before it there is none.
 */
export function linearExpression(source: string): RegExp | undefined {
  try {
    return new RegExp(source, 'l')
  } catch {
    return undefined
  }
}
