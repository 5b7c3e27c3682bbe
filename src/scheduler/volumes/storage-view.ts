// Claims and volumes as the scheduler believes them to be: what the cache shows, and what it has just decided and is about to
// write, so that the next pod's decision does not give the same volume away again.
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import type { StorageClass as ClassObject } from '#api/generated/storage-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { StorageClass } from '#api/kinds/storage/storage-class'
import { type KeyText, type KubeObject, keyOf } from '#api/object'
import type { Cache } from '#client/controller'

export class StorageView {
  readonly #cache: Cache
  readonly #volumes = new Map<KeyText, VolumeObject>()
  readonly #claims = new Map<KeyText, ClaimObject>()

  constructor(cache: Cache) {
    this.#cache = cache
  }

  claim(key: KeyText): ClaimObject | undefined {
    return newer(this.#claims, key, this.#cache.get(PersistentVolumeClaim, key))
  }

  volume(name: string): VolumeObject | undefined {
    return newer(this.#volumes, name, this.#cache.get(PersistentVolume, name))
  }

  volumesOf(className: string): VolumeObject[] {
    const found: VolumeObject[] = []
    for (const volume of this.#cache.list(PersistentVolume)) {
      if (storageClassOf(volume) === className) found.push(newer(this.#volumes, volume.metadata.name, volume) ?? volume)
    }
    return found
  }

  storageClass(name: string): ClassObject | undefined {
    return this.#cache.get(StorageClass, name)
  }

  assumeVolume(volume: VolumeObject): void {
    this.#volumes.set(volume.metadata.name, volume)
  }

  assumeClaim(claim: ClaimObject): void {
    this.#claims.set(keyOf(claim), claim)
  }

  /** Takes assumptions back. What the API confirmed meanwhile has replaced them already. */
  forget(volumes: readonly VolumeObject[], claims: readonly ClaimObject[]): void {
    for (const volume of volumes) this.#volumes.delete(volume.metadata.name)
    for (const claim of claims) this.#claims.delete(keyOf(claim))
  }
}

/** The assumed object, until the cache shows a later one or none. */
function newer<T extends KubeObject>(assumed: Map<KeyText, T>, key: KeyText, cached: T | undefined): T | undefined {
  const own = assumed.get(key)
  if (own === undefined) return cached
  if (cached !== undefined && cached.metadata.resourceVersion === own.metadata.resourceVersion) return own
  assumed.delete(key)
  return cached
}
