// Parts of stored objects that come again word for word: the spec of all pods of one template, the status of those that nobody runs
// yet. They are parsed once and kept once, and who writes them again knows their text. Bounded by the characters of the texts: those
// that were not asked for while as many others came are forgotten.
import type { Kind } from '#api/kind'

/** Fields by name. Shared: neither they nor what they hold may be changed. */
export type Fields = Readonly<Record<string, unknown>>

interface Part {
  readonly kind: Kind
  readonly fields: Fields
}

interface Text {
  readonly kind: Kind
  readonly text: string
}

// Texts of values that are parts' only field. They end with the value.
const texts = new WeakMap<object, Text>()

/** The parts of one place in objects. */
export class SharedParts {
  readonly #charsMax: number
  #young = new Map<string, Part>()
  #old = new Map<string, Part>()
  #chars = 0

  constructor(charsMax: number) {
    this.#charsMax = charsMax
  }

  /**
   * The fields of a part whose text is that of whole fields with a comma before each; `parse` makes them when they are not known.
   * What `parse` throws is passed on.
   */
  fieldsOf(kind: Kind, text: string, parse: (kind: Kind, text: string) => Fields): Fields {
    const young = this.#young.get(text)
    if (young?.kind === kind) return young.fields
    const old = this.#old.get(text)
    const fields = old?.kind === kind ? old.fields : parse(kind, text)
    // A text so long is hardly anybody's template.
    if (text.length * 4 > this.#charsMax) return fields
    this.#chars += text.length
    if (this.#chars > this.#charsMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#chars = text.length
    }
    this.#young.set(text, { kind, fields })
    rememberText(kind, text, fields)
    return fields
  }
}

function rememberText(kind: Kind, text: string, fields: Fields): void {
  const names = Object.keys(fields)
  const [name] = names
  if (names.length !== 1 || name === undefined) return
  const value = fields[name]
  if (typeof value !== 'object' || value === null) return
  texts.set(value, { kind, text: text.slice(JSON.stringify(name).length + 2) })
}

/** The text of a value that was read from one of these parts; undefined for others. */
export function knownText(kind: Kind, value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const known = texts.get(value)
  return known?.kind === kind ? known.text : undefined
}
