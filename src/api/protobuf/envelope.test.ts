import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resources } from '../generated/resources.ts'
import { arbitraryObject } from '../schema/arbitrary.testing.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { compileDecoder } from '../schema/decode.ts'
import { fromBase64, toBase64 } from './base64.ts'
import { decodeObject, encodeObject, encodeWatchEvent } from './envelope.ts'
import { isProtobuf, readEnvelope } from './unknown.ts'
import { BackwardWriter, Reader } from './wire.ts'

function encode(apiVersion: string, kind: string, value: object): Uint8Array {
  const schema = builtinSchema(apiVersion, kind)
  return encodeObject(schema, compileDecoder(schema)({ apiVersion, kind, ...structuredClone(value) }, 'strict').object)
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16))
}

const emptyMeta = (name: string): string => `0a ${name} 12 00 1a 00 22 00 2a 00 32 00 38 00 42 00`

describe('bytes worked out by hand', () => {
  test('a config map: zero values of metadata are written, maps are messages', () => {
    const expected = `6b 38 73 00 0a 0f 0a 02 76 31 12 09 43 6f 6e 66 69 67 4d 61 70
      12 1b 0a 11 ${emptyMeta('01 61')} 12 06 0a 01 6b 12 01 76 1a 00 22 00`
    const bytes = encode('v1', 'ConfigMap', { metadata: { name: 'a' }, data: { k: 'v' } })
    expect(hex(bytes)).toBe(hex(unhex(expected)))
  })

  test('a lease: pointers that are not set are not written, micro times have nanoseconds', () => {
    const time = '08 aa eb dc ca 06 10 c0 d3 c0 12'
    const spec = `0a 01 68 10 0f 22 0b ${time}`
    const bytes = encode('coordination.k8s.io/v1', 'Lease', {
      metadata: { name: 'a' },
      spec: { holderIdentity: 'h', leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:10.038808Z' },
    })
    expect(hex(readEnvelope(bytes).raw)).toBe(hex(unhex(`0a 11 ${emptyMeta('01 61')} 12 12 ${spec}`)))
  })

  test('a volume: what JSON shows inline is a message of its own', () => {
    const bytes = encode('v1', 'PodTemplate', { template: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } } })
    // Volume: name = 1, volumeSource = 2 { emptyDir = 2 { medium = 1 } }.
    expect(hex(bytes)).toContain('0a 09 0a 01 76 12 04 12 02 0a 00')
  })

  test('numbers or texts, negative numbers, booleans', () => {
    const bytes = encode('v1', 'Service', { spec: { ports: [{ port: 80, targetPort: 'http', nodePort: -1 }] } })
    // ServicePort: name, protocol, port, targetPort { type, intVal, strVal }, nodePort as ten bytes.
    expect(hex(bytes)).toContain('0a 00 12 00 18 50 22 0a 08 01 10 00 1a 04 68 74 74 70 28 ff ff ff ff ff ff ff ff ff 01')
  })

  test('extra values: lists that are messages', () => {
    const bytes = encode('authentication.k8s.io/v1', 'TokenReview', { status: { user: { username: 'u', extra: { k: ['a', 'b'] } } } })
    expect(hex(bytes)).toContain('22 0b 0a 01 6b 12 06 0a 01 61 0a 01 62')
  })

  test('a watch event, framed', () => {
    const object = Uint8Array.of(1, 2, 3)
    expect(hex(encodeWatchEvent('ADDED', object))).toBe('00 00 00 0e 0a 05 41 44 44 45 44 12 05 0a 03 01 02 03')
  })
})

