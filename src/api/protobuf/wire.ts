// The protobuf wire format: a writer that fills its buffer from the end, so that the length of a message is known when its
// prefix is written, and a bounded reader.

/** Input that is no protobuf message. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError'
}

export type WireType = 0 | 1 | 2 | 5

const initialBytes = 2048
const utf8 = new TextEncoder()
const utf8Decoder = new TextDecoder('utf-8')

/** Writes backwards: fields in descending order, and of each first the value, then the tag. */
export class BackwardWriter {
  private buffer = new Uint8Array(initialBytes)
  /** Where the written part begins. */
  private at = initialBytes

  /** Bytes written so far: what is written later stands before them. */
  get length(): number {
    return this.buffer.length - this.at
  }

  /** The written bytes, in the writer's buffer. The writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.buffer.subarray(this.at)
  }

  private reserve(bytes: number): void {
    if (this.at >= bytes) return
    const written = this.length
    const grown = new Uint8Array(Math.max(this.buffer.length * 2, written + bytes + initialBytes))
    grown.set(this.buffer.subarray(this.at), grown.length - written)
    this.at = grown.length - written
    this.buffer = grown
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[--this.at] = value
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.at -= bytes.length
    this.buffer.set(bytes, this.at)
  }

  /** A whole number as varint; negative ones as 64 bits of two's complement. */
  varint(value: number | bigint): void {
    if (typeof value === 'bigint' || value < 0 || value > Number.MAX_SAFE_INTEGER) {
      return this.bigVarint(BigInt.asUintN(64, BigInt(value)))
    }
    if (value < 0x80) return this.byte(value)
    let size = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
    this.reserve(size)
    this.at -= size
    let rest = value
    for (let i = 0; i < size - 1; i++) {
      this.buffer[this.at + i] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.at + size - 1] = rest
  }

  private bigVarint(value: bigint): void {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    this.raw(Uint8Array.from(bytes))
  }

  double(value: number): void {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setFloat64(0, value, true)
    this.raw(bytes)
  }

  /** The text's bytes, without a length. */
  text(value: string): void {
    const size = value.length
    this.reserve(size)
    const start = this.at - size
    for (let i = 0; i < size; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) return this.raw(utf8.encode(value))
      this.buffer[start + i] = code
    }
    this.at = start
  }

  tag(field: number, wire: WireType): void {
    this.varint(field * 8 + wire)
  }

  /** Length and tag before what was written since the writer had `length` bytes. */
  prefix(field: number, length: number): void {
    this.varint(this.length - length)
    this.tag(field, 2)
  }
}

/** Reads one message. Throws `ProtobufError` when it ends early. */
export class Reader {
  private readonly bytes: Uint8Array
  private at: number
  private readonly end: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get done(): boolean {
    return this.at >= this.end
  }

  /** Field number times 8 plus wire type. */
  tag(): number {
    return this.unsigned()
  }

  private next(): number {
    if (this.at >= this.end) throw new ProtobufError('unexpected EOF')
    return this.bytes[this.at++]!
  }

  /** A varint below 2^53; what is above loses precision. */
  unsigned(): number {
    let value = 0
    let factor = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.next()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 0x80
    }
    throw new ProtobufError('proto: integer overflow')
  }

  /** A varint as a signed number of 64 bits; what is beyond 2^53 loses precision. */
  signed(): number {
    return Number(this.whole())
  }

  /** A varint as a signed whole number of 64 bits: exact, and a bigint only beyond 2^53. */
  whole(): number | bigint {
    const start = this.at
    const value = this.unsigned()
    if (value <= Number.MAX_SAFE_INTEGER) return value
    this.at = start
    let exact = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.next()
      exact |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        const signed = BigInt.asIntN(64, exact)
        const near = Number(signed)
        return Number.isSafeInteger(near) ? near : signed
      }
    }
  }

  double(): number {
    const start = this.advance(8)
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + start, 8).getFloat64(0, true)
  }

  /** The bytes of a length-prefixed value; a view of the input. */
  delimited(): Uint8Array {
    const size = this.unsigned()
    const start = this.advance(size)
    return this.bytes.subarray(start, start + size)
  }

  /** A reader of a length-prefixed message. */
  message(): Reader {
    const size = this.unsigned()
    const start = this.advance(size)
    return new Reader(this.bytes, start, start + size)
  }

  text(): string {
    const bytes = this.delimited()
    if (bytes.length > 64) return utf8Decoder.decode(bytes)
    for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 0x80) return utf8Decoder.decode(bytes)
    return String.fromCharCode.apply(null, bytes as unknown as number[])
  }

  private advance(size: number): number {
    const start = this.at
    if (size > this.end - start) throw new ProtobufError('unexpected EOF')
    this.at = start + size
    return start
  }

  skip(wire: number): void {
    if (wire === 0) this.unsigned()
    else if (wire === 1) this.advance(8)
    else if (wire === 2) this.delimited()
    else if (wire === 5) this.advance(4)
    else throw new ProtobufError(`proto: illegal wireType ${wire}`)
  }
}
