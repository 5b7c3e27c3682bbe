import { describe, expect, test } from 'vitest'
import { hostPortTable, openHostPorts, type PortedPod, renderHostPorts } from './host-ports.ts'

const web: PortedPod = { ips: ['10.0.0.2', 'fd00::2'], hostPorts: [{ protocol: 'TCP', containerPort: 80, hostPort: 8080 }] }

describe('host ports', () => {
  test('a port without an address is answered on every address of the node, in both families the pod has', () => {
    const rules = renderHostPorts('t', new Map([['s1', web]]))
    expect(rules).toContain(
      'map any_ip {\n    type inet_proto . inet_service : ipv4_addr . inet_service\n    elements = { tcp . 8080 : 10.0.0.2 . 80 }',
    )
    expect(rules).toContain('elements = { tcp . 8080 : fd00::2 . 80 }')
    expect(rules).toContain('elements = { 10.0.0.2 . 10.0.0.2 }')
  })

  test('a port with an address is answered there only, in that family only', () => {
    const pod: PortedPod = {
      ips: ['10.0.0.3', 'fd00::3'],
      hostPorts: [{ protocol: 'UDP', containerPort: 53, hostPort: 53, hostIP: '192.0.2.1' }],
    }
    const rules = renderHostPorts('t', new Map([['s1', pod]]))
    expect(rules).toContain('elements = { 192.0.2.1 . udp . 53 : 10.0.0.3 . 53 }')
    expect(rules).not.toContain('ip6')
  })

  test('the last pod takes the table with it', async () => {
    const loads: string[] = []
    const ports = openHostPorts('my-cluster', async (rules) => void loads.push(rules))
    await ports.replace(new Map())
    await ports.set('s1', { ips: ['192.0.2.9'], hostPorts: web.hostPorts })
    await ports.set('s1', undefined)
    await ports.replace(new Map())
    const table = hostPortTable('my-cluster')
    expect(table).toBe('navarch_my_cluster_hostports')
    const gone = `add table inet ${table}\ndelete table inet ${table}\n`
    expect(loads.map((l) => l === gone)).toEqual([true, false, true])
  })

  test('a failed load does not stop the next one', async () => {
    let fail = true
    const loads: string[] = []
    const ports = openHostPorts('c', async (rules) => {
      if (fail) throw new Error('no')
      loads.push(rules)
    })
    await expect(ports.set('s1', { ips: ['192.0.2.9'], hostPorts: web.hostPorts })).rejects.toThrow('no')
    fail = false
    await ports.set('s2', { ips: ['192.0.2.8'], hostPorts: [{ protocol: 'TCP', containerPort: 1, hostPort: 2 }] })
    expect(loads[0]).toContain('192.0.2.9')
    expect(loads[0]).toContain('192.0.2.8')
  })
})
