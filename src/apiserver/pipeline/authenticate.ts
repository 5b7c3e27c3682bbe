// Who asks. No credentials: anonymous. Credentials that do not hold: 401, whoever else the client might be.
import { unauthorized } from '#api/errors'
import { whenThere } from '#base/eventual'
import type { Authenticator } from '../authn/authenticator.ts'
import type { Answer, ApiReply, ApiRequest, Handler, Stage, User } from '../request.ts'

export function authenticate(authenticator: Authenticator): Stage {
  return {
    name: 'authenticate',
    run(request, next) {
      const user = authenticator.authenticate(request)
      return user instanceof Promise ? user.then((known) => goOn(request, next, known)) : goOn(request, next, user)
    },
  }
}

function goOn(request: ApiRequest, next: Handler, user: User | undefined): Answer {
  if (user === undefined) throw unauthorized()
  request.user = user
  return user.name === 'system:anonymous' ? whenThere(next(request), endingConnection) : next(request)
}

// HTTP/2 is dear and easily abused: a connection that nobody vouches for serves one request (CVE-2023-44487).
function endingConnection(reply: ApiReply): ApiReply {
  reply.headers['connection'] = 'close'
  return reply
}
