// Pretty JSON, made from the compact text alone: numbers stay as they are written, and keys where they stand.

const indents: string[] = ['\n']

function newline(depth: number): string {
  while (indents.length <= depth) indents.push(`${indents.at(-1)}  `)
  return indents[depth]!
}

/** Compact JSON with a line for each value, two spaces deeper for each object or list around it; empty ones stay on one line. */
export function indentJson(text: string): string {
  let out = ''
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      for (at++; at < text.length; at++) {
        const inner = text.charCodeAt(at)
        if (inner === 0x22) break
        if (inner === 0x5c) at++
      }
    } else if (code === 0x7b || code === 0x5b) {
      const next = text.charCodeAt(at + 1)
      if (next === code + 2) {
        at++
        continue
      }
      depth++
      out += text.slice(from, at + 1) + newline(depth)
      from = at + 1
    } else if (code === 0x7d || code === 0x5d) {
      depth--
      out += text.slice(from, at) + newline(depth)
      from = at
    } else if (code === 0x2c) {
      out += text.slice(from, at + 1) + newline(depth)
      from = at + 1
    } else if (code === 0x3a) {
      out += `${text.slice(from, at + 1)} `
      from = at + 1
    }
  }
  return out + text.slice(from)
}
