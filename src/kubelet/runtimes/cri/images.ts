// Images in a CRI engine.
import { pullErrorCode } from '../pull-error.ts'
import { type ContainerRuntime, RuntimeError } from '../runtime.ts'
import { type CriClient, CriError, undefinedIfGone } from './client.ts'
import { authMessage, imageFrom } from './convert.ts'

type ImageVerbs = Pick<ContainerRuntime, 'imageStatus' | 'pullImage' | 'listImages' | 'removeImage' | 'imageFilesystem'>

/** The verbs on images. */
export function imageVerbs(client: CriClient): ImageVerbs {
  return {
    async imageStatus(image) {
      const found = await client.call('ImageStatus', { image: { image } })
      return found.image === null ? undefined : imageFrom(found.image)
    },
    async pullImage(image, auth, signal) {
      const request = { image: { image }, ...(auth === undefined ? {} : { auth: authMessage(auth) }) }
      try {
        return (await client.call('PullImage', request, { signal, timeoutMs: Number.POSITIVE_INFINITY })).imageRef
      } catch (error) {
        if (!(error instanceof CriError) || error.code === 'unavailable') throw error
        throw new RuntimeError(pullErrorCode(error.message), error.message, { cause: error })
      }
    },
    listImages: async () => (await client.call('ListImages', {})).images.map(imageFrom),
    async removeImage(image) {
      await client.call('RemoveImage', { image: { image } }).catch(undefinedIfGone)
    },
    async imageFilesystem() {
      const [first] = (await client.call('ImageFsInfo', {})).imageFilesystems
      return {
        path: first?.fsId?.mountpoint ?? '/',
        usedBytes: first?.usedBytes?.value ?? 0,
        inodesUsed: first?.inodesUsed?.value ?? 0,
      }
    },
  }
}
