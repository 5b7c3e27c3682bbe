// What the kernel's routing table says, read from /proc: cheap enough to ask per pod, and no program to start.
import { readFile } from 'node:fs/promises'

/** The node's interface that leads to this one pod address (a host route), or undefined. */
export async function hostInterfaceOf(ip: string): Promise<string | undefined> {
  return ip.includes(':') ? hostInterfaceIn6(await read('/proc/net/ipv6_route'), ip) : hostInterfaceIn4(await read('/proc/net/route'), ip)
}

/** As above, from the text of /proc/net/route: addresses in hexadecimal, lowest byte first. */
export function hostInterfaceIn4(table: string, ip: string): string | undefined {
  const wanted = ip
    .split('.')
    .reverse()
    .map((b) => Number(b).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
  for (const line of table.split('\n').slice(1)) {
    const [name, destination, , , , , , mask] = line.split('\t')
    if (destination === wanted && mask === 'FFFFFFFF') return name
  }
  return undefined
}

/** As above, from the text of /proc/net/ipv6_route. */
export function hostInterfaceIn6(table: string, ip: string): string | undefined {
  const wanted = hexOf6(ip)
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/)
    if (columns[0] === wanted && columns[1] === '80' && columns.at(-1) !== 'lo') return columns.at(-1)
  }
  return undefined
}

function hexOf6(ip: string): string {
  const [head = '', tail] = ip.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, '0').toLowerCase()).join('')
}

const mtuDefault = 1500

/** The MTU of the interface with the default route; 1500 when there is none. */
export async function uplinkMtu(): Promise<number> {
  const line = (await read('/proc/net/route')).split('\n').find((l) => l.split('\t')[1] === '00000000')
  const name = line?.split('\t')[0]
  if (name === undefined) return mtuDefault
  return Number(await read(`/sys/class/net/${name}/mtu`)) || mtuDefault
}

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
