import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PersistentVolumeClaim as ClaimObject, Node, PodSpec, Volume, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { createMemoryApi, type MemoryApi } from '../test-support/memory-api.ts'
import { testContainer, testNow, testPod } from '../test-support/pods.ts'
import { createClaims } from './claims.ts'

let dir: string
let api: MemoryApi

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nvt-claims-'))
  api = createMemoryApi(() => testNow)
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const node = { metadata: { name: 'node-1', labels: { disk: 'fast' } } } as unknown as Node
const data: Volume = { name: 'data', persistentVolumeClaim: { claimName: 'claim' } }
const affinity = (value: string) => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In' as const, values: [value] }] }] },
})

function put(spec: VolumeObject['spec'], claim: { status?: object; spec?: object; metadata?: object } = {}): void {
  api.put(PersistentVolumeClaim, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name: 'claim', uid: 'claim-uid', ...claim.metadata },
    spec: { volumeName: 'disk', ...claim.spec },
    status: { phase: 'Bound', ...claim.status },
  } as unknown as ClaimObject)
  api.put(PersistentVolume, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'disk' },
    spec: { claimRef: { namespace: 'default', name: 'claim', uid: 'claim-uid' }, ...spec },
    status: { phase: 'Bound' },
  } as unknown as VolumeObject)
}

const mounting: Partial<PodSpec> = {
  containers: [testContainer('app', { volumeMounts: [{ name: 'data', mountPath: '/data' }] })],
  volumes: [data],
}

const resolve = (volume: Volume = data, spec: Partial<PodSpec> = mounting) =>
  createClaims({ client: api.client, node: () => node }).resolve(testPod({ ...spec, volumes: [volume] }), volume)

describe('the volume behind a claim', () => {
  test('is the path of a hostPath volume, made when its type says so', async () => {
    const path = join(dir, 'made')
    put({ hostPath: { path, type: 'DirectoryOrCreate' } })
    expect(await resolve()).toEqual({ path, readOnly: false, managesOwnership: false })
  })

  test('is the directory of a local volume, read-only when the pod asks for that', async () => {
    put({ local: { path: dir }, nodeAffinity: affinity('fast') })
    const readOnly = { ...data, persistentVolumeClaim: { claimName: 'claim', readOnly: true } }
    expect(await resolve(readOnly)).toEqual({ path: dir, readOnly: true, managesOwnership: true })
  })

  test('stays for the pod’s life, also while the API is away', async () => {
    put({ local: { path: dir } })
    const claims = createClaims({ client: api.client, node: () => node })
    const first = await claims.resolve(testPod(mounting), data)
    api.away = true
    expect(await claims.resolve(testPod(mounting), data)).toBe(first)
    claims.forget('uid-web')
    await expect(claims.resolve(testPod(mounting), data)).rejects.toThrow('failed to fetch PVC from API server')
  })

  const unprocessed =
    'Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[data]: '
  test.each<[string, () => void | Promise<void>, string]>([
    [
      'a claim that is not there',
      () => {},
      `${unprocessed}error processing PVC default/claim: failed to fetch PVC from API server: persistentvolumeclaims "claim" not found`,
    ],
    [
      'a claim without a volume',
      () => put({}, { status: { phase: 'Pending' } }),
      `${unprocessed}error processing PVC default/claim: PVC is not bound`,
    ],
    [
      'a claim that goes',
      () => put({}, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
      `${unprocessed}error processing PVC default/claim: PVC is being deleted`,
    ],
    [
      'a volume of another claim',
      () => put({ claimRef: { uid: 'other' } }),
      `${unprocessed}error processing PVC default/claim: found PV object disk but its pv.Spec.ClaimRef.UID other does not point to claim.UID claim-uid`,
    ],
    [
      'a volume of another node',
      () => put({ local: { path: dir }, nodeAffinity: affinity('slow') }),
      'MountVolume.NodeAffinity check failed for volume "disk" : no matching NodeSelectorTerms',
    ],
    [
      'a directory that is not there',
      () => put({ local: { path: '/none' } }),
      'MountVolume.NewMounter initialization failed for volume "disk" : path "/none" does not exist',
    ],
    [
      'a file',
      async () => {
        await writeFile(join(dir, 'file'), '')
        put({ local: { path: join(dir, 'file') } })
      },
      'MountVolume.NewMounter initialization failed for volume "disk" : only directory and block device are supported',
    ],
    [
      'a hostPath of another type',
      () => put({ hostPath: { path: dir, type: 'File' } }),
      `MountVolume.SetUp failed for volume "disk" : hostPath type check failed: `,
    ],
    [
      'a volume of a plugin that is not here',
      () => put({ nfs: { server: 's', path: '/' } }),
      'MountVolume.SetUp failed for volume "disk" : no volume plugin matched',
    ],
    [
      'a device that is mounted',
      () => put({ local: { path: dir }, volumeMode: 'Block' }),
      `${unprocessed}volume data has volumeMode Block, but is specified in volumeMounts`,
    ],
  ])('%s is an error', async (_, arrange, error) => {
    await arrange()
    await expect(resolve()).rejects.toThrow(error)
  })

  test('a device is no directory', async () => {
    await mkdir(join(dir, 'd'))
    put({ local: { path: join(dir, 'd') }, volumeMode: 'Block' })
    const using = { containers: [testContainer('app', { volumeDevices: [{ name: 'data', devicePath: '/dev/x' }] })] }
    await expect(resolve(data, using)).rejects.toThrow(
      `MapVolume.NewBlockVolumeMapper initialization failed for volume "disk" : ${join(dir, 'd')} is not a block device`,
    )
  })

  test('the claim of an ephemeral volume must be the pod’s own', async () => {
    put({ local: { path: dir } }, { metadata: { name: 'web-data' } })
    const ephemeral = { name: 'data', ephemeral: { volumeClaimTemplate: { spec: {} } } } as unknown as Volume
    await expect(resolve(ephemeral)).rejects.toThrow(
      `${unprocessed}PVC default/web-data was not created for pod default/web (pod is not owner)`,
    )
  })
})
