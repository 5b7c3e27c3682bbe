// Headers that say who somebody is (Impersonate-*, X-Remote-*). Each value of them stands for itself and may hold commas, so several
// of one name are not joined as HTTP joins others: they are kept apart by a line feed, which no header value can hold.

const separator = '\n'
const none: readonly string[] = []

function isIdentityHeader(name: string): boolean {
  return name.startsWith('impersonate-') || name.startsWith('x-remote-')
}

/**
 * Sets the identity headers of `headers` (lower-case names) anew from `raw`, names and values by turns as they came, so that
 * `identityValues` tells them apart. Does nothing for the many requests that have none.
 */
export function separateIdentityHeaders(headers: Record<string, string | undefined>, raw: readonly string[]): void {
  if (headers['impersonate-user'] === undefined && headers['x-remote-user'] === undefined) return
  const seen = new Set<string>()
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (!isIdentityHeader(name)) continue
    headers[name] = seen.has(name) ? `${headers[name]}${separator}${raw[at + 1]}` : raw[at + 1]!
    seen.add(name)
  }
}

/** The values of an identity header, in the order they came. */
export function identityValues(header: string | undefined): readonly string[] {
  return header === undefined ? none : header.split(separator)
}
