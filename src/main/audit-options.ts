// Options of the audit log: what is told, and where it goes.
import type { AuditWebhookSettings } from '#apiserver/audit/webhook-sink'
import { usageFailure } from './failure.ts'
import type { OptionReader } from './option-reader.ts'

export interface AuditSettings {
  readonly policy: string
  readonly policyFile: string
  readonly log?: AuditLogSettings
  readonly webhook?: AuditWebhookSettings & { readonly kubeconfigFile: string; readonly eventBytesMax: number | undefined }
}

export interface AuditLogSettings {
  /** `-`: standard output. */
  readonly path: string
  readonly ageMsMax: number
  readonly backupsMax: number
  readonly bytesMax: number
  /** Size of one event; undefined: any. */
  readonly eventBytesMax: number | undefined
}

/** Throws a Failure of one line. */
export function auditOf(read: OptionReader): AuditSettings | undefined {
  const policy = read.file('audit-policy-file')
  const log = logOf(read)
  const webhook = webhookOf(read)
  if (policy === undefined) {
    const name = read.has('audit-log-path') ? 'audit-log-path' : 'audit-webhook-config-file'
    if (log !== undefined || webhook !== undefined) throw usageFailure(`${read.where(name)}: say what is audited with --audit-policy-file`)
    return undefined
  }
  if (log === undefined && webhook === undefined) {
    throw usageFailure(`${read.where('audit-policy-file')}: say where events go with --audit-log-path or --audit-webhook-config-file`)
  }
  return {
    policy,
    policyFile: read.text('audit-policy-file'),
    ...(log === undefined ? {} : { log }),
    ...(webhook === undefined ? {} : { webhook }),
  }
}

function logOf(read: OptionReader): AuditLogSettings | undefined {
  const settings = {
    ageMsMax: read.number('audit-log-maxage', 0, 36_500) * 86_400_000,
    backupsMax: read.number('audit-log-maxbackup', 0, 100_000),
    bytesMax: read.number('audit-log-maxsize', 0, 100_000) * 1_048_576 || 104_857_600,
    eventBytesMax: truncationOf(read, 'log').eventBytesMax,
  }
  if (!read.has('audit-log-path')) return undefined
  return { path: read.text('audit-log-path') === '-' ? '-' : read.path('audit-log-path'), ...settings }
}

function truncationOf(read: OptionReader, backend: 'log' | 'webhook'): { eventBytesMax: number | undefined; batchBytesMax: number } {
  const enabled = read.boolean(`audit-${backend}-truncate-enabled`)
  const eventBytesMax = read.number(`audit-${backend}-truncate-max-event-size`, 1, 1_073_741_824)
  const batchBytesMax = read.number(`audit-${backend}-truncate-max-batch-size`, 1, 1_073_741_824)
  if (batchBytesMax < eventBytesMax) {
    throw usageFailure(
      `invalid audit truncate ${backend} max batch size ${batchBytesMax}, must be greater than max event size (${eventBytesMax})`,
    )
  }
  return enabled ? { eventBytesMax, batchBytesMax } : { eventBytesMax: undefined, batchBytesMax: Number.POSITIVE_INFINITY }
}

function webhookOf(read: OptionReader): AuditSettings['webhook'] {
  const name = (rest: string): string => `audit-webhook-batch-${rest}`
  const throttled = read.boolean(name('throttle-enable'))
  const perSecond = read.number(name('throttle-qps'), 1, 100_000)
  const burst = read.number(name('throttle-burst'), 1, 100_000)
  const { eventBytesMax, batchBytesMax } = truncationOf(read, 'webhook')
  const settings = {
    bufferMax: read.number(name('buffer-size'), 1, 10_000_000),
    batchMax: read.number(name('max-size'), 1, 100_000),
    batchWaitMs: read.durationMs(name('max-wait'), 0),
    firstWaitMs: read.durationMs('audit-webhook-initial-backoff', 0),
    batchBytesMax,
    eventBytesMax,
    ...(throttled ? { throttle: { perSecond, burst } } : {}),
  }
  if (read.file('audit-webhook-config-file') === undefined) return undefined
  return { kubeconfigFile: read.path('audit-webhook-config-file'), ...settings }
}
