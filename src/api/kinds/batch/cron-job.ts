// CronJob of batch/v1.
import type * as batchV1 from '../../generated/batch-v1.ts'
import { defineKind } from '../../kind.ts'

export type CronJob = batchV1.CronJob

export const CronJob = defineKind<CronJob>('batch/v1/cronjobs')
