// The pod or container that a path names, when it is there and runs.
import { readySandbox } from '../engine-state.ts'
import type { ContainerStatus, Sandbox } from '../runtimes/runtime.ts'
import type { ServerContext } from './server.ts'

/** There is no such target; the code and the message are the answer. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
  readonly code: 400 | 404 | 500
  constructor(code: 400 | 404 | 500, message: string) {
    super(message)
    this.code = code
  }
}

interface PodPath {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
}

function findEngineState({ engine, workers }: Pick<ServerContext, 'engine' | 'workers'>, path: PodPath) {
  const worker = workers.find(path.namespace, path.pod)
  if (worker === undefined || (path.uid !== '' && worker.pod.metadata.uid !== path.uid)) throw new TargetError(404, 'pod does not exist')
  const { uid } = worker.pod.metadata
  return engine.pod({ uid, name: path.pod, namespace: path.namespace })
}

export function findRunningContainer(
  context: Pick<ServerContext, 'engine' | 'workers'>,
  path: PodPath & { container: string },
): ContainerStatus {
  const state = findEngineState(context, path)
  const container = state.containers.find((c) => c.name === path.container && c.state === 'running')
  if (container === undefined) throw new TargetError(404, `container not found (${JSON.stringify(path.container)})`)
  return container
}

export function findSandbox(context: Pick<ServerContext, 'engine' | 'workers'>, path: PodPath): Sandbox {
  const sandbox = readySandbox(findEngineState(context, path))
  if (sandbox === undefined) throw new TargetError(500, `failed to find sandbox for pod ${path.pod}_${path.namespace}`)
  return sandbox
}
