// Bootstrap tokens: secrets `bootstrap-token-<id>` in kube-system, with which new nodes introduce themselves (KEP-130).
import { createHash, timingSafeEqual } from 'node:crypto'
import { Secret } from '#api/kinds/core/secret'
import type { Clock } from '#base/clock'
import type { LocalReader } from '../request.ts'
import { authenticated } from './authenticator.ts'
import type { LocalTokenAuthenticator } from './tokens.ts'

const tokenForm = /^([a-z0-9]{6})\.([a-z0-9]{16})$/
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

export function bootstrapTokenAuthenticator({ reader, clock }: { reader: LocalReader; clock: Clock }): LocalTokenAuthenticator {
  return {
    name: 'bootstrap-token',
    authenticateToken(token) {
      const match = tokenForm.exec(token)
      if (match === null) return undefined
      const [, id = '', secretText = ''] = match
      const secret = reader.get(Secret, 'kube-system', `bootstrap-token-${id}`)
      if (secret === undefined || secret.type !== 'bootstrap.kubernetes.io/token' || secret.metadata.deletionTimestamp !== undefined)
        return undefined
      const read = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8')
      if (read('token-id') !== id || !sameText(read('token-secret'), secretText)) return undefined
      const expiration = read('expiration')
      // An expiration that cannot be read has passed.
      if (expiration !== '' && !(Date.parse(expiration) > clock.now())) return undefined
      if (read('usage-bootstrap-authentication') !== 'true') return undefined
      const extraGroups = read('auth-extra-groups')
        .split(',')
        .filter((group) => group !== '')
      if (!extraGroups.every((group) => groupForm.test(group))) return undefined
      const groups = [...new Set(['system:bootstrappers', ...extraGroups])].sort()
      return { user: authenticated({ name: `system:bootstrap:${id}`, groups }), audiences: [] }
    },
  }
}

function sameText(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(a), hash(b))
}
