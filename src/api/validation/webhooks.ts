// How an HTTP callback is addressed: by URL or by service. Admission webhooks and conversion webhooks are checked alike.
import type { FieldError } from '../errors.ts'
import { invalid, invalidEach, required } from './field-errors.ts'
import { checkDns1035Label, checkDns1123Subdomain, checkPortNumber } from './names.ts'

interface ClientConfig {
  url?: string
  service?: { namespace: string; name: string; path?: string; port?: number }
}

export const oneOfUrlAndService = 'exactly one of url or service is required'

const urlForm = '; desired format: https://host[/path]'
const urlPattern = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/

/** `path` is that of the client configuration. */
export function validateClientConfig({ url, service }: ClientConfig, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined)) return [required(path, oneOfUrlAndService)]
  if (url !== undefined) return validateUrl(url, `${path}.url`)
  const at = `${path}.service`
  const errors: FieldError[] = []
  for (const field of ['name', 'namespace'] as const) if (!service![field]) errors.push(required(`${at}.${field}`))
  const port = service!.port ?? 0
  const portErrors = checkPortNumber(port)
  if (portErrors.length > 0) errors.push(invalid(`${at}.port`, port, `port is not valid: ${portErrors.join(', ')}`))
  return [...errors, ...validateServicePath(service!.path ?? '', `${at}.path`)]
}

function validateUrl(url: string, path: string): FieldError[] {
  const match = urlPattern.exec(url)
  if (match === null) return [required(path, `url must be a valid URL: parse "${url}": invalid URL${urlForm}`)]
  const [, scheme = '', authority = '', , query = '', fragment = ''] = match
  const at = authority.lastIndexOf('@')
  const errors: FieldError[] = []
  if (scheme.toLowerCase() !== 'https') errors.push(invalid(path, scheme, `'https' is the only allowed URL scheme${urlForm}`))
  if (authority.slice(at + 1) === '') errors.push(invalid(path, '', `host must be specified${urlForm}`))
  if (at >= 0) errors.push(invalid(path, authority.slice(0, at), 'user information is not permitted in the URL'))
  if (fragment !== '') errors.push(invalid(path, fragment, 'fragments are not permitted in the URL'))
  if (query !== '') errors.push(invalid(path, query, 'query parameters are not permitted in the URL'))
  return errors
}

function validateServicePath(urlPath: string, path: string): FieldError[] {
  if (urlPath === '/' || urlPath === '') return []
  if (urlPath === '//') return [invalid(path, urlPath, 'segment[0] may not be empty')]
  const errors: FieldError[] = []
  if (!urlPath.startsWith('/')) errors.push(invalid(path, urlPath, "must start with a '/'"))
  const segments = urlPath.slice(1).replace(/\/$/, '').split('/')
  for (const [i, segment] of segments.entries()) {
    if (segment === '') errors.push(invalid(path, urlPath, `segment[${i}] may not be empty`))
    else
      errors.push(
        ...invalidEach(
          path,
          urlPath,
          checkDns1123Subdomain(segment).map((problem) => `segment[${i}]: ${problem}`),
        ),
      )
  }
  return errors
}

/** Versions of the review that the callback understands; at least one must be among `known`. */
export function validateReviewVersions(
  versions: readonly string[],
  known: readonly string[],
  path: string,
  words: { missing: string; duplicate(path: string, version: string): FieldError },
): FieldError[] {
  if (versions.length === 0) return [required(path, words.missing)]
  const errors: FieldError[] = []
  for (const [i, version] of versions.entries()) {
    if (versions.indexOf(version) < i) errors.push(words.duplicate(`${path}[${i}]`, version))
    else errors.push(...invalidEach(`${path}[${i}]`, version, checkDns1035Label(version)))
  }
  if (!versions.some((version) => known.includes(version))) {
    errors.push(invalid(path, versions, `must include at least one of ${known.join(', ')}`))
  }
  return errors
}
