// Names of the form `acme.io/foo`: a domain, then a path of its own. Controllers and managers are named so.
import type { FieldError } from '../errors.ts'
import { invalid, invalidEach, required } from './field-errors.ts'
import { checkDns1123Subdomain, checkHttpPath } from './names.ts'

export function validateDomainPrefixedPath(value: string, path: string): FieldError[] {
  if (value === '') return [required(path)]
  const slash = value.indexOf('/')
  if (slash < 1 || slash === value.length - 1) return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
  const [host, rest] = [value.slice(0, slash), value.slice(slash + 1)]
  return [...invalidEach(path, host, checkDns1123Subdomain(host)), ...invalidEach(path, rest, checkHttpPath(rest))]
}
