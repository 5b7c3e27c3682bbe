// `$(NAME)` in commands, arguments and environment values, as Kubernetes expands it: unknown names stay as they are,
// `$$(NAME)` is the escaped form.

export function expand(text: string, lookup: (name: string) => string | undefined): string {
  if (!text.includes('$')) return text
  let out = ''
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '$' || i + 1 >= text.length) {
      out += text[i]
      continue
    }
    const next = text[i + 1]
    if (next === '$') {
      out += '$'
      i++
      continue
    }
    const close = next === '(' ? text.indexOf(')', i + 2) : -1
    if (close < 0) {
      out += '$'
      continue
    }
    const name = text.slice(i + 2, close)
    out += lookup(name) ?? `$(${name})`
    i = close
  }
  return out
}

/** `expand` that throws on the first unknown name, for paths (subPathExpr). */
export function expandStrictly(text: string, lookup: (name: string) => string | undefined): string {
  let missing: string | undefined
  const out = expand(text, (name) => {
    const value = lookup(name)
    if (value === undefined) missing ??= name
    return value
  })
  if (missing !== undefined) throw new Error(`missing value for ${JSON.stringify(missing)}`)
  return out
}
