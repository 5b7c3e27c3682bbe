// An address that this machine answers itself, on its loopback interface: where cluster DNS listens.
import { runChecked, runCommand } from '#platform/process'

/** Adds the address; fine when it is there already. */
export async function addLocalAddress(ip: string): Promise<void> {
  const { code, stderr } = await runCommand('ip', ['address', 'add', `${ip}/32`, 'dev', 'lo'])
  if (code !== 0 && !stderr.includes('File exists')) throw new Error(`cannot add ${ip} to the loopback interface: ${stderr.trim()}`)
}

/** Takes it away; fine when it is gone. */
export async function removeLocalAddress(ip: string): Promise<void> {
  const shown = await runChecked('ip', ['-o', 'address', 'show', 'dev', 'lo'])
  if (shown.includes(` ${ip}/32 `)) await runCommand('ip', ['address', 'del', `${ip}/32`, 'dev', 'lo'])
}
