// Keeps audit events within a size: one that is larger goes without its bodies, and says so; one that is still too large does not go.
import { type AuditEvent, type AuditSink, lineOf } from './audit.ts'

export interface TruncateOptions {
  readonly eventBytesMax: number
  /** Told of each event that does not go. */
  readonly onError: (error: Error) => void
}

const truncatedAnnotation = 'audit.k8s.io/truncated'

/** A sink whose events are no larger than that. */
export function truncating(sink: AuditSink, { eventBytesMax, onError }: TruncateOptions): AuditSink {
  return {
    write(line, event) {
      if (Buffer.byteLength(line) <= eventBytesMax) return sink.write(line, event)
      const { level } = event
      const less = level === 'Request' || level === 'RequestResponse' ? withoutBodies(event) : event
      const text = lineOf(less)
      if (Buffer.byteLength(text) <= eventBytesMax) return sink.write(text, less)
      onError(new Error('event is too large even after truncating'))
    },
  }
}

function withoutBodies(event: AuditEvent): AuditEvent {
  const annotations = { ...(event['annotations'] as object | undefined), [truncatedAnnotation]: 'true' }
  return { ...event, requestObject: undefined, responseObject: undefined, annotations }
}
