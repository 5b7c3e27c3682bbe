// The runtime contract against a real containerd.
import { systemClock as clock } from '#base/clock'
import { importImages } from '#bootstrap/engine/engine-images'
import { describeRuntime } from '#kubelet/runtimes/runtime.contract'
import { startContainerd } from '../tools/containerd.ts'
import { makeTestDir } from '../tools/names.ts'
import { openHarness } from './runtime-harness.ts'

describeRuntime(
  'containerd',
  async () => {
    const containerd = await startContainerd({ dir: makeTestDir('containerd') })
    await importImages(containerd.engine, ['.cache/images/pause-1.tar', '.cache/images/busybox-1.tar'], { clock })
    const engine = { engine: 'containerd', criEndpoint: containerd.engine.endpoint } as const
    const { stop, cniConfigs } = containerd
    return openHarness(engine, { podCidr: '10.231.2.0/24', image: 'navarch.local/busybox:1', stop, cniConfigs })
  },
  { realProcesses: true },
)
