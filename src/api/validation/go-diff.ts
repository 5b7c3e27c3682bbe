// The difference of two structures as people know it from Kubernetes' refusals: unchanged fields counted, changed ones with - and +.
import { semanticEqual } from './field-errors.ts'
import { goQuote } from './text.ts'

const linesMax = 200

/** What changed from `old` to `value`, below a type's name, e.g. `core.PodSpec`. Bounded; ends with `...` when cut. */
export function goDiff(typeName: string, old: object, value: object): string {
  const lines: string[] = []
  diffObject(typeName, old as Record<string, unknown>, value as Record<string, unknown>, '', '', lines)
  if (lines.length > linesMax) lines.splice(linesMax, lines.length, '  ...')
  return `${lines.join('\n')}\n`
}

function diffObject(
  label: string,
  old: Record<string, unknown>,
  value: Record<string, unknown>,
  indent: string,
  ending: string,
  lines: string[],
): void {
  lines.push(`  ${indent}${label}{`)
  const names = [...new Set([...Object.keys(old), ...Object.keys(value)])]
  let same = 0
  const flush = (): void => {
    if (same > 0) lines.push(`  ${indent}\t... // ${same} identical ${same === 1 ? 'field' : 'fields'}`)
    same = 0
  }
  for (const name of names) {
    const [before, after] = [old[name], value[name]]
    if (semanticEqual(before, after)) {
      same++
      continue
    }
    flush()
    diffValue(fieldName(name), before, after, `${indent}\t`, lines)
  }
  flush()
  lines.push(`  ${indent}}${ending}`)
}

function diffValue(name: string, before: unknown, after: unknown, indent: string, lines: string[]): void {
  if (isObject(before) && isObject(after)) return diffObject(`${name}: `, before, after, indent, ',', lines)
  if (Array.isArray(before) && Array.isArray(after)) return diffList(name, before, after, indent, lines)
  lines.push(`- ${indent}${name}: ${render(before)},`, `+ ${indent}${name}: ${render(after)},`)
}

function diffList(name: string, before: readonly unknown[], after: readonly unknown[], indent: string, lines: string[]): void {
  lines.push(`  ${indent}${name}: {`)
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const [left, right] = [before[i], after[i]]
    if (i < before.length && i < after.length) {
      if (!semanticEqual(left, right)) diffElement(left, right, `${indent}\t`, lines)
    } else if (i < before.length) lines.push(`- ${indent}\t${render(left)},`)
    else lines.push(`+ ${indent}\t${render(right)},`)
  }
  lines.push(`  ${indent}},`)
}

function diffElement(before: unknown, after: unknown, indent: string, lines: string[]): void {
  if (isObject(before) && isObject(after)) diffObject('', before, after, indent, ',', lines)
  else lines.push(`- ${indent}${render(before)},`, `+ ${indent}${render(after)},`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Go's name of a field: the JSON name with a capital first letter. */
function fieldName(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}

function render(value: unknown): string {
  if (value === undefined || value === null) return 'nil'
  if (typeof value === 'string') return goQuote(value)
  if (Array.isArray(value)) return `{${value.map(render).join(', ')}}`
  if (!isObject(value)) return String(value)
  const members = Object.entries(value).map(([name, member]) => `${fieldName(name)}: ${render(member)}`)
  return `{${members.join(', ')}}`
}
