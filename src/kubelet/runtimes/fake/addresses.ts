// Pod addresses for fake sandboxes: the IPv4 range of the node, handed out in turn like host-local does.

export interface AddressRange {
  /** A free address; undefined when all are taken. The network's own, the gateway's and the broadcast one are never given. */
  take(): string | undefined
  release(ip: string): void
}

/** The addresses of an IPv4 CIDR such as `10.1.2.0/24`. */
export function addressRange(cidr: string): AddressRange {
  const [base = '0.0.0.0', prefix = '24'] = cidr.split('/')
  const size = 2 ** (32 - Number(prefix))
  const start = base.split('.').reduce((n, byte) => n * 256 + Number(byte), 0)
  const taken = new Set<number>()
  let last = 1
  return {
    take() {
      for (let step = 0; step < size - 3; step++) {
        last = last + 1 >= size - 1 ? 2 : last + 1
        if (taken.has(last)) continue
        taken.add(last)
        return format(start + last)
      }
      return undefined
    },
    release(ip) {
      taken.delete(ip.split('.').reduce((n, byte) => n * 256 + Number(byte), 0) - start)
    },
  }
}

function format(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}
