// Who asks. No credentials: anonymous. Credentials that do not hold: 401, whoever else the client might be.
import { unauthorized } from '#api/errors'
import type { Authenticator } from '../authn/authenticator.ts'
import type { Stage } from '../request.ts'

export function authenticate(authenticator: Authenticator): Stage {
  return {
    name: 'authenticate',
    async run(request, next) {
      const user = authenticator.authenticate(request)
      if (user === undefined) throw unauthorized()
      request.user = user
      const reply = await next(request)
      // HTTP/2 is dear and easily abused: a connection that nobody vouches for serves one request (CVE-2023-44487).
      if (user.name === 'system:anonymous') reply.headers['connection'] = 'close'
      return reply
    },
  }
}