describe('reading', () => {
  test('unknown fields are skipped, numbers may be packed', () => {
    const bytes = encode('v1', 'ConfigMap', { metadata: { name: 'a' } })
    const envelope = readEnvelope(bytes)
    expect(envelope).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', contentType: '' })
    const withUnknown = Uint8Array.from([
      ...envelope.raw,
      ...unhex('f8 3f 05 fa 3f 02 01 02 f9 3f 01 02 03 04 05 06 07 08 fd 3f 01 02 03 04'),
    ])
    expect(decodeObject(rewrap(withUnknown)).object['metadata']).toEqual({ name: 'a' })
  })

  function rewrap(raw: Uint8Array): Uint8Array {
    const writer = new BackwardWriter()
    writer.raw(raw)
    writer.prefix(2, 0)
    writer.raw(unhex('6b 38 73 00 0a 0f 0a 02 76 31 12 09 43 6f 6e 66 69 67 4d 61 70'))
    return writer.finish()
  }

  test('what is no protobuf, cut off, or of an unknown kind is refused', () => {
    expect(() => decodeObject(new TextEncoder().encode('{"kind":"Pod"}'))).toThrow('does not appear to be a protobuf message')
    const bytes = encode('v1', 'ConfigMap', { metadata: { name: 'a' }, data: { k: 'v' } })
    // Up to the end of the type there is nothing that could be cut off.
    for (let size = 22; size < bytes.length - 4; size++) expect(() => decodeObject(bytes.slice(0, size)), String(size)).toThrow()
    expect(() => decodeObject(unhex('6b 38 73 00 0a 06 0a 01 78 12 01 79'))).toThrow('no kind "y" is registered for version "x"')
  })

  test('random bytes are read or refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          decodeObject(Uint8Array.from([...unhex('6b 38 73 00 0a 09 0a 02 76 31 12 03 50 6f 64 12'), ...noise]))
        } catch (error) {
          expect((error as Error).name).toMatch(/^(Protobuf|Decode)Error$/)
        }
      }),
    )
  })

  test('objects inside raw extensions may be protobuf themselves', () => {
    const pod = encode('v1', 'Pod', { metadata: { name: 'p' } })
    const writer = new BackwardWriter()
    writer.raw(pod)
    writer.prefix(1, 0)
    writer.prefix(2, 0)
    const revision = encode('apps/v1', 'ControllerRevision', { metadata: { name: 'r' }, revision: 3 })
    const raw = Uint8Array.from([...readEnvelope(revision).raw, ...writer.finish()])
    const outer = new BackwardWriter()
    outer.raw(raw)
    outer.prefix(2, 0)
    outer.raw(unhex('6b 38 73 00 0a 1d 0a 07 61 70 70 73 2f 76 31 12 12 43 6f 6e 74 72 6f 6c 6c 65 72 52 65 76 69 73 69 6f 6e'))
    expect(decodeObject(outer.finish()).object['data']).toMatchObject({ kind: 'Pod', metadata: { name: 'p' } })
  })

  test('varints of every size come back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const writer = new BackwardWriter()
        writer.varint(value)
        expect(new Reader(writer.finish()).signed()).toBe(value)
      }),
    )
  })

  test('base64 of every length comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const text = toBase64(bytes)
        expect(text).toBe(btoa(String.fromCharCode(...bytes)))
        expect(fromBase64(text)).toEqual(bytes)
      }),
    )
  })
})

describe('for every kind', () => {
  const kinds = Object.values(resources).map(
    (facts) => [facts.group === '' ? facts.version : `${facts.group}/${facts.version}`, facts.kind] as const,
  )

  test.each(kinds)('%s %s comes back from protobuf as it was', (apiVersion, kind) => {
    const schema = builtinSchema(apiVersion, kind)
    fc.assert(
      fc.property(arbitraryObject(schema), (fields) => {
        const object = compileDecoder(schema)({ ...structuredClone(fields), kind, apiVersion }, 'ignore').object
        const bytes = encodeObject(schema, object)
        expect(isProtobuf(bytes)).toBe(true)
        expect(JSON.stringify(decodeObject(bytes).object)).toBe(JSON.stringify(object))
      }),
      { numRuns: 15 },
    )
  })
})
