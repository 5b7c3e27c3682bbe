// What texts of the formats look like that schemas can ask for, as go-openapi has them.
import { parseCidr, parseIp } from '#api/ip'
import { formatName } from '#api/kinds/apiextensions/formats'
import { checkDns1123Label, checkDns1123Subdomain } from '#api/validation/names'

const uuid = (third: string, fourth: string): RegExp => new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${third}-?${fourth}-?[0-9a-f]{12}$`, 'i')
const uuids = {
  uuid: uuid('[0-9a-f]{4}', '[0-9a-f]{4}'),
  uuid3: uuid('3[0-9a-f]{3}', '[0-9a-f]{4}'),
  uuid4: uuid('4[0-9a-f]{3}', '[89ab][0-9a-f]{3}'),
  uuid5: uuid('5[0-9a-f]{3}', '[89ab][0-9a-f]{3}'),
}

const hostname = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/i
const dateTime = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/
// As Go writes them, and as Scala does.
const goDuration = /^[-+]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*)$/
const words =
  'd|days?|h|hours?|m|min|minutes?|s|sec|seconds?|ms|milli|millis|milliseconds?|µs|micro|micros|microseconds?|ns|nano|nanos|nanoseconds?|w|weeks?'
const scalaDuration = new RegExp(`^\\s*\\d+(\\.\\d+)?\\s*(${words})\\s*$`)
const byteOfRgb = '\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*'

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (v) => /^[0-9a-f]{24}$/i.test(v),
  uri: (v) => /^([a-z][a-z0-9+.-]*:\S|\/)\S*$/i.test(v),
  email: (v) => /^([^\s@<>]+|"[^"]+")@[^\s@<>]+$/.test(v) || /^[^<>]*<[^\s@<>]+@[^\s@<>]+>$/.test(v),
  hostname: (v) => hostname.test(v),
  ipv4: (v) => parseIp(v)?.family === 4,
  ipv6: (v) => parseIp(v)?.family === 6,
  cidr: (v) => parseCidr(v) !== undefined,
  mac: (v) => /^([0-9a-f]{2}([:-][0-9a-f]{2}){5}|[0-9a-f]{2}([:-][0-9a-f]{2}){7}|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$/i.test(v),
  uuid: (v) => uuids.uuid.test(v),
  uuid3: (v) => uuids.uuid3.test(v),
  uuid4: (v) => uuids.uuid4.test(v),
  uuid5: (v) => uuids.uuid5.test(v),
  isbn: (v) => isIsbn10(v) || isIsbn13(v),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: isCreditCard,
  ssn: (v) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(v),
  hexcolor: (v) => /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.test(v),
  rgbcolor: (v) => new RegExp(`^rgb\\(${byteOfRgb},${byteOfRgb},${byteOfRgb}\\)$`).test(v),
  byte: (v) => /^[A-Za-z0-9+/]*={0,2}$/.test(v) && v.length % 4 === 0,
  date: (v) => /^\d{4}-\d\d-\d\d$/.test(v) && isDay(v),
  datetime: (v) => dateTime.test(v) && isDay(v.slice(0, 10)) && !Number.isNaN(Date.parse(v.replace(' ', 'T').toUpperCase())),
  duration: (v) => goDuration.test(v) || scalaDuration.test(v),
  k8sshortname: (v) => checkDns1123Label(v).length === 0,
  k8slongname: (v) => checkDns1123Subdomain(v).length === 0,
}

/** Whether a text is of a format; true of formats that are not known. */
export function hasFormat(text: string, format: string): boolean {
  const name = formatName(format)
  return Object.hasOwn(checks, name) ? checks[name]!(text) : true
}

// Months have the days that they have.
function isDay(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text
}

function isIsbn10(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, '')
  if (!/^\d{9}[\dX]$/.test(digits)) return false
  const sum = [...digits].reduce((total, digit, i) => total + (digit === 'X' ? 10 : Number(digit)) * (10 - i), 0)
  return sum % 11 === 0
}

function isIsbn13(text: string): boolean {
  const digits = text.replace(/[\s-]+/g, '')
  if (!/^\d{13}$/.test(digits)) return false
  return [...digits].reduce((total, digit, i) => total + Number(digit) * (i % 2 === 0 ? 1 : 3), 0) % 10 === 0
}

function isCreditCard(text: string): boolean {
  const digits = text.replace(/\D+/g, '')
  const forms = /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/
  if (!forms.test(digits)) return false
  const sum = [...digits].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 1 : 2)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return sum % 10 === 0
}
