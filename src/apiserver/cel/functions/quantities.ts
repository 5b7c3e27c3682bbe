// Kubernetes' libraries for quantities, semantic versions, named formats, and keys of JSON patches.
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  isQuantity,
  newQuantity,
  parseQuantity,
  type Quantity,
  QuantityError,
  quantityAsNumber,
  quantitySign,
  subQuantities,
} from '#api/quantity'
import { checkDns1035Label, checkDns1123Label, checkDns1123Subdomain, checkLabelKey, checkLabelValue } from '#api/validation/names'
import { CelError, listFrom, type Opaque, Optional, optionalNone, parseTimestamp, type Value } from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'

const scanned = (size: number): number => perChar(size)

class QuantityValue implements Opaque {
  readonly opaque = 'kubernetes.Quantity'
  readonly quantity: Quantity
  constructor(quantity: Quantity) {
    this.quantity = quantity
  }

  text(): string {
    return formatQuantity(this.quantity)
  }

  equals(other: Opaque): boolean {
    return other instanceof QuantityValue && compareQuantities(this.quantity, other.quantity) === 0
  }
}

function quantity(text: string): QuantityValue {
  try {
    return new QuantityValue(parseQuantity(text))
  } catch (error) {
    if (error instanceof QuantityError) throw new CelError(error.message)
    throw error
  }
}

// The whole number that a quantity is, if it is one that fits.
function integerOf({ unscaled, exponent }: Quantity): bigint | undefined {
  const scale = 10n ** BigInt(Math.abs(exponent))
  if (exponent < 0 && unscaled % scale !== 0n) return undefined
  const value = exponent < 0 ? unscaled / scale : unscaled * scale
  return BigInt.asIntN(64, value) === value ? value : undefined
}

const order = (a: QuantityValue, b: QuantityValue): number => Math.sign(compareQuantities(a.quantity, b.quantity))

const quantityFunctions: readonly Overload[] = [
  fn('quantity(string): kubernetes.Quantity', quantity, scanned),
  fn('isQuantity(string): bool', isQuantity, scanned),
  fn('kubernetes.Quantity->sign(): int', ({ quantity: one }: QuantityValue) => BigInt(quantitySign(one))),
  fn('kubernetes.Quantity->isInteger(): bool', ({ quantity: one }: QuantityValue) => integerOf(one) !== undefined),
  fn('kubernetes.Quantity->asInteger(): int', ({ quantity: one }: QuantityValue) => {
    const value = integerOf(one)
    if (value === undefined) throw new CelError('cannot convert value to integer')
    return value
  }),
  fn('kubernetes.Quantity->asApproximateFloat(): double', ({ quantity: one }: QuantityValue) => quantityAsNumber(one)),
  fn('kubernetes.Quantity->isGreaterThan(kubernetes.Quantity): bool', (a: QuantityValue, b: QuantityValue) => order(a, b) > 0),
  fn('kubernetes.Quantity->isLessThan(kubernetes.Quantity): bool', (a: QuantityValue, b: QuantityValue) => order(a, b) < 0),
  fn('kubernetes.Quantity->compareTo(kubernetes.Quantity): int', (a: QuantityValue, b: QuantityValue) => BigInt(order(a, b))),
  fn(
    'kubernetes.Quantity->add(kubernetes.Quantity): kubernetes.Quantity',
    (a: QuantityValue, b: QuantityValue) => new QuantityValue(addQuantities(a.quantity, b.quantity)),
  ),
  fn(
    'kubernetes.Quantity->add(int): kubernetes.Quantity',
    (a: QuantityValue, b: bigint) => new QuantityValue(addQuantities(a.quantity, newQuantity(b))),
  ),
  fn(
    'kubernetes.Quantity->sub(kubernetes.Quantity): kubernetes.Quantity',
    (a: QuantityValue, b: QuantityValue) => new QuantityValue(subQuantities(a.quantity, b.quantity)),
  ),
  fn(
    'kubernetes.Quantity->sub(int): kubernetes.Quantity',
    (a: QuantityValue, b: bigint) => new QuantityValue(subQuantities(a.quantity, newQuantity(b))),
  ),
]

class SemverValue implements Opaque {
  readonly opaque = 'kubernetes.Semver'
  readonly numbers: readonly bigint[]
  readonly prerelease: readonly string[]
  readonly source: string
  constructor(numbers: readonly bigint[], prerelease: readonly string[], source: string) {
    this.numbers = numbers
    this.prerelease = prerelease
    this.source = source
  }

  text(): string {
    return this.source
  }

  equals(other: Opaque): boolean {
    return other instanceof SemverValue && compareVersions(this, other) === 0
  }
}

