// The outermost fields of a protobuf message, without its schema (protobuf encoding: varint, 64-bit, length-delimited, 32-bit).

/** A field as it was sent: `value` for the numeric wire types, `bytes` for the length-delimited one. */
export interface WireField {
  readonly number: number
  readonly value: bigint
  readonly bytes: Buffer
}

const none = Buffer.alloc(0)

/** Reads every field of `message`, in order. Throws when the message is cut off or uses groups. */
export function readFields(message: Buffer): WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at]
      if (byte === undefined) break
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Error('a protobuf message is cut off')
  }
  const take = (length: number): Buffer => {
    if (at + length > message.length) throw new Error('a protobuf message is cut off')
    at += length
    return message.subarray(at - length, at)
  }
  while (at < message.length) {
    const key = Number(varint())
    const [number, type] = [key >>> 3, key & 7]
    if (type === 0) fields.push({ number, value: varint(), bytes: none })
    else if (type === 1) fields.push({ number, value: take(8).readBigUInt64LE(), bytes: none })
    else if (type === 2) fields.push({ number, value: 0n, bytes: take(Number(varint())) })
    else if (type === 5) fields.push({ number, value: BigInt(take(4).readUInt32LE()), bytes: none })
    else throw new Error(`protobuf wire type ${type} is not read here`)
  }
  return fields
}
