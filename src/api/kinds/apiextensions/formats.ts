// The formats that schemas of custom resources can ask for. Others are ignored, and warned of when a definition brings them.
import type { JSONSchemaProps } from '../../generated/apiextensions-v1.ts'

const ofStrings = new Set(
  [
    [
      'bsonobjectid',
      'uri',
      'email',
      'hostname',
      'ipv4',
      'ipv6',
      'cidr',
      'mac',
      'uuid',
      'uuid3',
      'uuid4',
      'uuid5',
      'isbn',
      'isbn10',
      'isbn13',
    ],
    ['creditcard', 'ssn', 'hexcolor', 'rgbcolor', 'byte', 'password', 'date', 'duration', 'datetime', 'k8sshortname', 'k8slongname'],
  ].flat(),
)

/** A format's name as it is looked up: dashes do not count. */
export function formatName(format: string): string {
  return format.replaceAll('-', '')
}

function isKnown({ type, format = '' }: JSONSchemaProps): boolean {
  switch (type) {
    case undefined:
    case '':
    case 'string':
      return ofStrings.has(formatName(format))
    case 'integer':
      return format === 'int32' || format === 'int64'
    case 'number':
      return format === 'float' || format === 'double'
    default:
      return false
  }
}

/** Formats in a schema, to any depth, that nothing will be checked by. */
export function unrecognizedFormats(schema: unknown): string[] {
  const found = new Set<string>()
  const visit = (node: JSONSchemaProps): void => {
    if (node.format && !isKnown(node)) found.add(node.format)
    const { items, additionalProperties, not } = node
    const children = [items, additionalProperties, not, ...(node.allOf ?? []), ...(node.anyOf ?? []), ...(node.oneOf ?? [])].flat()
    for (const child of [...children, ...Object.values(node.properties ?? {})]) {
      if (typeof child === 'object' && child !== null) visit(child as JSONSchemaProps)
    }
  }
  if (typeof schema === 'object' && schema !== null) visit(schema as JSONSchemaProps)
  return [...found]
}
