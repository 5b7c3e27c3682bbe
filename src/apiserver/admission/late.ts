// What takes longer than its client waits is not written: nobody would know.
import { type ApiError, timeout } from '#api/errors'

export function late(): ApiError {
  return timeout('request did not complete within requested timeout')
}
