// Certificates that vouch for a webhook, as a definition gives them.
import { X509Certificate } from 'node:crypto'

const block = /-----BEGIN ([^-]+)-----[\s\S]*?-----END \1-----/g

/** What is wrong with a base64 text of PEM certificates, in the words of Go's TLS; undefined when one of them can be used, or there are none. */
export function caBundleProblem(caBundle: string | undefined): string | undefined {
  if (!caBundle) return undefined
  const head = 'unable to load root certificates'
  const blocks = [...Buffer.from(caBundle, 'base64').toString().matchAll(block)]
  if (blocks.length === 0) return `${head}: unable to parse bytes as PEM block`
  let problem = 'no valid certificate authority data seen'
  for (const [text, type] of blocks) {
    if (type !== 'CERTIFICATE') continue
    try {
      void new X509Certificate(text)
      return undefined
    } catch {
      problem = 'failed to parse certificate: x509: malformed certificate'
    }
  }
  return `${head}: ${problem}`
}
