// The blocks of PEM (RFC 7468), as far as the API looks: what they are called and whether they have headers.

export interface PemBlock {
  readonly label: string
  readonly hasHeaders: boolean
}

const block = /^-----BEGIN ([^\r\n]+?)-----[ \t]*\r?\n((?:[^\r\n:-]+:[^\r\n]*\r?\n)*)([A-Za-z0-9+/=\s]*)-----END \1-----[ \t]*$/gm

/** The blocks in a text, in order; what is no block is passed over. */
export function pemBlocks(text: string): PemBlock[] {
  return Array.from(text.matchAll(block), ([, label, headers]) => ({ label: label!, hasHeaders: headers !== '' }))
}
