// Who asks. No credentials: anonymous. Credentials that do not hold: 401, whoever else the client might be.
import { unauthorized } from '#api/errors'
import type { Authenticator } from '../authn/authenticator.ts'
import type { ApiReply, ApiRequest, Stage, User } from '../request.ts'

export function authenticate(authenticator: Authenticator): Stage {
  return {
    name: 'authenticate',
    run(request, next) {
      const user = authenticator.authenticate(request)
      return user instanceof Promise ? user.then((known) => goOn(request, next, known)) : goOn(request, next, user)
    },
  }
}

function goOn(request: ApiRequest, next: (request: ApiRequest) => Promise<ApiReply>, user: User | undefined): Promise<ApiReply> {
  if (user === undefined) return Promise.reject(unauthorized())
  request.user = user
  return user.name === 'system:anonymous' ? next(request).then(endingConnection) : next(request)
}

// HTTP/2 is dear and easily abused: a connection that nobody vouches for serves one request (CVE-2023-44487).
function endingConnection(reply: ApiReply): ApiReply {
  reply.headers['connection'] = 'close'
  return reply
}
