// Job of batch/v1.
import type * as batchV1 from '../../generated/batch-v1.ts'
import { defineKind } from '../../kind.ts'

export type Job = batchV1.Job

export const Job = defineKind<Job>('batch/v1/jobs')
