// The part of JSONPath that printer columns, scale and selectable fields use: names, indexes, `[*]`, and filters by equality.

type Step =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'all' }
  | { readonly type: 'filter'; readonly path: readonly string[]; readonly value: string | number | boolean }

const token =
  /\.?([A-Za-z0-9_$-](?:\\.|[^.[\]\\])*)|\[(\d+)\]|\[\*\]|\.\*|\['((?:\\.|[^'\\])*)'\]|\["((?:\\.|[^"\\])*)"\]|\[\?\(\s*@\.([\w.-]+)\s*==\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|true|false|-?[\d.]+)\s*\)\]/y

/** A compiled path; undefined when it uses what is not known here. */
export type JsonPath = (value: unknown) => unknown[]

export function compileJsonPath(text: string): JsonPath | undefined {
  const source = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  const steps: Step[] = []
  token.lastIndex = source.startsWith('$') ? 1 : 0
  while (token.lastIndex < source.length) {
    const at = token.lastIndex
    const match = token.exec(source)
    if (match === null || token.lastIndex === at) return undefined
    const [whole, name, index, single, double, filterPath, filterValue] = match
    if (name !== undefined) steps.push({ type: 'name', name: name.replace(/\\(.)/g, '$1') })
    else if (index !== undefined) steps.push({ type: 'index', index: Number(index) })
    else if (single !== undefined || double !== undefined) steps.push({ type: 'name', name: (single ?? double)!.replace(/\\(.)/g, '$1') })
    else if (filterPath !== undefined) steps.push({ type: 'filter', path: filterPath.split('.'), value: literal(filterValue!) })
    else if (whole === '[*]' || whole === '.*') steps.push({ type: 'all' })
  }
  return (value) => steps.reduce<unknown[]>((found, step) => found.flatMap((one) => follow(one, step)), [value])
}

function literal(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  if (text.startsWith('"') || text.startsWith("'")) return text.slice(1, -1).replace(/\\(.)/g, '$1')
  return Number(text)
}

function follow(value: unknown, step: Step): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  switch (step.type) {
    case 'name':
      return !Array.isArray(value) && Object.hasOwn(value, step.name) ? [(value as Record<string, unknown>)[step.name]] : []
    case 'index':
      return Array.isArray(value) && step.index < value.length ? [value[step.index]] : []
    case 'all':
      return Object.values(value)
    case 'filter':
      return (Array.isArray(value) ? value : Object.values(value)).filter((item) => at(item, step.path) === step.value)
  }
}

function at(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}
