// The runtime contract against a real Docker Engine.
import { systemClock as clock } from '#base/clock'
import { importImages } from '#bootstrap/engine/engine-images'
import { describeRuntime } from '#kubelet/runtimes/runtime.contract'
import { startDockerd } from '../tools/dockerd.ts'
import { makeTestDir } from '../tools/names.ts'
import { openHarness } from './runtime-harness.ts'

describeRuntime(
  'docker',
  async () => {
    const docker = await startDockerd({ dir: makeTestDir('docker') })
    await importImages(docker.engine, ['.cache/images/pause-1.tar', '.cache/images/busybox-1.tar'], { clock })
    const engine = { engine: 'docker', dockerHost: docker.engine.endpoint } as const
    return openHarness(engine, { podCidr: '10.231.1.0/24', image: 'navarch.local/busybox:1', stop: docker.stop })
  },
  { realProcesses: true },
)
