// What a registry said, as one of our codes. Both engines pass the registry's words on; neither says the kind of failure apart.
import type { RuntimeErrorCode } from './runtime.ts'

/** The code for the words of a failed pull. */
export function pullErrorCode(message: string): RuntimeErrorCode {
  if (/unauthorized|authentication required|authorization failed|no basic auth credentials|denied|403 Forbidden/i.test(message)) {
    return 'unauthorized'
  }
  if (
    /no such host|server misbehaving|connection refused|i\/o timeout|TLS handshake|network is unreachable|no route to host|request canceled|unexpected EOF|Service Unavailable/i.test(
      message,
    )
  ) {
    return 'registryUnavailable'
  }
  if (/manifest unknown|not found|name unknown|does not exist/i.test(message)) return 'imageNotFound'
  return 'imagePullFailed'
}
