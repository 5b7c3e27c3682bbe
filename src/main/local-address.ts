// An address that this machine answers itself, on its loopback interface: where cluster DNS listens.
import { runChecked, runCommand } from '#platform/process'

/** Adds the address; fine when it is there already. */
export async function addLocalAddress(ip: string): Promise<void> {
  if (await hasLocalAddress(ip)) return
  const { code, stderr } = await runCommand('ip', ['address', 'add', `${ip}/32`, 'dev', 'lo'])
  if (code !== 0 && !(await hasLocalAddress(ip))) throw new Error(`cannot add ${ip} to the loopback interface: ${stderr.trim()}`)
}

/** Takes it away; fine when it is gone. */
export async function removeLocalAddress(ip: string): Promise<void> {
  if (await hasLocalAddress(ip)) await runCommand('ip', ['address', 'del', `${ip}/32`, 'dev', 'lo'])
}

async function hasLocalAddress(ip: string): Promise<boolean> {
  return (await runChecked('ip', ['-o', 'address', 'show', 'dev', 'lo'])).includes(` ${ip}/32 `)
}
