// Keepers: one tiny shell process a role, which starts the role's process again whenever it ends. A shell, because it is
// resident all the time: it costs two megabytes where another Node.js process would cost forty.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import { runningProcess, startDaemon, stopProcess } from '#platform/daemon'
import { writeFileAtomic } from '#platform/files'
import type { ProcessIdentity } from '#platform/process'
import type { ClusterPaths } from './cluster-config.ts'

/** A process of the cluster that is kept running. */
export interface RoleSpec {
  /** `apiserver`, `controllers`, `node`. */
  readonly role: string
  readonly program: string
  readonly args: readonly string[]
}

// $1 log file, then the command. A role that dies within ten seconds of its start is started again
// after a pause that doubles from 0.1 s to 6.4 s; TERM is passed on and ends the keeper once the role has ended.
const keeperScript = `log=$1
shift
child= stopping= tries=0
trap 'stopping=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM INT HUP
while [ -z "$stopping" ]; do
  if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt 16777216 ]; then mv -f "$log" "$log.1"; fi
  began=$(date +%s)
  "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  while kill -0 "$child" 2>/dev/null; do wait "$child"; done
  [ -n "$stopping" ] && break
  if [ $(($(date +%s) - began)) -ge 10 ]; then tries=0; else tries=$((tries + 1)); fi
  case $tries in
    0 | 1) sleep 0.1 ;;
    2) sleep 0.2 ;;
    3) sleep 0.4 ;;
    4) sleep 0.8 ;;
    5) sleep 1.6 ;;
    6) sleep 3.2 ;;
    *) sleep 6.4 ;;
  esac
done
`

function keeperPidFile(paths: ClusterPaths, role: string): string {
  return join(paths.run, `${role}.keeper.pid`)
}

/** Where a role writes its own pid file. */
export function rolePidFile(paths: ClusterPaths, role: string): string {
  return join(paths.run, `${role}.pid`)
}

/** Starts the keeper of a role, unless it runs already. A role that lost its keeper is ended first: two would fight. */
export async function startKeeper(paths: ClusterPaths, { role, program, args }: RoleSpec, clock: Clock): Promise<ProcessIdentity> {
  const running = runningProcess(keeperPidFile(paths, role))
  if (running !== undefined) return running
  await stopRole(paths, role, clock)
  const script = join(paths.run, 'keeper.sh')
  if (!existsSync(script)) await writeFileAtomic(script, keeperScript, { mode: 0o700 })
  return startDaemon({
    program: '/bin/sh',
    args: [script, join(paths.logs, `${role}.log`), program, ...args],
    title: 'navarch-keeper',
    pidFile: keeperPidFile(paths, role),
    logFile: join(paths.logs, `${role}.keeper.log`),
  })
}

/** The roles whose keepers run. */
export function keptRoles(paths: ClusterPaths): string[] {
  if (!existsSync(paths.run)) return []
  return readdirSync(paths.run)
    .filter((name) => name.endsWith('.keeper.pid') && runningProcess(join(paths.run, name)) !== undefined)
    .map((name) => name.slice(0, -'.keeper.pid'.length))
}

/** Ends a role's keeper and, through it, the role. Fine when neither runs. */
export async function stopKeeper(paths: ClusterPaths, role: string, clock: Clock): Promise<void> {
  const running = runningProcess(keeperPidFile(paths, role))
  if (running !== undefined) await stopProcess(running, { clock, graceMs: 20_000 })
  await stopRole(paths, role, clock)
}

async function stopRole(paths: ClusterPaths, role: string, clock: Clock): Promise<void> {
  const running = runningProcess(rolePidFile(paths, role))
  if (running !== undefined) await stopProcess(running, { clock, graceMs: 15_000 })
}
