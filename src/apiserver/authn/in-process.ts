// Components of this process: who they are was set where the request was made, and cannot be set elsewhere.
import { inProcessUser } from '../server/in-process.ts'
import type { LocalAuthenticator } from './authenticator.ts'

export const inProcessAuthenticator: LocalAuthenticator = { name: 'in-process', authenticate: inProcessUser }
