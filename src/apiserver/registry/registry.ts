// `Registry<T>`: the verbs of one kind, and the Store's only writer: decode, default, admit, validate, write.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'

export interface Registry<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>
}
