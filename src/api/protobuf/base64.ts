// Standard base64 between texts and bytes, without Buffer.

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Uint8Array(128)
for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i

// String.fromCharCode takes so many arguments at a time.
const chunkChars = 8_192

export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let at = 0
  for (let i = 0; i < bytes.length; i += 3) {
    const triple = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    for (let shift = 18; shift >= 0; shift -= 6) codes[at++] = digits.charCodeAt((triple >> shift) & 63)
  }
  const missing = (3 - (bytes.length % 3)) % 3
  codes.fill(0x3d, codes.length - missing)
  let text = ''
  for (let i = 0; i < codes.length; i += chunkChars) text += String.fromCharCode(...codes.subarray(i, i + chunkChars))
  return text
}

/** Of canonical base64, as decoding objects leaves it. */
export function fromBase64(text: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let at = 0
  for (let i = 0; i < text.length; i += 4) {
    let triple = 0
    for (let j = 0; j < 4; j++) triple = (triple << 6) | values[text.charCodeAt(i + j)]!
    for (let shift = 16; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = (triple >> shift) & 255
  }
  return bytes
}
