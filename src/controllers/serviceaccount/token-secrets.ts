// Tokens that are kept in Secrets (type kubernetes.io/service-account-token): whoever makes such a Secret gets a token without an end
// for the account it names, with the authority's certificate and the namespace beside it. The Secret goes with its account.
import { createPrivateKey } from 'node:crypto'
import { isApiError } from '#api/errors'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { type KubeObject, keyOf, keyText } from '#api/object'
import { type Controller, defineController } from '#client/controller'
import { withoutManagedFields } from '#client/reflector'
import { type SigningKey, signingKey, signJwt } from '#platform/jwt'

const tokenType = 'kubernetes.io/service-account-token'
const nameAnnotation = 'kubernetes.io/service-account.name'
const uidAnnotation = 'kubernetes.io/service-account.uid'
const issuer = 'kubernetes/serviceaccount'

export interface TokenSecretsConfig {
  /** Signs the tokens; PEM. The API server must verify by it. */
  readonly signingKeyPem: string
  readonly rootCaPem: string
}

/** What the controllers hold of Secrets: the contents of those that hold tokens, and of no others. */
export function trimSecret(object: KubeObject): KubeObject {
  const secret = withoutManagedFields(object) as Secret
  if (secret.type !== tokenType) delete secret.data
  return secret
}

export function createTokenSecretsController({ signingKeyPem, rootCaPem }: TokenSecretsConfig): Controller {
  let key: SigningKey | undefined
  return defineController({
    name: 'serviceaccount-token-controller',
    watches: [
      { kind: Secret, keysOf: (secret) => [keyOf(secret)], when: (secret) => (secret as Secret).type === tokenType },
      {
        kind: ServiceAccount,
        keysOf: ({ metadata }, _old, cache) =>
          cache
            .list(Secret, metadata.namespace)
            .filter((secret) => secret.type === tokenType && secret.metadata.annotations?.[nameAnnotation] === metadata.name)
            .map(keyOf),
      },
    ],
    async reconcile(secretKey, { cache, client }) {
      const secret = cache.get(Secret, secretKey)
      if (secret?.type !== tokenType || secret.metadata.deletionTimestamp !== undefined) return
      const { name = '', namespace = '', uid, resourceVersion, annotations = {} } = secret.metadata
      const accountName = annotations[nameAnnotation] ?? ''
      if (accountName === '') return
      let account = cache.get(ServiceAccount, keyText(namespace, accountName))
      // Deletions are not decided by what the cache has not seen yet.
      if (!belongs(secret, account)) {
        account = await client.get(ServiceAccount, { namespace, name: accountName }).catch((error: unknown) => {
          if (!isApiError(error, 'NotFound')) throw error
          return undefined
        })
      }
      try {
        if (account === undefined || !belongs(secret, account)) {
          await client.delete(Secret, { namespace, name }, { preconditions: { uid, ...(resourceVersion ? { resourceVersion } : {}) } })
          return
        }
        key ??= signingKey(createPrivateKey(signingKeyPem))
        const complete = completed(secret, account, rootCaPem, key)
        if (complete !== undefined) await client.update(Secret, complete)
      } catch (error) {
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
      }
    },
  })
}

function belongs({ metadata }: Secret, account: ServiceAccount | undefined): boolean {
  const uid = metadata.annotations?.[uidAnnotation] ?? ''
  return account !== undefined && (uid === '' || uid === account.metadata.uid)
}

/** The Secret with what it lacks; undefined when it lacks nothing. */
export function completed(secret: Secret, account: ServiceAccount, rootCaPem: string, key: SigningKey): Secret | undefined {
  const encode = (text: string): string => Buffer.from(text).toString('base64')
  const { name = '', namespace = '' } = secret.metadata
  const data: Record<string, string> = { ...secret.data }
  data['ca.crt'] = encode(rootCaPem)
  data['namespace'] ??= encode(namespace)
  data['token'] ??= encode(tokenFor(namespace, name, account, key))
  const annotations = {
    ...secret.metadata.annotations,
    [nameAnnotation]: account.metadata.name ?? '',
    [uidAnnotation]: account.metadata.uid,
  }
  const lacks =
    (['ca.crt', 'namespace', 'token'] as const).some((field) => data[field] !== secret.data?.[field]) ||
    secret.metadata.annotations?.[uidAnnotation] !== account.metadata.uid
  return lacks ? { ...secret, metadata: { ...secret.metadata, annotations }, data } : undefined
}

function tokenFor(namespace: string, secretName: string, { metadata }: ServiceAccount, key: SigningKey): string {
  const claim = (name: string): string => `kubernetes.io/serviceaccount/${name}`
  return signJwt(
    {
      iss: issuer,
      [claim('namespace')]: namespace,
      [claim('secret.name')]: secretName,
      [claim('service-account.name')]: metadata.name,
      [claim('service-account.uid')]: metadata.uid,
      sub: `system:serviceaccount:${namespace}:${metadata.name}`,
    },
    key,
  )
}
