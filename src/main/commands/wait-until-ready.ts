// Waiting for what `up` promises: the node is Ready and cluster DNS answers. Ends early when a role keeps dying.
import { createSocket } from 'node:dgram'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decode, encode } from 'dns-packet'
import { Node } from '#api/kinds/core/node'
import type { Clock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { createHttpsTransport } from '#client/https-transport'
import { readKubeconfig } from '#client/kubeconfig'
import { createClient } from '#client/rest-client'
import { Failure } from '../failure.ts'

const pollMs = 40

/** Resolves once both hold. After `seconds` it fails with what was still missing and the last line of the log that may tell why. */
export async function waitUntilReady(config: ClusterConfig, paths: ClusterPaths, deps: { clock: Clock; seconds: number }): Promise<void> {
  const { clock } = deps
  const deadline = clock.monotonic() + deps.seconds * 1_000
  const transport = createHttpsTransport({
    ...readKubeconfig(paths.adminKubeconfig),
    clock,
    server: `https://${config.nodeIp}:${config.apiPort}`,
  })
  const client = createClient({ transport, userAgent: 'navarch' })
  let missing = 'the API server does not answer'
  const nodeReady = async (): Promise<boolean> => {
    try {
      const node = await client.get(Node, { namespace: '', name: config.nodeName })
      const ready = node.status.conditions?.find(({ type }) => type === 'Ready')
      missing = `node ${config.nodeName} is not Ready: ${ready?.message ?? 'it has not reported yet'}`
      return ready?.status === 'True'
    } catch (error) {
      missing = `the API server does not tell of node ${config.nodeName}: ${(error as Error).message}`
      return false
    }
  }
  const dnsReady = async (): Promise<boolean> => {
    if (config.engine === 'fake') return true
    missing = `DNS does not answer at ${config.dnsIp}`
    return dnsAnswers(config.dnsIp, `kubernetes.default.svc.${config.clusterDomain}`, clock)
  }
  try {
    for (const done of [nodeReady, dnsReady]) {
      while (!(await done())) {
        if (clock.monotonic() > deadline)
          throw new Failure(`not ready after ${deps.seconds} s: ${missing}; see ${paths.logs}${lastWords(paths)}`)
        await clock.sleep(pollMs)
      }
    }
  } finally {
    await transport.close()
  }
}

/** Whether the server at `address` resolves `name` to an address. */
export function dnsAnswers(address: string, name: string, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    const finish = (answer: boolean): void => {
      timer.cancel()
      socket.close()
      resolve(answer)
    }
    const timer = clock.after(500, () => finish(false))
    socket.on('error', () => finish(false))
    socket.on('message', (message) => finish((decode(message).answers ?? []).some(({ type }) => type === 'A')))
    socket.send(encode({ type: 'query', id: 1, flags: 256, questions: [{ type: 'A', name }] }), 53, address, (error) => {
      if (error) finish(false)
    })
  })
}

function lastWords(paths: ClusterPaths): string {
  for (const role of ['apiserver', 'controllers', 'node']) {
    const line = lastErrorLine(join(paths.logs, `${role}.log`))
    if (line !== undefined) return `\n${role}: ${line}`
  }
  return ''
}

function lastErrorLine(path: string): string | undefined {
  try {
    const { size } = statSync(path)
    const tail = Buffer.alloc(Math.min(size, 16_384))
    const file = openSync(path, 'r')
    readSync(file, tail, 0, tail.length, size - tail.length)
    closeSync(file)
    return tail
      .toString('utf8')
      .split('\n')
      .findLast((line) => /"level":"error"|Error:|^navarch: /.test(line))
  } catch {
    return undefined
  }
}
