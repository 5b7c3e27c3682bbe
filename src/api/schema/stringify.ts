// JSON texts of values in which whole numbers beyond 2^53 are bigint, which the engine's encoder refuses. That is asked first all
// the same: such numbers are rare, and others pay nothing for them.

/** What stands for a member's value: as `JSON.stringify` takes it. */
export type Replacer = (key: string, value: unknown) => unknown

/** `JSON.stringify`, of values that may hold bigints. Undefined for what has no JSON. */
export function stringifyJson(value: unknown, replace?: Replacer): string {
  try {
    return JSON.stringify(value, replace)
  } catch (error) {
    if (error instanceof TypeError && holdsBigInt(value)) return exactText(value, replace)
    throw error
  }
}

function holdsBigInt(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  if (typeof value !== 'object' || value === null) return false
  for (const key in value) if (holdsBigInt((value as Record<string, unknown>)[key])) return true
  return false
}

function exactText(value: unknown, replace: Replacer | undefined): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map((item) => exactText(item, replace)).join(',')}]`
  if ('toJSON' in value && typeof value.toJSON === 'function') return JSON.stringify(value)
  const parts: string[] = []
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key]
    const shown = replace === undefined ? child : replace(key, child)
    if (shown !== undefined) parts.push(`${JSON.stringify(key)}:${exactText(shown, replace)}`)
  }
  return `{${parts.join(',')}}`
}
