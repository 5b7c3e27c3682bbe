// Image references as users write them: checked, and completed with a tag (the grammar of the OCI distribution specification
// and of every registry client).

const hostPart =
  '(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?'
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const reference = new RegExp(
  `^(?:(?<host>${hostPart})/)?(?<path>${component}(?:/${component})*)(?::(?<tag>[\\w][\\w.-]{0,127}))?(?:@(?<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
)
const imageCharsMax = 1_024

export interface ImageName {
  /** Empty when the name does not say: the engine's default registry. */
  readonly host: string
  readonly path: string
  readonly tag: string
  readonly digest: string
}

/** Undefined when it is not an image reference. */
export function parseImageName(image: string): ImageName | undefined {
  if (image.length > imageCharsMax) return undefined
  const groups = reference.exec(image)?.groups
  if (groups === undefined) return undefined
  let { host = '', path = '' } = groups
  // `library/app` has no host: a host has a dot or a port, or is localhost.
  if (host !== '' && !host.includes('.') && !host.includes(':') && host !== 'localhost') {
    if (!new RegExp(`^${component}$`).test(host)) return undefined
    path = `${host}/${path}`
    host = ''
  }
  return { host, path, tag: groups['tag'] ?? '', digest: groups['digest'] ?? '' }
}

/** What is wrong with a text that is no image reference, in the words of the registry clients that others use. */
export function whatIsWrongWith(image: string): string {
  const name = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  const isUppercase = name !== name.toLowerCase() && parseImageName(image.toLowerCase()) !== undefined
  if (!isUppercase) return 'invalid reference format'
  return `invalid reference format: repository name (${name.includes('/') ? name : `library/${name}`}) must be lowercase`
}

/** The reference with `:latest` when it has neither tag nor digest. */
export function withDefaultTag(image: string): string {
  const name = parseImageName(image)
  return name !== undefined && name.tag === '' && name.digest === '' ? `${image}:latest` : image
}
