// Tokens from a file: `token,user,uid,"group1,group2"`, a line each. For tests and for a first access.
import { createHash } from 'node:crypto'
import type { User } from '../request.ts'
import { authenticated } from './authenticator.ts'
import type { LocalTokenAuthenticator } from './tokens.ts'

/** Throws when a line has fewer than three columns. */
export function staticTokenAuthenticator(csv: string): LocalTokenAuthenticator {
  const users = new Map<string, User>()
  csv.split('\n').forEach((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return
    const [token = '', name = '', uid, groups = ''] = columnsOf(line)
    if (token === '' || name === '' || uid === undefined) throw new Error(`token file: line ${index + 1} must be token,user,uid[,"groups"]`)
    const groupList = groups.split(',').filter((group) => group !== '')
    users.set(digest(token), authenticated({ name, groups: groupList, ...(uid === '' ? {} : { uid }) }))
  })
  return {
    name: 'token-file',
    authenticateToken(token) {
      // Looked up by hash, so that the time it takes tells nothing of the tokens.
      const user = users.get(digest(token))
      return user === undefined ? undefined : { user, audiences: [] }
    },
  }
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}

function columnsOf(line: string): string[] {
  return [...line.trim().matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"'),
  )
}
