// Image references as far as defaulting needs them: which tag an image has decides whether it is pulled always.

/** The tag of a reference; `latest` when it says neither tag nor digest. Empty for a digest without a tag. */
export function imageTag(reference: string): string {
  const at = reference.indexOf('@')
  const name = at < 0 ? reference : reference.slice(0, at)
  const colon = name.lastIndexOf(':')
  const tag = colon > name.lastIndexOf('/') ? name.slice(colon + 1) : ''
  return tag === '' && at < 0 ? 'latest' : tag
}

/** `Always` for `:latest`, else `IfNotPresent`. */
export function defaultPullPolicy(reference: string): 'Always' | 'IfNotPresent' {
  return imageTag(reference) === 'latest' ? 'Always' : 'IfNotPresent'
}
