// What went wrong with a volume, as users are told it.

/** A volume could not be set up. The message is the event's, and so is the reason. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError'

  get reason(): 'FailedMount' | 'FailedMapVolume' {
    return this.message.startsWith('MapVolume') ? 'FailedMapVolume' : 'FailedMount'
  }
}
