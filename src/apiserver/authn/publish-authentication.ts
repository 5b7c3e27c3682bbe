// The ConfigMap kube-system/extension-apiserver-authentication: how API servers behind this one verify its clients, and this one
// itself as their front proxy. What other servers of the cluster have published stays: authorities are added, and taken out only once
// they have expired; header and proxy names are added.
import { isDeepStrictEqual } from 'node:util'
import { ConfigMap } from '#api/kinds/core/config-map'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'
import { derBlocks, parseCertificate, toPem } from '#platform/x509'
import type { LocalReader } from '../request.ts'
import { runWhenChanged } from '../run-when-changed.ts'

/** What this server lets its clients prove themselves by. */
export interface AuthenticationInfo {
  readonly clientCaPem?: string
  readonly requestHeader?: { readonly caPem: string; readonly allowedNames: readonly string[] }
}

export interface PublishDeps {
  readonly reader: LocalReader
  readonly client: Client
  readonly clock: Clock
  readonly info: AuthenticationInfo
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}

const namespace = 'kube-system'
const name = 'extension-apiserver-authentication'

/** Runs until the signal aborts; `first` is called once it is published. */
export async function publishAuthentication(deps: PublishDeps, first: () => void): Promise<void> {
  const { reader, client, clock, info, signal } = deps
  let settled: ConfigMap | undefined
  await runWhenChanged({
    clock,
    subscribe: (changed) => [reader.onChange(ConfigMap, changed)],
    async round() {
      const old = reader.get(ConfigMap, namespace, name)
      // Most changes of config maps are none of ours.
      if (old !== undefined && old === settled) return undefined
      const data = authenticationData(info, old?.data ?? {}, clock.now())
      if (old === undefined) await client.create(ConfigMap, { metadata: { name, namespace }, data })
      else if (!isDeepStrictEqual(data, old.data ?? {})) await client.update(ConfigMap, { ...old, data } as never)
      else settled = old
      first()
      return undefined
    },
    onError: deps.onError,
    signal,
  })
}

/** The map's data: ours together with what stands there already. */
export function authenticationData(
  { clientCaPem, requestHeader }: AuthenticationInfo,
  old: Readonly<Record<string, string>>,
  nowMs: number,
): Record<string, string> {
  const data: Record<string, string> = { ...old }
  const authorities = (key: string, own: string | undefined): void => {
    const all = joinedAuthorities(own ?? '', old[key] ?? '', nowMs)
    if (all !== '') data[key] = all
  }
  authorities('client-ca-file', clientCaPem)
  if (requestHeader === undefined) return data
  authorities('requestheader-client-ca-file', requestHeader.caPem)
  const names = (key: string, own: readonly string[]): void => {
    data[key] = JSON.stringify([...new Set([...own, ...readNames(old[key])])])
  }
  names('requestheader-username-headers', ['X-Remote-User'])
  names('requestheader-uid-headers', ['X-Remote-Uid'])
  names('requestheader-group-headers', ['X-Remote-Group'])
  names('requestheader-extra-headers-prefix', ['X-Remote-Extra-'])
  names('requestheader-allowed-names', requestHeader.allowedNames)
  return data
}

function readNames(text: string | undefined): string[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
  } catch {
    return []
  }
}

function joinedAuthorities(own: string, old: string, nowMs: number): string {
  const pems = new Set<string>()
  for (const text of [own, old]) {
    for (const der of blocksOf(text)) {
      try {
        if (parseCertificate(der).notAfterMs < nowMs) continue
      } catch {
        continue
      }
      pems.add(`${toPem('CERTIFICATE', der).trim()}\n`)
    }
  }
  return [...pems].join('')
}

function blocksOf(text: string): readonly Uint8Array[] {
  try {
    return derBlocks(text)
  } catch {
    return []
  }
}
