// Base64 as it stands in `data` of Secrets and `binaryData` of ConfigMaps, without Node's or the browser's help.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** How many bytes a base64 text stands for. */
export function base64Bytes(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return Math.floor((text.length * 3) / 4) - padding
}

/** UTF-8 text in base64. */
export function encodeBase64Text(text: string): string {
  const bytes = utf8(text)
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i]!, bytes[i + 1], bytes[i + 2]]
    out += alphabet[a >> 2]! + alphabet[((a & 3) << 4) | ((b ?? 0) >> 4)]!
    out += b === undefined ? '=' : alphabet[((b & 15) << 2) | ((c ?? 0) >> 6)]!
    out += c === undefined ? '=' : alphabet[c & 63]!
  }
  return out
}

/** The text that base64 stands for; bytes that are no UTF-8 come out as U+FFFD. */
export function decodeBase64Text(text: string): string {
  const bytes: number[] = []
  let bits = 0
  let count = 0
  for (const char of text) {
    const value = alphabet.indexOf(char)
    if (value < 0) continue
    bits = ((bits << 6) | value) & 0xffffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes.push((bits >> count) & 0xff)
  }
  return fromUtf8(bytes)
}

function utf8(text: string): number[] {
  const bytes: number[] = []
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return bytes
}

function fromUtf8(bytes: readonly number[]): string {
  let out = ''
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]!
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0
    let code = length === 1 ? first : first & (0xff >> (length + 1))
    let valid = length > 0
    for (let j = 1; j < length; j++) {
      const next = bytes[i + j]
      if (next === undefined || (next & 0xc0) !== 0x80) valid = false
      else code = (code << 6) | (next & 63)
    }
    out += valid && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
    i += valid ? length : 1
  }
  return out
}
