// Brings the records of what services hold back in line with the services: after an import, a change of ranges, or a restore.
// In daily life they never part, because each is written in one commit with its service.
import { ApiError } from '#api/errors'
import { Service } from '#api/kinds/core/service'
import type { Store } from '#storage/store'
import type { LocalReader } from '../../request.ts'
import type { NodePorts } from './node-ports.ts'
import { heldPorts } from './service-hooks.ts'

const attemptsMax = 10

export async function repairNodePorts(reader: LocalReader, store: Store, nodePorts: NodePorts): Promise<void> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const held = new Set(reader.list(Service).flatMap(heldPorts))
    const bitmap = await nodePorts.read()
    for (let port = nodePorts.range.from; port <= nodePorts.range.to; port++) {
      if (held.has(port)) bitmap.add(port)
      else bitmap.delete(port)
    }
    const write = bitmap.write()
    if (write === undefined || (await store.write(write)).outcome === 'committed') return
  }
  throw new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'node ports keep changing', code: 500 })
}
