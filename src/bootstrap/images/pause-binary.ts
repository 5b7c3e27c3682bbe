// The program of the sandbox container, written as machine code: a static ELF executable of a few hundred bytes, so that no compiler
// and no download is needed to start a pod. It holds the pod's namespaces, ends with 0 at once on SIGTERM and SIGINT, and reaps every
// orphan when it is process 1 of a shared pid namespace: SIGCHLD is ignored, and the kernel then keeps no zombies (sigaction(2)).
// SIGTERM and SIGINT are blocked and waited for, which works for process 1 too, for which signals without a handler do not exist.

/** The architectures images are built for, in the names OCI uses. */
export type Architecture = 'amd64' | 'arm64'

/** Our architecture by Node's name for it. */
export function architectureOf(nodeArch: string): Architecture {
  if (nodeArch === 'x64') return 'amd64'
  if (nodeArch === 'arm64') return 'arm64'
  throw new Error(`images cannot be built for the architecture ${nodeArch}`)
}

/** The executable's bytes. */
export function pauseBinary(architecture: Architecture): Uint8Array {
  return architecture === 'amd64' ? elf(62, amd64Code()) : elf(183, arm64Code())
}

const loadAddress = 0x400000
const headerBytes = 64 + 2 * 56
const SIGINT = 2
const SIGTERM = 15
const SIGCHLD = 17

/** What both programs read: `struct sigaction` that ignores SIGCHLD (handler, flags, restorer, mask), then the set of signals waited for. */
function data(): { bytes: Buffer; actionAt: number; setAt: number } {
  const SIG_IGN = 1n
  const SA_NOCLDWAIT = 2n
  const set = (1n << BigInt(SIGTERM - 1)) | (1n << BigInt(SIGINT - 1))
  const bytes = Buffer.alloc(40)
  for (const [index, word] of [SIG_IGN, SA_NOCLDWAIT, 0n, 0n, set].entries()) bytes.writeBigUInt64LE(word, index * 8)
  return { bytes, actionAt: 0, setAt: 32 }
}

// rt_sigaction(SIGCHLD, &action, NULL, 8); rt_sigprocmask(SIG_BLOCK, &set, NULL, 8);
// while (rt_sigtimedwait(&set, NULL, NULL, 8) < 0); exit_group(0)
function amd64Code(): Buffer {
  const { bytes, actionAt, setAt } = data()
  const code: number[] = []
  const fixups: { at: number; dataAt: number }[] = []
  const rax = (value: number): void => void code.push(0xb8, ...littleEndian(value))
  const rdi = (value: number): void => void code.push(0xbf, ...littleEndian(value))
  const address = (opcode: number, dataAt: number): void => {
    code.push(0x48, 0x8d, opcode, 0, 0, 0, 0)
    fixups.push({ at: code.length - 4, dataAt })
  }
  const noRdx = [0x31, 0xd2]
  const noRsi = [0x31, 0xf6]
  const r10Is8 = [0x41, 0xba, 8, 0, 0, 0]
  const syscall = [0x0f, 0x05]
  const [inRsi, inRdi] = [0x35, 0x3d]

  rax(13)
  rdi(SIGCHLD)
  address(inRsi, actionAt)
  code.push(...noRdx, ...r10Is8, ...syscall)
  rax(14)
  rdi(0)
  address(inRsi, setAt)
  code.push(...noRdx, ...r10Is8, ...syscall)
  const again = code.length
  rax(128)
  address(inRdi, setAt)
  code.push(...noRsi, ...noRdx, ...r10Is8, ...syscall)
  // test eax, eax; js again
  code.push(0x85, 0xc0, 0x78, again - (code.length + 4))
  rax(231)
  rdi(0)
  code.push(...syscall)

  while (code.length % 8 !== 0) code.push(0x90)
  const program = Buffer.concat([Buffer.from(code), bytes])
  for (const { at, dataAt } of fixups) program.writeInt32LE(code.length + dataAt - (at + 4), at)
  return program
}

function arm64Code(): Buffer {
  const { bytes, actionAt, setAt } = data()
  const words: number[] = []
  const fixups: { at: number; register: number; dataAt: number }[] = []
  const move = (register: number, value: number): void => void words.push((0xd2800000 | (value << 5) | register) >>> 0)
  const address = (register: number, dataAt: number): void => {
    fixups.push({ at: words.length, register, dataAt })
    words.push(0)
  }
  const call = (number: number): void => {
    move(8, number)
    words.push(0xd4000001)
  }

  move(0, SIGCHLD)
  address(1, actionAt)
  move(2, 0)
  move(3, 8)
  call(134)
  move(0, 0)
  address(1, setAt)
  move(2, 0)
  move(3, 8)
  call(135)
  const again = words.length
  address(0, setAt)
  move(1, 0)
  move(2, 0)
  move(3, 8)
  call(137)
  // tbnz x0, #63, again
  words.push((0xb7f80000 | (((again - words.length) & 0x3fff) << 5)) >>> 0)
  move(0, 0)
  call(94)

  if (words.length % 2 !== 0) words.push(0xd503201f)
  for (const { at, register, dataAt } of fixups) {
    const distance = (words.length - at) * 4 + dataAt
    // adr: the two low bits of the distance stand apart from the rest.
    words[at] = (0x10000000 | ((distance & 3) << 29) | ((distance >> 2) << 5) | register) >>> 0
  }
  const program = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) program.writeUInt32LE(word, index * 4)
  return Buffer.concat([program, bytes])
}

function littleEndian(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]
}

/** A static 64-bit little-endian executable: its headers and `code` are one readable and executable segment; the stack is not executable. */
function elf(machine: number, code: Buffer): Uint8Array {
  const bytes = Buffer.alloc(headerBytes)
  const total = BigInt(headerBytes + code.length)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  bytes.writeUInt16LE(2, 16)
  bytes.writeUInt16LE(machine, 18)
  bytes.writeUInt32LE(1, 20)
  bytes.writeBigUInt64LE(BigInt(loadAddress + headerBytes), 24)
  bytes.writeBigUInt64LE(64n, 32)
  bytes.writeUInt16LE(64, 52)
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(2, 56)
  bytes.writeUInt16LE(64, 58)

  const [PT_LOAD, PT_GNU_STACK, readExecute, readWrite] = [1, 0x6474e551, 5, 6]
  bytes.writeUInt32LE(PT_LOAD, 64)
  bytes.writeUInt32LE(readExecute, 68)
  bytes.writeBigUInt64LE(BigInt(loadAddress), 80)
  bytes.writeBigUInt64LE(BigInt(loadAddress), 88)
  bytes.writeBigUInt64LE(total, 96)
  bytes.writeBigUInt64LE(total, 104)
  bytes.writeBigUInt64LE(0x10000n, 112)
  bytes.writeUInt32LE(PT_GNU_STACK, 120)
  bytes.writeUInt32LE(readWrite, 124)
  bytes.writeBigUInt64LE(16n, 168)
  return Buffer.concat([bytes, code])
}
