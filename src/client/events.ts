// Recording Events about objects, as `kubectl describe` and `kubectl events` show them. Repeated ones are counted, not
// repeated, and a flood is bounded (client-go's event correlation: burst 25, then one in five minutes for each object).
import type { KubeObject } from '#api/object'

export interface EventRecorder {
  /** Fire and forget; never throws. `about` may be a frozen cached object. */
  record(about: KubeObject | EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Waits until what was recorded has been sent or given up; for orderly shutdown. */
  flush(): Promise<void>
}

/** What an event is about, when more than the object itself is meant (a container of a pod). */
export interface EventSubject {
  readonly object: KubeObject
  /** e.g. `spec.containers{web}`. */
  readonly fieldPath: string
}
