import { describe, expect, test } from 'vitest'
import type * as batchV1 from '../../generated/batch-v1.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testNowMs, updateErrors } from '../testing.ts'
import { CronJob } from './cron-job.ts'
import { cronScheduleError } from './cron-schedule.ts'
import { Job } from './job.ts'

const template: Manifest<coreV1.PodTemplateSpec> = {
  spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'navarch.local/work:v1' }] },
}
const uid = '1b4e28ba-2fa1-11d2-883f-0016d3cca427'
const metadata = { name: 'work', uid }

function job(spec: Manifest<batchV1.JobSpec> = {}): Manifest<Job> {
  return { metadata, spec: { template, ...spec } }
}

describe('job defaults', () => {
  test('a job runs once, and knows its pods by its own uid', () => {
    const made = created(Job, job())
    const { spec } = made
    const labels = {
      'batch.kubernetes.io/controller-uid': metadata.uid,
      'batch.kubernetes.io/job-name': 'work',
      'controller-uid': metadata.uid,
      'job-name': 'work',
    }
    expect(spec).toMatchObject({
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      manualSelector: false,
      podReplacementPolicy: 'TerminatingOrFailed',
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': metadata.uid } },
    })
    expect([spec.template.metadata.labels, made.metadata.labels]).toEqual([labels, labels])
  })

  test('a work queue has no number of completions', () => {
    expect(created(Job, job({ parallelism: 3 })).spec.completions).toBeUndefined()
  })
})

describe('creating a job', () => {
  test.each<[string, Manifest<batchV1.JobSpec>, string[]]>([
    ['it is fine', {}, []],
    [
      'its pods end',
      { template: { spec: { ...template.spec, restartPolicy: 'Always' } } },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    ['its counts are not negative', { completions: -1 }, ['spec.completions: Invalid value: -1: must be greater than or equal to 0']],
    [
      'an indexed job knows how many indexes there are',
      { completionMode: 'Indexed', parallelism: 2 },
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      'a deadline is not negative',
      { activeDeadlineSeconds: -1, ttlSecondsAfterFinished: -1 },
      [
        'spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0',
        'spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      'a selector of its own must be asked for',
      { selector: { matchLabels: { app: 'x' } } },
      [
        `spec.selector: Invalid value: {"matchLabels":{"app":"x","batch.kubernetes.io/controller-uid":"${uid}"}}: \`selector\` not auto-generated`,
        `spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"${uid}","batch.kubernetes.io/job-name":"work","controller-uid":"${uid}","job-name":"work"}: \`selector\` does not match template \`labels\``,
      ],
    ],
    [
      'one that was asked for is taken',
      { manualSelector: true, selector: { matchLabels: { app: 'x' } }, template: { ...template, metadata: { labels: { app: 'x' } } } },
      [],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(Job, job(spec))).toEqual(errors)
  })
})

describe('updating a job', () => {
  test('how many run at once may change, and more tries be given', () => {
    expect(
      updateErrors(Job, job({ completions: 5 }), { metadata, spec: { ...created(Job, job({ completions: 5 })).spec, parallelism: 3 } }),
    ).toEqual([])
  })

  test('what was asked for stays', () => {
    const before = created(Job, job({ completions: 5 })).spec
    expect(updateErrors(Job, job({ completions: 5 }), { metadata, spec: { ...before, completions: 6 } })).toEqual([
      'spec.completions: Invalid value: 6: field is immutable',
    ])
    expect(updateErrors(Job, job({ completions: 5 }), { metadata, spec: { ...before, completionMode: 'Indexed' } })).toEqual([
      'spec.completionMode: Invalid value: "Indexed": field is immutable',
    ])
  })
})

describe('the table of jobs', () => {
  test.each<[string, Manifest<batchV1.JobSpec>, Partial<batchV1.JobStatus>, Record<string, unknown>]>([
    ['new', {}, {}, { Status: 'Running', Completions: '0/1', Duration: '' }],
    ['running', { completions: 3 }, { startTime: ago(90), succeeded: 1 }, { Completions: '1/3', Duration: '90s' }],
    ['a work queue', { parallelism: 3 }, { succeeded: 1 }, { Completions: '1/1 of 3' }],
    [
      'complete',
      {},
      { startTime: ago(90), completionTime: ago(80), succeeded: 1, conditions: [{ type: 'Complete', status: 'True' }] },
      { Status: 'Complete', Completions: '1/1', Duration: '10s' },
    ],
    ['failed', {}, { conditions: [{ type: 'Failed', status: 'True' }] }, { Status: 'Failed' }],
    ['successful enough', {}, { conditions: [{ type: 'SuccessCriteriaMet', status: 'True' }] }, { Status: 'SuccessCriteriaMet' }],
    ['suspended', { suspend: true }, { conditions: [{ type: 'Suspended', status: 'True' }] }, { Status: 'Suspended' }],
  ])('%s', (_what, spec, status, expected) => {
    const object = created(Job, job(spec))
    object.status = { ...object.status, ...status }
    expect(row(Job, object)).toMatchObject(expected)
  })
})

function ago(seconds: number): string {
  return new Date(testNowMs - seconds * 1000).toISOString()
}

describe('creating a cron job', () => {
  const jobTemplate = { spec: { template } }
  test.each<[string, Manifest<batchV1.CronJobSpec>, string[]]>([
    ['it is fine', { schedule: '*/5 * * * *', jobTemplate }, []],
    ['so are names for times', { schedule: '@hourly', jobTemplate, timeZone: 'Europe/Rome' }, []],
    ['it must say when', { schedule: '', jobTemplate }, ['spec.schedule: Required value']],
    [
      'zones stand in their own field',
      { schedule: 'TZ=UTC 0 * * * *', jobTemplate },
      ['spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'],
    ],
    [
      'three ways to overlap',
      { schedule: '@daily', jobTemplate, concurrencyPolicy: 'Maybe' as 'Allow' },
      ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'],
    ],
    [
      'history is not negative',
      { schedule: '@daily', jobTemplate, successfulJobsHistoryLimit: -1 },
      ['spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      'jobs are checked like jobs',
      { schedule: '@daily', jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: 'Always' } } } } },
      ['spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(CronJob, { metadata, spec })).toEqual(errors)
  })

  test('a name leaves room for the time that its jobs are named by', () => {
    const spec = { schedule: '@daily', jobTemplate }
    expect(createErrors(CronJob, { metadata: { name: 'x'.repeat(53) }, spec })).toEqual([
      `metadata.name: Invalid value: "${'x'.repeat(53)}": must be no more than 52 characters`,
    ])
  })

  test('three good runs are remembered, and a bad one', () => {
    expect(created(CronJob, { metadata, spec: { schedule: '@daily', jobTemplate } }).spec).toMatchObject({
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    })
  })
})

describe('schedules', () => {
  test.each(['* * * * *', '0 0 1 1 0', '*/15 0-5,22 * jan mon-fri', '@every 1h30m', '@yearly', '0 12 ? * SUN'])('%s is one', (schedule) => {
    expect(cronScheduleError(schedule)).toBeUndefined()
  })

  test.each([
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '* * * *',
    '5-1 * * * *',
    '*/0 * * * *',
    '@never',
    'a b c d e',
  ])('%s is none', (schedule) => {
    expect(cronScheduleError(schedule)).toEqual(expect.any(String))
  })
})
