// What the node's kernel should do for Services, independent of how: a value that says it whole.

export type Protocol = 'tcp' | 'udp' | 'sctp'

export interface Target {
  readonly ip: string
  readonly port: number
}

/** One port of one Service. */
export interface ServiceRule {
  /** `namespace/name:port/protocol`; unique and stable. */
  readonly id: string
  readonly protocol: Protocol
  readonly port: number
  /** Addresses that lead to `clusterTargets` from everywhere in the cluster. */
  readonly clusterIps: readonly string[]
  /** Addresses that lead to `externalTargets` from outside: external IPs and load balancers'. */
  readonly externalIps: readonly string[]
  /** Sources that may use the load balancer's addresses; empty: all. */
  readonly sourceRanges: readonly string[]
  readonly nodePort: number | undefined
  readonly clusterTargets: readonly Target[]
  readonly externalTargets: readonly Target[]
  /** externalTrafficPolicy Local: only this node's pods, with the client's address kept. */
  readonly externalLocal: boolean
  /** Whether there are endpoints at all, here or elsewhere: without any, connections are refused; with some elsewhere only, dropped. */
  readonly hasEndpoints: boolean
  /** ClientIP affinity, in seconds. */
  readonly affinitySeconds: number | undefined
}

export interface RuleSet {
  /** Sorted by id. */
  readonly services: readonly ServiceRule[]
  /** The cluster's pod ranges: traffic from elsewhere to a Service is masqueraded, and so is traffic from pods that leaves them. */
  readonly podCidrs: readonly string[]
}
