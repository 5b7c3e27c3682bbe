// Regular expressions come from users too (patterns of custom resources). The engine normally tries every way to match, which a
// short pattern can make last for years; V8 has one that takes linear time, and can change over when it notices.
import { setFlagsFromString } from 'node:v8'

/** From now on an expression that backtracks too much is matched in linear time, for this whole process. */
export function boundRegularExpressions(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
}
