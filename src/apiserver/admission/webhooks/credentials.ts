// How the server proves itself to admission webhooks: users of a kubeconfig whose names are the webhooks' hosts, exactly or with a star
// for what stands before a dot (kube-apiserver's WebhookAdmissionConfiguration).
import { readKubeconfigUsers, type UserAccess } from '#client/kubeconfig'

/** What is shown to the server at `host:port`; undefined: nothing. */
export type WebhookCredentials = (target: string) => UserAccess | undefined

/** Throws an Error when the file is no kubeconfig. */
export function readWebhookCredentials(kubeconfigPath: string): WebhookCredentials {
  const { users, current } = readKubeconfigUsers(kubeconfigPath)
  const named = (target: string): UserAccess | undefined => {
    const exact = users.get(target)
    if (exact !== undefined) return exact
    const parts = target.split('.')
    for (let i = 1; i < parts.length; i++) {
      const found = users.get(`*.${parts.slice(i).join('.')}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  return (target) =>
    named(target) ?? (target.endsWith(':443') ? named(target.slice(0, -':443'.length)) : undefined) ?? users.get('*') ?? current
}