const versionPattern = /^(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/
const versionLengthMax = 256

function parseVersion(text: string, normalize = false): SemverValue | undefined {
  if (text.length > versionLengthMax) return undefined
  let source = text
  if (normalize) {
    source = source.replace(/^v/, '')
    const rest = source.search(/[-+]/)
    const [core, tail] = rest < 0 ? [source, ''] : [source.slice(0, rest), source.slice(rest)]
    const numbers = core.split('.').map((number) => number.replace(/^0+(?=\d)/, ''))
    while (numbers.length < 3) numbers.push('0')
    source = numbers.join('.') + tail
  }
  const match = versionPattern.exec(source)
  if (match === null) return undefined
  const [, major = '', minor = '', patch = '', prerelease, build] = match
  const identifiers = prerelease?.split('.') ?? []
  if (identifiers.some((one) => one === '' || /^0\d+$/.test(one)) || build?.split('.').includes('')) return undefined
  return new SemverValue([BigInt(major), BigInt(minor), BigInt(patch)], identifiers, source)
}

function semver(text: string, normalize?: boolean): SemverValue {
  const version = parseVersion(text, normalize)
  if (version === undefined) throw new CelError(`failed to parse semver: ${JSON.stringify(text)}`)
  return version
}

function compareVersions(a: SemverValue, b: SemverValue): number {
  for (const [i, number] of a.numbers.entries()) if (number !== b.numbers[i]) return number < b.numbers[i]! ? -1 : 1
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return Math.sign(b.prerelease.length - a.prerelease.length)
  for (let i = 0; i < Math.min(a.prerelease.length, b.prerelease.length); i++) {
    const order = compareIdentifiers(a.prerelease[i]!, b.prerelease[i]!)
    if (order !== 0) return order
  }
  return Math.sign(a.prerelease.length - b.prerelease.length)
}

function compareIdentifiers(a: string, b: string): number {
  const numeric = [a, b].map((one) => /^\d+$/.test(one))
  if (numeric[0] && numeric[1]) return BigInt(a) === BigInt(b) ? 0 : BigInt(a) < BigInt(b) ? -1 : 1
  if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1
  return a === b ? 0 : a < b ? -1 : 1
}

const versionFunctions: readonly Overload[] = [
  fn('semver(string): kubernetes.Semver', semver, scanned),
  fn('semver(string, bool): kubernetes.Semver', semver, scanned),
  fn('isSemver(string): bool', (text: string) => parseVersion(text) !== undefined, scanned),
  fn('isSemver(string, bool): bool', (text: string, normalize: boolean) => parseVersion(text, normalize) !== undefined, scanned),
  ...['major', 'minor', 'patch'].map((part, i) => fn(`kubernetes.Semver->${part}(): int`, ({ numbers }: SemverValue) => numbers[i]!)),
  fn('kubernetes.Semver->compareTo(kubernetes.Semver): int', (a: SemverValue, b: SemverValue) => BigInt(compareVersions(a, b))),
  fn('kubernetes.Semver->isLessThan(kubernetes.Semver): bool', (a: SemverValue, b: SemverValue) => compareVersions(a, b) < 0),
  fn('kubernetes.Semver->isGreaterThan(kubernetes.Semver): bool', (a: SemverValue, b: SemverValue) => compareVersions(a, b) > 0),
]

class FormatValue implements Opaque {
  readonly opaque = 'kubernetes.NamedFormat'
  readonly name: string
  readonly check: (text: string) => string[]
  constructor(name: string, check: (text: string) => string[]) {
    this.name = name
    this.check = check
  }

  text(): string {
    return `NamedFormat(${this.name})`
  }

  equals(other: Opaque): boolean {
    return other instanceof FormatValue && other.name === this.name
  }
}

// Names that go on with what is generated: they may end with a dash.
const asPrefix =
  (check: (text: string) => string[]) =>
  (text: string): string[] =>
    check(text.endsWith('-') ? `${text.slice(0, -1)}a` : text)
const orElse =
  (holds: (text: string) => boolean, message: string) =>
  (text: string): string[] =>
    holds(text) ? [] : [message]

const formats: Readonly<Record<string, (text: string) => string[]>> = {
  dns1123Label: checkDns1123Label,
  dns1123Subdomain: checkDns1123Subdomain,
  dns1035Label: checkDns1035Label,
  qualifiedName: checkLabelKey,
  dns1123LabelPrefix: asPrefix(checkDns1123Label),
  dns1123SubdomainPrefix: asPrefix(checkDns1123Subdomain),
  dns1035LabelPrefix: asPrefix(checkDns1035Label),
  labelValue: checkLabelValue,
  uri: orElse((text) => URL.canParse(text) || text.startsWith('/'), 'invalid URI for request'),
  uuid: orElse(
    (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
    'does not match the UUID format',
  ),
  byte: orElse((text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0, 'invalid base64'),
  date: orElse((text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)), 'invalid date'),
  datetime: orElse((text) => text.length > 10 && parseTimestamp(text) !== undefined, 'invalid datetime'),
}

const formatFunctions: readonly Overload[] = [
  ...Object.entries(formats).map(([name, check]) => fn(`format.${name}(): kubernetes.NamedFormat`, () => new FormatValue(name, check))),
  fn('format.named(string): optional<kubernetes.NamedFormat>', (name: string) =>
    Object.hasOwn(formats, name) ? new Optional(new FormatValue(name, formats[name]!)) : optionalNone,
  ),
  fn(
    'kubernetes.NamedFormat->validate(string): optional<list<string>>',
    (format: FormatValue, text: string): Value => {
      const errors = format.check(text)
      return errors.length === 0 ? optionalNone : new Optional(listFrom(errors))
    },
    (_, text) => perChar(text),
  ),
]

export const quantityLikeFunctions: readonly Overload[] = [
  ...quantityFunctions,
  ...versionFunctions,
  ...formatFunctions,
  fn('jsonpatch.escapeKey(string): string', (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1'), scanned),
]
