// Short, stable names for contents: pod templates, controller revisions. Not for security.

/** 32-bit FNV-1a of the text's UTF-16 code units, low byte first. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    hash = Math.imul(hash ^ (code & 0xff), 0x01000193)
    if (code > 0xff) hash = Math.imul(hash ^ (code >> 8), 0x01000193)
  }
  return hash >>> 0
}

const safeAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** Rewrites text in Kubernetes' alphabet for names: no vowels, no look-alikes. */
export function safeEncode(text: string): string {
  let out = ''
  for (let i = 0; i < text.length; i++) out += safeAlphabet[text.charCodeAt(i) % safeAlphabet.length]
  return out
}

/** JSON with sorted keys and without empty members, so that equal contents give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const object = value as Record<string, unknown>
  const members: string[] = []
  for (const key of Object.keys(object).sort()) {
    const member = object[key]
    if (member === undefined || member === null) continue
    const text = canonicalJson(member)
    if (text !== '{}' || !isPlainMap(key)) members.push(`${JSON.stringify(key)}:${text}`)
  }
  return `{${members.join(',')}}`
}

// Empty labels, annotations and the like are the same as none; an empty struct (emptyDir) says something.
const plainMaps: ReadonlySet<string> = new Set([
  'labels',
  'annotations',
  'nodeSelector',
  'resources',
  'limits',
  'requests',
  'metadata',
  'securityContext',
])

function isPlainMap(key: string): boolean {
  return plainMaps.has(key)
}

/** The `pod-template-hash` of a template. `collisionCount` makes another one when two templates met on the same name. */
export function templateHash(template: unknown, collisionCount?: number): string {
  const text = collisionCount === undefined ? canonicalJson(template) : `${canonicalJson(template)}#${collisionCount}`
  return safeEncode(String(fnv1a32(text)))
}
